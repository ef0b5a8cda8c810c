package executor

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
