package packaging

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
)

// Inspection is all that [Inspect] finds out.
type Inspection struct {
	ArchiveInfo
	SHA256 string // of the file, in hexadecimal
	Survey
	// Manifest is the one that the archive has, nil if none.
	Manifest *Manifest
}

// Inspect does what [InspectArchive] does, refuses the same, and looks into the
// files. With an error it returns what was found until then; what would not work
// on a node, but harms nobody, is among Survey.Problems and no error.
func Inspect(ctx context.Context, file string, limits Limits) (Inspection, error) {
	s := newSurveyor()
	info, err := walk(ctx, file, limits, s.add)
	out := Inspection{ArchiveInfo: info}
	if s.manifest != nil {
		out.Manifest, _ = parseManifest(s.manifest)
	}
	if err != nil {
		out.Survey = Survey{Packages: nil}
		return out, err
	}
	out.Survey = s.finish()
	if m := out.Manifest; m != nil && m.ContentSHA256 != out.ContentSHA256 {
		out.Problems = append(out.Problems, "its files are not those that its manifest speaks of: it was changed after it was packed")
	}
	sum, err := hashFile(ctx, file)
	out.SHA256 = hex.EncodeToString(sum[:])
	return out, err
}

func hashFile(ctx context.Context, file string) (sum [32]byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, &contextReader{ctx: ctx, r: f}); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
