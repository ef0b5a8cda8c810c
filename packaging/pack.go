package packaging

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/renameio/v2"
	"github.com/klauspost/pgzip"
)

// PackOptions say how to pack. The zero value works.
type PackOptions struct {
	// To is the archive to write, ".tar.gz" or ".tgz"; empty: the source's name
	// with ".tar.gz" in the working directory.
	To string
	// Bytecode keeps __pycache__. Without it an archive has about half as many
	// entries, which is what node managers are slow at, and Python compiles each
	// module when a node first imports it.
	Bytecode bool
	// AllowProblems packs what would not work on the nodes, such as packages
	// installed with -e.
	AllowProblems bool
	// VenvPack packs a virtual environment with venv-pack. Without it we do it
	// ourselves: venv-pack's programs in bin take whatever Python is on the path.
	VenvPack bool
	// Packages are requirements to install into an environment that is made for
	// python://.
	Packages []string
	// Requirements is a file of such; empty is none.
	Requirements string
	// Progress is told of the entries packed so far, and of all; nil is not.
	Progress func(done, all int)
	// Say tells a person what happens, a line at a time; nil is silence.
	Say func(format string, args ...any)
}

// Packed is an archive that was written.
type Packed struct {
	Path     string
	Size     int64 // bytes
	Entries  int
	Manifest Manifest
}

// PackError is what cannot be packed, built or verified.
type PackError struct {
	Op     string // "pack" when empty
	Source string
	Why    string
	Hint   string
	Err    error
}

func (e *PackError) Error() string {
	s := "cannot " + cmp.Or(e.Op, "pack") + " " + e.Source + ": " + e.Why
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

func (e *PackError) Unwrap() error { return e.Err }

// packTime is the modification time of every entry, so that the same files give
// the same archive: the begin of 1980, the earliest that zip tools know.
var packTime = time.Unix(315532800, 0)

// packDir packs a directory as source into a file, in one step: an archive of
// that name is there only when it is whole.
func packDir(ctx context.Context, dir, source, to string, o PackOptions) (Packed, error) {
	p, err := writeArchive(ctx, dir, source, to, o)
	var pe *PackError
	switch {
	case err == nil || ctx.Err() != nil || errors.As(err, &pe):
		return p, err
	case isFull(err):
		return p, &PackError{Source: dir, Why: "the disk of " + filepath.Dir(to) + " is full", Hint: "name a place on another one with --to", Err: err}
	}
	return p, &PackError{Source: dir, Why: err.Error(), Err: err}
}

func writeArchive(ctx context.Context, dir, source, to string, o PackOptions) (Packed, error) {
	files, err := listTree(ctx, dir, o)
	if err != nil {
		return Packed{}, err
	}
	out, err := renameio.NewPendingFile(to, renameio.WithPermissions(0o644), renameio.WithTempDir(filepath.Dir(to)))
	if err != nil {
		return Packed{}, err
	}
	defer out.Cleanup()
	m, err := packTo(ctx, out, files, source, o)
	if err != nil {
		return Packed{}, err
	}
	size, err := out.Seek(0, io.SeekCurrent)
	if err != nil {
		return Packed{}, err
	}
	return Packed{Path: to, Size: size, Entries: len(files) + 1, Manifest: m}, out.CloseAtomicallyReplace()
}

// packTo writes the compressed tar. Its bytes depend on the files alone, and not
// on how many processors compress it.
func packTo(ctx context.Context, w io.Writer, files []treeFile, source string, o PackOptions) (Manifest, error) {
	gz, err := pgzip.NewWriterLevel(w, pgzip.DefaultCompression)
	if err != nil {
		return Manifest{}, err
	}
	if err := gz.SetConcurrency(1<<20, max(2, runtime.GOMAXPROCS(0))); err != nil {
		return Manifest{}, err
	}
	tw := tar.NewWriter(gz)
	m, err := packFiles(ctx, tw, files, source, o)
	if err == nil {
		err = tw.Close()
	}
	// Also after an error, so that the compressor's goroutines end.
	return m, errors.Join(err, gz.Close())
}

func packFiles(ctx context.Context, tw *tar.Writer, files []treeFile, source string, o PackOptions) (Manifest, error) {
	s := newSurveyor()
	for i, f := range files {
		if ctx.Err() != nil {
			return Manifest{}, context.Cause(ctx)
		}
		if err := packFile(tw, s, f, o); err != nil {
			return Manifest{}, err
		}
		if o.Progress != nil {
			o.Progress(i+1, len(files))
		}
	}
	m := Manifest{Kind: manifestKind, Version: manifestVersion, Source: source, Survey: s.finish()}
	if len(m.Problems) > 0 && !o.AllowProblems {
		return m, &PackError{Source: "this " + source, Why: "it would not work on the nodes: " + m.Problems[0], Hint: "--allow-problems packs it all the same"}
	}
	b, err := m.encode()
	if err != nil {
		return m, err
	}
	if err := tw.WriteHeader(header(ManifestName, 0o644, int64(len(b)))); err != nil {
		return m, err
	}
	_, err = tw.Write(b)
	return m, err
}

func header(name string, mode fs.FileMode, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: size, ModTime: packTime}
}

// packFile writes one entry, its contents by way of the surveyor.
func packFile(tw *tar.Writer, s *surveyor, f treeFile, o PackOptions) error {
	e := entry{name: f.name, mode: f.mode, target: f.target}
	switch {
	case f.mode.IsDir():
		h := header(f.name+"/", 0o755, 0)
		h.Typeflag = tar.TypeDir
		return errors.Join(s.add(e, nil), tw.WriteHeader(h))
	case f.mode&fs.ModeSymlink != 0:
		h := header(f.name, 0o777, 0)
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.target
		return errors.Join(s.add(e, nil), tw.WriteHeader(h))
	}
	r, size, mtime, err := f.open()
	if err != nil {
		return err
	}
	defer r.Close()
	e.size = size
	h := header(f.name, plainMode(f.mode), size)
	if o.Bytecode { // it holds the times of its sources
		h.ModTime = mtime.Truncate(time.Second)
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	c := &copiedTo{r: io.LimitReader(r, size), w: tw}
	if err := s.add(e, c); err != nil {
		return err
	}
	if c.n != size {
		return fmt.Errorf("%s became shorter while it was packed", f.path)
	}
	return nil
}

// plainMode leaves of a file's permissions whether it is a program.
func plainMode(mode fs.FileMode) fs.FileMode {
	if mode.Perm()&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

// copiedTo is a reader whose bytes are written elsewhere as they are read.
type copiedTo struct {
	r io.Reader
	w io.Writer
	n int64
}

func (c *copiedTo) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if _, werr := c.w.Write(b[:n]); werr != nil {
		return n, werr
	}
	return n, err
}

// open gives the bytes of a file as they are to be packed, and how many.
func (f treeFile) open() (io.ReadCloser, int64, time.Time, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	st, err := r.Stat()
	if err != nil || f.rewrite == nil || st.Size() > maxText {
		if err != nil {
			r.Close()
			return nil, 0, time.Time{}, err
		}
		return r, st.Size(), st.ModTime(), nil
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxText))
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	b = f.rewrite(b)
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), st.ModTime(), nil
}

// Full reports whether it could not be packed because a disk has no room.
func (e *PackError) Full() bool { return isFull(e.Err) }
