package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// venv makes a virtual environment fit to be unpacked anywhere:
//
//   - bin/python stays a link to the interpreter that the environment was made
//     with, which the nodes must have at the same path: a virtual environment
//     holds no Python of its own, and nothing that packs one can change that.
//   - Programs in bin that begin with #!<venv>/bin/python begin with lines that
//     are shell and Python at once, and start the interpreter beside them.
//   - bin/activate finds out where it is. Those for other shells are left out.
//   - pyvenv.cfg forgets the command that made it.
//
// The same goes for the programs of a directory that holds a whole Python.
type venv struct {
	prefixes []string // paths under which its programs know it
	whole    bool     // it holds its own Python
}

// openVenv returns nil for a directory that is no virtual environment. dir is as
// the user named it, top the same without links.
func openVenv(dir, top string) (*venv, error) {
	_, err := os.Stat(filepath.Join(top, "pyvenv.cfg"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(top, "conda-meta")); err == nil {
			if _, err := os.Stat(filepath.Join(top, "bin", "conda-unpack")); err != nil {
				return nil, &PackError{Source: dir, Why: "it is a conda environment, whose files hold its path", Hint: "use conda://" + dir}
			}
		}
		if found, _ := filepath.Glob(filepath.Join(top, "lib", "python3.*", "os.py")); len(found) > 0 {
			return &venv{prefixes: []string{top}, whole: true}, nil
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(top, "bin", "python")); err != nil {
		return nil, &PackError{Source: dir, Why: "its bin/python leads nowhere", Hint: "make the virtual environment again: the Python that it was made with is gone", Err: err}
	}
	v := &venv{prefixes: []string{abs, top}}
	if b, err := os.ReadFile(filepath.Join(top, "bin", "activate")); err == nil { // it may have been moved
		if m := activatePrefix.FindSubmatch(b); m != nil {
			v.prefixes = append(v.prefixes, string(m[1]))
		}
	}
	slices.Sort(v.prefixes)
	v.prefixes = slices.Compact(v.prefixes)
	return v, nil
}

// interpreter reports whether an entry is the environment's Python.
func (v *venv) interpreter(name string) bool {
	return !v.whole && path.Dir(name) == "bin" && strings.HasPrefix(path.Base(name), "python")
}

// skip leaves out what cannot work elsewhere.
func (v *venv) skip(name string) bool {
	switch name {
	case "bin/activate.csh", "bin/activate.fish", "bin/activate.nu", "bin/activate.bat", "bin/Activate.ps1", "bin/activate.ps1", "bin/activate_this.py", "bin/deactivate.bat", "bin/pydoc.bat":
		return true
	}
	return false
}

// rewriter returns what changes an entry's contents, or nil.
func (v *venv) rewriter(name string) func([]byte) []byte {
	switch {
	case name == "pyvenv.cfg":
		return v.config
	case name == "bin/activate":
		return v.activate
	case path.Dir(name) == "bin":
		return v.script
	}
	return nil
}

// config drops the lines that tell where and how the environment was made.
func (v *venv) config(b []byte) []byte {
	var out []byte
	for line := range bytes.Lines(b) {
		k, _, _ := strings.Cut(string(line), "=")
		if k = strings.TrimSpace(k); k != "command" && k != "prompt" {
			out = append(out, line...)
		}
	}
	return out
}

var activatePrefix = regexp.MustCompile(`(?m)^\s*VIRTUAL_ENV=['"]?(/[^'"\n]*?)['"]?\s*$`)

// activate makes the script find its directory where it is.
func (v *venv) activate(b []byte) []byte {
	return activatePrefix.ReplaceAllLiteral(b, []byte(`VIRTUAL_ENV="$(cd "$(dirname "${BASH_SOURCE:-$0}")/.." && pwd)"`))
}

// Programs that pip and others install begin with
//
//	#!/path/of/venv/bin/python
//
// or, where that is longer than a kernel takes, with
//
//	#!/bin/sh
//	'''exec' /path/of/venv/bin/python "$0" "$@"
//	' '''
var (
	shebang     = regexp.MustCompile(`^#![ \t]*(/[^\n]*?)/bin/(python[0-9.]*)[ \t]*\n`)
	longShebang = regexp.MustCompile(`^#!/bin/sh\n'''exec' "?(/[^"\n]*?)/bin/(python[0-9.]*)"? "\$0" "\$@"\n' '''\n`)
)

// script makes a program start the Python beside it.
func (v *venv) script(b []byte) []byte {
	for _, re := range []*regexp.Regexp{shebang, longShebang} {
		m := re.FindSubmatchIndex(b)
		if m == nil || !slices.Contains(v.prefixes, string(b[m[2]:m[3]])) {
			continue
		}
		begin := fmt.Sprintf("#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'%s' \"$0\" \"$@\"\n' '''\n", b[m[4]:m[5]])
		return append([]byte(begin), b[m[1]:]...)
	}
	return b
}
