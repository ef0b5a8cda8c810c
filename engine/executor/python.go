package executor

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/engine/graph"
)

// PythonSpec is the Spec of a class of kind graph.KindPython, as JSON: which callable
// its tasks call, with what, and in which interpreter.
type PythonSpec struct {
	Version int `json:"version"` // PythonVersion

	// The callable: Name, which may have dots, in Module; or a pickle of it, which
	// package cloudpickle makes of any function.
	Module string `json:"module,omitempty"`
	Name   string `json:"name,omitempty"`
	Pickle []byte `json:"pickle,omitempty"`

	Call   string `json:"call,omitempty"`   // how the payload becomes arguments; "" is PythonValue
	Result string `json:"result,omitempty"` // how the result travels; "" is PythonCBOR

	// Interpreter is the path of the interpreter; a relative one that has a slash is
	// below the worker's directory. "" is environment/bin/python there, or python3 of
	// the PATH where there is no such file.
	Interpreter string            `json:"interpreter,omitempty"`
	Env         map[string]string `json:"env,omitempty"` // added to the worker's
}

// PythonVersion is the version of PythonSpec.
const PythonVersion = 1

// How a payload, which is one value, becomes arguments.
const (
	PythonValue  = "value"  // it is the one argument
	PythonSpread = "spread" // a dict has the arguments by name, a list in order
	PythonArgs   = "args"   // a tuple of a sequence and a dict has both
)

// How a result travels. See doc.go, "Python".
const (
	PythonCBOR   = "cbor"   // as package codec does; only plain values
	PythonPickle = "pickle" // tagged as one
)

// parsePython reads and checks a class's spec.
func parsePython(b []byte) (*PythonSpec, error) {
	var s PythonSpec
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("the description of the Python function is no JSON: %w", err)
	}
	switch {
	case s.Version != PythonVersion:
		return nil, fmt.Errorf("the description of the Python function has version %d, this worker knows %d: use a client of the worker's version", s.Version, PythonVersion)
	case (s.Module == "" || s.Name == "") == (len(s.Pickle) == 0):
		return nil, errors.New("a Python function is named by a module and a name, or else given as a pickle")
	case !slices.Contains([]string{"", PythonValue, PythonSpread, PythonArgs}, s.Call):
		return nil, fmt.Errorf("no way %q to call a Python function", s.Call)
	case !slices.Contains([]string{"", PythonCBOR, PythonPickle}, s.Result):
		return nil, fmt.Errorf("no form %q of a Python function's result", s.Result)
	}
	for name, value := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("%q is no name of an environment variable, or its value is none", name)
		}
	}
	return &s, nil
}

// pythonKey tells which interpreters run tasks of a class: those that have the same
// program and environment, and run calls of as many slots.
func pythonKey(c *graph.Class) executorKey {
	key := executorKey{kind: graph.KindPython, slots: max(1, int(c.Resources.Slots))}
	s, err := parsePython(c.Spec)
	if err != nil {
		key.bad = err.Error()
		return key
	}
	like, err := json.Marshal(PythonSpec{Interpreter: s.Interpreter, Env: s.Env})
	if err != nil {
		key.bad = err.Error()
		return key
	}
	key.python = string(like)
	return key
}

// pythonStart is run by the interpreter: it takes modules from descriptor 7. A Python 2
// understands its beginning.
//
//go:embed pyexec/start.py
var pythonStart string

//go:embed pyexec
var pythonFiles embed.FS

// pythonModules are the files of pyexec, each behind those that it imports.
var pythonModules = []string{"wire", "functions", "pickles", "values", "output", "inputs", "guard", "interpreter", "reader", "main"}

// pythonSource is what goes over descriptor 7: names and sources of the modules, as JSON.
var pythonSource = sync.OnceValues(func() ([]byte, error) {
	var modules [][2]string
	for _, name := range pythonModules {
		source, err := pythonFiles.ReadFile("pyexec/" + name + ".py")
		if err != nil {
			return nil, err
		}
		modules = append(modules, [2]string{name, string(source)})
	}
	return json.Marshal(modules)
})

// environmentPython is the interpreter of the environment archive in the worker's
// directory.
const environmentPython = "environment/bin/python"

// interpreter returns the path of an interpreter.
func interpreter(named, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if named == "" {
		if own := filepath.Join(dir, environmentPython); exists(own) {
			return own, nil
		}
		named = "python3"
	}
	if strings.ContainsRune(named, '/') {
		if !filepath.IsAbs(named) {
			named = filepath.Join(dir, named)
		}
		return named, nil
	}
	return exec.LookPath(named)
}

// exists reports whether there is something at path, if only a link to nowhere.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// spawnPython starts an interpreter.
func (p *process) spawnPython() error {
	var s PythonSpec
	if err := json.Unmarshal([]byte(p.key.python), &s); err != nil {
		return err
	}
	path, err := interpreter(s.Interpreter, p.m.opts.Dir)
	if err != nil {
		return fmt.Errorf("%w; bring an environment with --env", err)
	}
	p.path = path
	source, err := sourceFile()
	if err != nil {
		return err
	}
	defer source.Close()
	cmd := &exec.Cmd{Path: path, Args: []string{path, "-c", pythonStart}, Dir: p.m.opts.Dir, Env: p.m.opts.Environ}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = slices.Clone(cmd.Env)
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := p.connect(cmd, source); err != nil {
		return errors.New(startFailure(path, err).Message)
	}
	return nil
}

// sourceFile returns a file in memory with the modules of pyexec.
func sourceFile() (*os.File, error) {
	source, err := pythonSource()
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("yarnd-python", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "pyexec")
	if _, err := f.Write(source); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// fatalPython begins the line in which an interpreter says why it crashes.
var fatalPython = []byte("Fatal Python error: ")

// pythonFatal returns that line, nil if there is none.
func pythonFatal(stderr []byte) []byte {
	i := bytes.LastIndex(stderr, fatalPython)
	if i < 0 {
		return nil
	}
	line, _, _ := bytes.Cut(stderr[i:], []byte("\n"))
	return line
}
