package executor

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// TestPythonValues: what goes in comes out.
func TestPythonValues(t *testing.T) {
	m := manager(t, Options{Slots: 1, Dir: pythonDir(t)})
	for _, v := range []any{
		int64(0), int64(23), int64(-1), int64(1 << 40), -int64(1 << 62), 1.5, "grüße", "", true, false, nil,
		[]byte{1, 2, 0xff}, []any{int64(1), "two", []any{}}, map[any]any{"a": int64(1), "b": nil},
		strings.Repeat("x", 70000), time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	} {
		got := mustCall(t, m, pythonTask(t, "echo", v))
		if at, ok := v.(time.Time); ok {
			if back, ok := got.(time.Time); !ok || !back.Equal(at) {
				t.Errorf("%v came back as %v", v, got)
			}
		} else if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", v) {
			t.Errorf("%#v came back as %#v", v, got)
		}
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	if got := mustCall(t, m, pythonTask(t, "echo", big)); !bytes.Equal(got.([]byte), big) {
		t.Errorf("10 MiB came back as %d bytes", len(got.([]byte)))
	}
	spread := func(s *PythonSpec) { s.Call = PythonSpread }
	if got := mustCall(t, m, pythonTask(t, "add", []any{int64(1), int64(2)}, spread)); got != int64(3) {
		t.Error(got)
	}
	if got := mustCall(t, m, pythonTask(t, "add", map[any]any{"a": int64(1), "z": int64(5)}, spread)); got != int64(6) {
		t.Error(got)
	}
}

// TestPythonFailures: what user code does is a failure of its call, and the interpreter
// lives on.
func TestPythonFailures(t *testing.T) {
	var out bytes.Buffer
	m := manager(t, Options{Slots: 1, Dir: pythonDir(t), Stdout: &out, Stderr: io.Discard})
	first := mustCall(t, m, pythonTask(t, "pid", nil))
	pickled := func(b string) func(*PythonSpec) {
		return func(s *PythonSpec) { s.Module, s.Name, s.Pickle = "", "", []byte(b) }
	}
	for _, c := range []struct {
		task           *Task
		message, stack string
	}{
		{pythonTask(t, "inner", "x"), "ValueError: no model for x", "in inner"},
		{pythonTask(t, "says", 5), "RuntimeError: said", "in says"},
		{pythonTask(t, "quits", 0), "SystemExit: bye", "in quits"},
		{pythonTask(t, "interrupts", 0), "KeyboardInterrupt", "in interrupts"},
		{pythonTask(t, "absent", 0), "has no absent; it has ", ""},
		{pythonTask(t, "ready", 0), "is a list, which cannot be called", ""},
		{pythonTask(t, "f", 0, func(s *PythonSpec) { s.Module = "no.such" }), "module no.such cannot be imported: ModuleNotFoundError: No module named 'no'. Is it in the environment?", ""},
		{pythonTask(t, "f", 0, pickled("garbage")), "does not unpickle: ", ""},
		{pythonTask(t, "f", 0, pickled("cno_such_module\nf\n.")), "Is it in the environment?", ""},
		{pythonTask(t, "lock", 0), "a lock cannot be sent to a Go program", ""},
		{pythonTask(t, "unsendable", 0, func(s *PythonSpec) { s.Result = PythonPickle }), "a Stubborn, does not pickle: TypeError: I stay", "in __reduce__"},
		{pythonTask(t, "add", 0, func(s *PythonSpec) { s.Call = PythonSpread }), "TypeError: ", ""},
	} {
		r := m.Run(t.Context(), c.task)
		if r.Failure == nil || r.Failure.Kind != graph.FailUser || !strings.Contains(r.Failure.Message, c.message) ||
			strings.ContainsRune(r.Failure.Message, '\n') || !strings.Contains(r.Failure.Stack, c.stack) || strings.Contains(r.Failure.Stack, "<yarnd>") {
			t.Errorf("%s: %+v", c.task.Class.Name, r.Failure)
			continue
		}
		if c.message == "RuntimeError: said" && string(r.Failure.Output) != "out of 5\nerr of 5\n" {
			t.Errorf("output %q", r.Failure.Output)
		}
	}
	bad := pythonTask(t, "echo", nil)
	bad.Payload = []byte{0x9f}
	if r := m.Run(t.Context(), bad); r.Failure == nil || !strings.Contains(r.Failure.Message, "the arguments of fns:echo cannot be read") {
		t.Errorf("%+v", r.Failure)
	}
	for _, spec := range []string{"", "{}", `{"version":2}`, `{"version":1,"module":"m","name":"f","pickle":"AA=="}`, `{"version":1,"module":"m","name":"f","call":"x"}`} {
		task := pythonTask(t, "echo", nil)
		task.Class.Spec = []byte(spec)
		if r := m.Run(t.Context(), task); r.Failure == nil || r.Failure.Kind != graph.FailUser {
			t.Errorf("%s: %+v", spec, r.Failure)
		}
	}
	if again := mustCall(t, m, pythonTask(t, "pid", nil)); again != first {
		t.Error("the interpreter did not live on")
	}
	m.Close()
	if s := out.String(); !strings.Contains(s, "] out of 5\n") || !strings.Contains(s, "] raw\n") || !strings.HasPrefix(s, "[python ") {
		t.Errorf("printed %q", s)
	}
}

// TestPythonNoInterpreter tells which one could not be started, and why.
func TestPythonNoInterpreter(t *testing.T) {
	dir := pythonDir(t)
	m := manager(t, Options{Slots: 1, Dir: dir, Backoff: soon})
	for name, want := range map[string]string{
		"missing/python": "/missing/python cannot be started: ",
		"text":           "it is no program for this node",
		"old":            "Python 2.7 is too old",
		"no-such-python": "not found",
	} {
		switch name {
		case "text":
			os.WriteFile(filepath.Join(dir, name), []byte("hello"), 0o700)
		case "old":
			os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho Python 2.7 is too old: 3.8 or newer is needed >&2\nexit 1\n"), 0o700)
		}
		at := name
		if name != "no-such-python" {
			at = "./" + name
		}
		r := m.Run(t.Context(), pythonTask(t, "echo", nil, func(s *PythonSpec) { s.Interpreter = at }))
		if r.Failure == nil || r.Failure.Kind != graph.FailSetup || !strings.Contains(r.Failure.Message, want) {
			t.Errorf("%s: %+v", name, r.Failure)
		}
	}
	// The environment's comes first.
	os.MkdirAll(filepath.Join(dir, "environment", "bin"), 0o700)
	if err := os.Symlink("/no/such/python", filepath.Join(dir, environmentPython)); err != nil {
		t.Fatal(err)
	}
	r := m.Run(t.Context(), pythonTask(t, "echo", nil))
	if r.Failure == nil || !strings.Contains(r.Failure.Message, "it is a link to /no/such/python, which this node does not have") {
		t.Errorf("%+v", r.Failure)
	}
}

// TestPythonPickles: buffers of a result come to the next call beside its pickle, and
// are views of what was read.
func TestPythonPickles(t *testing.T) {
	m := manager(t, Options{Slots: 1, Dir: pythonDir(t)})
	r := m.Run(t.Context(), pythonTask(t, "Counter.new", nil, func(s *PythonSpec) { s.Result = PythonPickle }))
	if r.Failure != nil || len(r.Data) < 256*40000 {
		t.Fatalf("%d bytes, %+v", len(r.Data), r.Failure)
	}
	ref := graph.TaskID{Job: 7, Index: 70000}
	next := pythonTask(t, "look", nil)
	next.Payload = []byte{0xd9, 0x79, 0x64, 0x82, 7, 0x1a, 0, 1, 0x11, 0x70}
	next.Inputs = []TaskInput{
		{Task: graph.TaskID{Job: 7, Index: 2}, Size: 1, Data: []byte{0}},
		{Task: ref, Size: int64(len(r.Data)), At: bytes.NewReader(r.Data)},
	}
	if got := mustCall(t, m, next); fmt.Sprint(got) != "[10240000 1 bytearray]" {
		t.Error(got)
	}
	next.Inputs = next.Inputs[:1]
	if r := m.Run(t.Context(), next); r.Failure == nil || !strings.Contains(r.Failure.Message, "the result of task 7/70000 is needed") {
		t.Errorf("%+v", r.Failure)
	}
	next.Inputs = []TaskInput{{Task: ref, Size: int64(len(r.Data)), At: bytes.NewReader(r.Data[:1<<20])}}
	if r := m.Run(t.Context(), next); r.Failure == nil || r.Failure.Kind != graph.FailInput {
		t.Errorf("%+v", r.Failure)
	}
}

// TestPythonCloudpickle needs the package.
func TestPythonCloudpickle(t *testing.T) {
	dir := pythonDir(t)
	made, err := exec.Command("python3", "-c", "import cloudpickle, sys; n = 5; sys.stdout.buffer.write(cloudpickle.dumps(lambda x: x + n))").Output()
	if err != nil {
		t.Skip("this python3 has no cloudpickle")
	}
	m := manager(t, Options{Slots: 1, Dir: dir})
	task := pythonTask(t, "lambda", 37, func(s *PythonSpec) { s.Module, s.Name, s.Pickle = "", "", made })
	if got := mustCall(t, m, task); got != int64(42) {
		t.Error(got)
	}
}

// FuzzPythonSpec: whatever a class says is taken or refused.
func FuzzPythonSpec(f *testing.F) {
	f.Add([]byte(`{"version":1,"module":"m","name":"f"}`))
	f.Add([]byte(`{"version":1,"pickle":"gAUu","env":{"A":"b"}}`))
	f.Add([]byte(`{"version":1,"module":"m","name":"f","env":{"A=":"b"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parsePython(b)
		key := pythonKey(&graph.Class{Kind: graph.KindPython, Spec: b})
		if (err != nil) != (key.bad != "") {
			t.Errorf("%v, %q", err, key.bad)
		}
		if err == nil && (s.Module == "") != (len(s.Pickle) > 0) {
			t.Errorf("taken: %+v", s)
		}
	})
}

// Every file of pyexec but the one that starts the others goes to the interpreter.
func TestPythonModules(t *testing.T) {
	files, err := pythonFiles.ReadDir("pyexec")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		if name := strings.TrimSuffix(f.Name(), ".py"); name != "start" {
			got = append(got, name)
		}
	}
	if want := slices.Sorted(slices.Values(pythonModules)); !slices.Equal(got, want) {
		t.Errorf("files %v, modules %v", got, want)
	}
}
