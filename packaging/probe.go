package packaging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Probe is what a Python says of itself when it runs.
type Probe struct {
	Python     string `json:"python"` // version
	Executable string `json:"executable"`
	Base       string `json:"base"` // where its standard library is
	// Modules are the versions of what was imported, "" where it has none.
	Modules map[string]string `json:"modules,omitempty"`
	// Failed are the errors of what could not be imported.
	Failed map[string]string `json:"failed,omitempty"`
}

// probeScript imports what its arguments name and tells in one line of JSON.
const probeScript = `import sys, json, importlib
ok, bad = dict(), dict()
for name in sys.argv[1:]:
    try:
        ok[name] = str(getattr(importlib.import_module(name), "__version__", ""))
    except BaseException as e:
        bad[name] = type(e).__name__ + ": " + str(e)
print(json.dumps(dict(python=sys.version.split()[0], executable=sys.executable, base=sys.base_prefix, modules=ok, failed=bad)))
`

// ProbeCommand is the command that makes a Python tell of itself. It takes
// nothing from the user's own settings and packages.
func ProbeCommand(python string, modules []string) []string {
	return append([]string{python, "-I", "-c", probeScript}, modules...)
}

// ParseProbe reads what a [ProbeCommand] printed: its last line.
func ParseProbe(out []byte) (Probe, error) {
	var p Probe
	out = bytes.TrimSpace(out)
	if err := json.Unmarshal(out[bytes.LastIndexByte(out, '\n')+1:], &p); err != nil || p.Python == "" {
		return p, errors.New("it printed something else than what it was asked for")
	}
	return p, nil
}

// probeTime bounds how long a probe may take to start and to import.
const probeTime = 2 * time.Minute

// Verify unpacks an environment into a scratch directory, which must not exist,
// and has its Python import modules. An environment without a Python only gets
// unpacked, and gives a Probe without a version.
func Verify(ctx context.Context, file, scratch string, limits Limits, modules []string) (Probe, error) {
	if _, err := Unpack(ctx, file, scratch, limits); err != nil {
		return Probe{}, err
	}
	python := filepath.Join(scratch, "bin", "python")
	if _, err := os.Lstat(python); errors.Is(err, fs.ErrNotExist) {
		if len(modules) > 0 {
			return Probe{}, &PackError{Op: "verify", Source: file, Why: "it has no bin/python", Hint: "pack the environment itself, not the directory around it"}
		}
		return Probe{}, nil
	}
	bounded, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	out, err := output(bounded, ProbeCommand(python, modules), nil)
	if ctx.Err() != nil {
		return Probe{}, context.Cause(ctx)
	}
	var p Probe
	if err == nil {
		p, err = ParseProbe(out)
	}
	if err != nil {
		return p, &PackError{Op: "verify", Source: file, Why: fmt.Sprintf("its Python does not run (%v)%s", err, said(out)), Hint: "see what it needs: yarnd env inspect " + file, Err: err}
	}
	return p, nil
}
