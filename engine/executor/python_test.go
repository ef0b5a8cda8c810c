package executor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// pythonFunctions is a module that tests bring to the worker's directory.
const pythonFunctions = `
import os, pickle, signal, subprocess, sys, time

ready = []

def echo(x): return x
def nothing(x): return None
def pid(x): return os.getpid()
def environment(name): return os.environ.get(name)
def bad(x): raise ValueError("no model\nfor %s" % x)
def inner(x): return bad(x)
def says(x):
    print("out of", x)
    print("err of", x, file=sys.stderr)
    os.write(1, b"raw\n")
    raise RuntimeError("said")
def leave(x): os._exit(x)
def crash(x): os.kill(os.getpid(), signal.SIGSEGV)
def quits(x): sys.exit("bye")
def interrupts(x): raise KeyboardInterrupt
def lock(x): import threading; return threading.Lock()
def odd(x): return lock
def add(a, b=0, **more): return a + b + sum(more.values())
def total(pair): return pair["A"] + pair["B"]
def sizes(parts): return [len(p) for p in parts]
def fork(x): return os.getpid() if os.fork() else None
def eat(x):
    data = []
    while True: data.append(bytearray(os.urandom(1 << 20)) * 10)
def note(x):
    with open(x["Dir"] + "/" + str(x["N"]), "x"): pass
    if x["Gate"]: wait(x["Gate"])
    return os.getpid()
def wait(path):
    while not os.path.exists(path): time.sleep(0.002)
def sleeps(path):
    with open(path, "x"): pass
    time.sleep(1000)
def stubborn(path):
    with open(path, "x"): pass
    while True:
        try: time.sleep(1000)
        except KeyboardInterrupt: pass
def spins(path):
    with open(path, "x"): pass
    while True: pass
def brood(path):
    for how in ({}, {"start_new_session": True}):
        subprocess.Popen(["sleep", "1000"], **how)
    subprocess.Popen(["sh", "-c", "sleep 1000 & sleep 1000 &"]).wait()
    with open(path, "x"): pass
    while True: pass
class Counter:
    def __init__(self): self.data = bytearray(range(256)) * 40000
    def __reduce_ex__(self, protocol):
        return (restored, (pickle.PickleBuffer(self.data),))
    @staticmethod
    def new(x): return Counter()
class Restored:
    pass
def restored(buffer):
    r = Restored()
    r.buffer = buffer
    return r
def look(r):
    view = memoryview(r.buffer)
    return [view.nbytes, view[257], view.obj is not None and type(view.obj).__name__]
class Stubborn:
    def __reduce__(self): raise TypeError("I stay")
def unsendable(x): return Stubborn()
`

// pythonDir returns a worker's directory with the module fns. Tests that need a Python
// are skipped where there is none.
func pythonDir(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 in the PATH: the Python executor is not tested here")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fns.py"), []byte(pythonFunctions), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pythonTask(t testing.TB, name string, v any, change ...func(*PythonSpec)) *Task {
	t.Helper()
	spec := PythonSpec{Version: PythonVersion, Module: "fns", Name: name}
	for _, c := range change {
		c(&spec)
	}
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	taskNumber++
	return &Task{
		ID: graph.TaskID{Job: 1, Index: taskNumber}, Attempt: 1,
		Class:   &graph.Class{Name: "fns:" + name, Kind: graph.KindPython, Spec: b},
		Payload: item(t, v),
	}
}

func item(t testing.TB, v any) []byte {
	t.Helper()
	c, err := codec.For[any]()
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := c.Append(nil, nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func valueOf(t testing.TB, b []byte) any {
	t.Helper()
	c, err := codec.For[any]()
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Decode(b, false)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustCall(t *testing.T, m *blocking, task *Task) any {
	t.Helper()
	r := m.Run(t.Context(), task)
	if r.Failure != nil {
		t.Fatalf("%s: %+v\n%s", task.Class.Name, r.Failure, r.Failure.Output)
	}
	return valueOf(t, r.Data)
}

// same makes tasks that are like one another but for their numbers.
func same(task *Task, n int) []*Task {
	tasks := make([]*Task, n)
	for i := range tasks {
		taskNumber++
		like := *task
		like.ID.Index = taskNumber
		tasks[i] = &like
	}
	return tasks
}

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

// TestPythonWarm: one interpreter serves one slot, with its environment.
func TestPythonWarm(t *testing.T) {
	m := manager(t, Options{Slots: 1, Dir: pythonDir(t)})
	first := mustCall(t, m, pythonTask(t, "pid", nil))
	if again := mustCall(t, m, pythonTask(t, "pid", nil)); again != first {
		t.Errorf("%v, then %v", first, again)
	}
	with := func(s *PythonSpec) { s.Env = map[string]string{"GREETING": "hello"} }
	if got := mustCall(t, m, pythonTask(t, "environment", "GREETING", with)); got != "hello" {
		t.Error(got)
	}
	if other := mustCall(t, m, pythonTask(t, "pid", nil, with)); other == first {
		t.Error("one interpreter with two environments")
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

// TestPythonBlame: of 50 calls that interpreters were handed, one ends its own. Only
// that one fails.
func TestPythonBlame(t *testing.T) {
	for name, what := range map[string]string{"leave": "exited with code 3", "crash": "signal 11"} {
		for _, slots := range []int{1, 2} {
			m := manager(t, Options{Slots: slots, Dir: pythonDir(t), Backoff: soon})
			tasks := same(pythonTask(t, "echo", "x"), 50)
			tasks[20] = pythonTask(t, name, 3)
			for i, end := range m.start(tasks...) {
				switch r := <-end; {
				case i != 20 && r.Failure != nil:
					t.Errorf("%d: %+v", i, r.Failure)
				case i == 20 && (r.Failure == nil || r.Failure.Kind != graph.FailDied || !r.Died || !strings.Contains(r.Failure.Message, what)):
					t.Errorf("%+v", r.Failure)
				}
			}
			if d := m.died(); len(d) != 1 || len(d[0]) != 1 {
				t.Errorf("deaths: %v", d)
			}
		}
	}
}

// TestPythonSideBySide: as many calls run at once as there are slots, and one that waits
// behind a long call runs elsewhere.
func TestPythonSideBySide(t *testing.T) {
	dir := pythonDir(t)
	m := manager(t, Options{Slots: 2, Dir: dir})
	gate, notes := filepath.Join(dir, "gate"), t.TempDir()
	job := func(n int, gate string) *Task {
		return pythonTask(t, "note", map[any]any{"Dir": notes, "N": n, "Gate": gate})
	}
	long := m.start(job(0, gate))
	waitFor(t, func() bool { return exists(filepath.Join(notes, "0")) })
	pids := map[any]int{}
	var rest []*Task
	for i := range 40 {
		rest = append(rest, job(1+i, ""))
	}
	for _, end := range m.start(rest...) {
		r := <-end
		if r.Failure != nil {
			t.Fatal(r.Failure)
		}
		pids[valueOf(t, r.Data)]++
	}
	if len(pids) != 1 {
		t.Errorf("%v: the long call's interpreter ran others", pids)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-long[0]; r.Failure != nil || pids[valueOf(t, r.Data)] != 0 {
		t.Error(r.Failure)
	}
	if n := len(m.Executors()); n != 2 {
		t.Errorf("%d interpreters", n)
	}
	// With one slot, one at a time.
	one := job(100, "")
	one.Limit = 1
	if r := m.Run(t.Context(), one); r.Failure != nil {
		t.Error(r.Failure)
	}
}

// TestPythonRecall: calls that wait can be had back, whoever holds them.
func TestPythonRecall(t *testing.T) {
	dir := pythonDir(t)
	m := manager(t, Options{Slots: 1, Dir: dir})
	gate, notes := filepath.Join(dir, "gate"), t.TempDir()
	tasks := []*Task{pythonTask(t, "note", map[any]any{"Dir": notes, "N": 0, "Gate": gate})}
	for i := range 10 {
		tasks = append(tasks, pythonTask(t, "note", map[any]any{"Dir": notes, "N": 1 + i, "Gate": ""}))
	}
	ends := m.start(tasks...)
	waitFor(t, func() bool { return exists(filepath.Join(notes, "0")) })
	m.Recall(tasks[:6])
	for i := 1; i < 6; i++ {
		if r := <-ends[i]; r.What != Recalled {
			t.Errorf("%d: %+v", i, r)
		}
	}
	m.Stop(tasks[6])
	if r := <-ends[6]; r.Failure == nil || r.Failure.Kind != graph.FailCancelled {
		t.Errorf("%+v", r.Failure)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 7, 8, 9, 10} {
		if r := <-ends[i]; r.Failure != nil {
			t.Errorf("%d: %v", i, r.Failure)
		}
	}
	for i := 1; i < 7; i++ {
		if exists(filepath.Join(notes, fmt.Sprint(i))) {
			t.Errorf("%d ran", i)
		}
	}
}

// TestPythonStop: a call is interrupted; one that does not mind costs its interpreter.
func TestPythonStop(t *testing.T) {
	dir := pythonDir(t)
	m := manager(t, Options{Slots: 1, Dir: dir, Grace: time.Millisecond, Backoff: soon})
	first := mustCall(t, m, pythonTask(t, "pid", nil))
	for _, name := range []string{"sleeps", "spins", "stubborn"} {
		sign := filepath.Join(dir, name)
		task := pythonTask(t, name, sign)
		behind := pythonTask(t, "pid", nil)
		ends := m.start(task, behind)
		waitFor(t, func() bool { return exists(sign) })
		m.Stop(task)
		if r := <-ends[0]; r.Failure == nil || r.Failure.Kind != graph.FailCancelled || r.Died {
			t.Errorf("%s: %+v", name, r)
		}
		r := <-ends[1]
		if r.Failure != nil {
			t.Errorf("behind %s: %v", name, r.Failure)
			continue
		}
		if same := valueOf(t, r.Data) == first; same != (name != "stubborn") {
			t.Errorf("%s: the same interpreter: %v", name, same)
		}
	}
	late := pythonTask(t, "spins", filepath.Join(dir, "late"))
	late.Class.TimeLimit = 20 * time.Millisecond
	if r := m.Run(t.Context(), late); r.Failure == nil || r.Failure.Kind != graph.FailTime || !strings.Contains(r.Failure.Message, "time limit of 0.02s") {
		t.Errorf("%+v", r.Failure)
	}
}

// TestPythonMemory: a call that takes too much is the one that fails for it.
func TestPythonMemory(t *testing.T) {
	m := manager(t, Options{Slots: 1, Dir: pythonDir(t), Backoff: soon, MemoryLimit: 400 << 20})
	tasks := append([]*Task{pythonTask(t, "eat", nil)}, same(pythonTask(t, "echo", 1), 10)...)
	for i, end := range m.start(tasks...) {
		r := <-end
		if (i == 0) != (r.Failure != nil && r.Failure.Kind == graph.FailMemory && r.Died) || i > 0 && r.Failure != nil {
			t.Errorf("%d: %+v", i, r.Failure)
		}
	}
}

// TestPythonFork: a child of user code that comes back from its fork says nothing.
func TestPythonFork(t *testing.T) {
	m := manager(t, Options{Slots: 1, Dir: pythonDir(t)})
	first := mustCall(t, m, pythonTask(t, "fork", nil))
	if again := mustCall(t, m, pythonTask(t, "pid", nil)); again != first {
		t.Errorf("%v and %v", first, again)
	}
}

// pythonWorkerEnv makes the test binary a worker in whose directory Python functions
// start processes of every sort.
const pythonWorkerEnv = "YARND_TEST_PYTHON_DIR"

func pythonWorkerMain(marker, dir string) {
	m, err := newBlocking(Options{Adopt: true, Slots: 2, Dir: dir, Environ: append(os.Environ(), markEnv+"="+marker)})
	if err != nil {
		panic(err)
	}
	var t testing.T
	m.start(pythonTask(&t, "brood", filepath.Join(dir, "a")), pythonTask(&t, "brood", filepath.Join(dir, "b")))
	for !exists(filepath.Join(dir, "a")) || !exists(filepath.Join(dir, "b")) {
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Println("up")
	select {}
}

// TestNoPythonSurvives: neither an interpreter nor what it started outlives a worker that
// is killed, nor an interpreter that is.
func TestNoPythonSurvives(t *testing.T) {
	dir := pythonDir(t)
	mark := fmt.Sprintf("python-%d-%d", os.Getpid(), time.Now().UnixNano())
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), workerEnv+"="+mark, pythonWorkerEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if n := len(marked(mark)); n < 2*(2+4) {
		t.Errorf("only %d processes", n)
	}
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	waitFor(t, func() bool { return len(marked(mark)) == 0 })
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

// TestPythonClose ends interpreters that do nothing and that do not listen.
func TestPythonClose(t *testing.T) {
	dir := pythonDir(t)
	m := manager(t, Options{Slots: 2, Dir: dir, Adopt: false})
	ends := m.start(pythonTask(t, "stubborn", filepath.Join(dir, "s")), pythonTask(t, "pid", nil))
	waitFor(t, func() bool { return exists(filepath.Join(dir, "s")) })
	pids := m.Executors()
	m.Close()
	for _, end := range ends {
		<-end
	}
	for name, pid := range pids {
		if slices.ContainsFunc(processes(), func(p processInfo) bool { return p.pid == pid && !p.zombie }) {
			t.Errorf("%s lives", name)
		}
	}
	if r := m.Run(context.Background(), pythonTask(t, "pid", nil)); r.Failure == nil || r.Failure.Kind != graph.FailCancelled {
		t.Errorf("%+v", r.Failure)
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
