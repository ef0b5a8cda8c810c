package packaging

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ManifestName is the entry at the top of an environment archive that says what
// is in it. It is the last entry, since it tells of all others.
const ManifestName = "manifest.json"

// Manifest is that entry.
type Manifest struct {
	Kind    string `json:"kind"`    // manifestKind
	Version int    `json:"version"` // of this form: 1
	// Source is how it was named: venv, conda, python or directory. No path:
	// the same files shall give the same archive wherever they lie.
	Source string `json:"source"`
	Survey
}

const (
	manifestKind    = "yarnd-environment"
	manifestVersion = 1
)

// errNoManifest is a file of that name which is somebody else's.
var errNoManifest = errors.New("it is no manifest of yarnd's")

func (m Manifest) encode() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

// parseManifest reads a manifest. A later version is read as far as it is known.
func parseManifest(b []byte) (*Manifest, error) {
	if len(b) >= maxText {
		return nil, fmt.Errorf("%s has more than %d bytes", ManifestName, maxText)
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil || m.Kind != manifestKind {
		return nil, errNoManifest
	}
	return &m, nil
}
