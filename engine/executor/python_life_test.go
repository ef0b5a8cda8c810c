package executor

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

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
	m := manager(t, Options{Slots: 1, Dir: pythonDir(t), Backoff: soon, MemoryLimit: room(t, 400<<20)})
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
