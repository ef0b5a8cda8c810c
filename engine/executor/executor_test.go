package executor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/engine/graph"
)

// funcs are functions of the test binary.
type funcs map[string]Func

func (f funcs) Lookup(name string) (Func, bool) {
	fn, ok := f[name]
	return fn, ok
}

var testFuncs = funcs{
	"echo": func(_ context.Context, c *Call) ([]byte, error) { return c.Payload, nil },
	"pid":  func(context.Context, *Call) ([]byte, error) { return fmt.Append(nil, os.Getpid()), nil },
	"about": func(_ context.Context, c *Call) ([]byte, error) {
		return fmt.Append(nil, c.Name, " ", c.Task, " ", c.Attempt, " ", c.Host, " ", c.Worker, " ", len(c.Spec), " ", os.Getenv(envChild)), nil
	},
	"join": func(_ context.Context, c *Call) ([]byte, error) {
		var out []byte
		for _, in := range c.Inputs {
			b, err := in.Bytes()
			if err != nil {
				return nil, err
			}
			out = append(out, b...)
		}
		return out, nil
	},
	"digest": func(_ context.Context, c *Call) ([]byte, error) {
		h := sha256.New()
		for _, in := range c.Inputs {
			if _, err := io.Copy(h, in.Open()); err != nil {
				return nil, err
			}
		}
		return h.Sum(nil), nil
	},
	"large": func(_ context.Context, c *Call) ([]byte, error) { return bytes.Repeat([]byte("x"), 3*chunkSize+1), nil },
	"fail":  func(context.Context, *Call) ([]byte, error) { return nil, errors.New("no luck") },
	// parts reads its input in pieces, many at once, and streams what it read.
	"parts": func(_ context.Context, c *Call) ([]byte, error) {
		all := make([]byte, c.Inputs[0].Size)
		const step = 100_000
		errs := make(chan error)
		n := 0
		for at := 0; at < len(all); at += step {
			n++
			go func() {
				_, err := c.Inputs[0].ReadAt(all[at:min(at+step, len(all))], int64(at))
				errs <- err
			}()
		}
		var failed error
		for range n {
			failed = errors.Join(failed, <-errs)
		}
		size := int64(len(all))
		if len(c.Payload) > 0 { // more than it gives
			size++
		}
		c.Stream = sized{bytes.NewReader(all), size}
		return nil, failed
	},
	"endless": func(_ context.Context, c *Call) ([]byte, error) {
		c.Stream = sized{zeros{}, 1 << 50}
		return nil, nil
	},
	"panic":  func(context.Context, *Call) ([]byte, error) { panic("ouch") },
	"goexit": func(context.Context, *Call) ([]byte, error) { runtime.Goexit(); return nil, nil },
	"own": func(context.Context, *Call) ([]byte, error) {
		return nil, fmt.Errorf("wrapped: %w", &graph.Failure{Kind: graph.FailInput, Message: "own", ExitCode: 7})
	},
	"exit": func(context.Context, *Call) ([]byte, error) {
		fmt.Fprintln(os.Stderr, "famous last words")
		os.Exit(3)
		return nil, nil
	},
	"kill": func(context.Context, *Call) ([]byte, error) {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	},
	"crash": func(context.Context, *Call) ([]byte, error) {
		go func() { panic("in the background") }()
		select {}
	},
	"oom": func(context.Context, *Call) ([]byte, error) {
		var hold [][]byte
		for {
			b := make([]byte, 8<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hold = append(hold, b)
			if len(hold) > 200 {
				return nil, errors.New("nobody stopped me")
			}
			time.Sleep(5 * time.Millisecond)
		}
	},
	"wait": func(ctx context.Context, _ *Call) ([]byte, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	},
	"deaf": func(context.Context, *Call) ([]byte, error) { select {} },
	"print": func(_ context.Context, c *Call) ([]byte, error) {
		fmt.Println("out")
		fmt.Fprint(os.Stderr, "err")
		return nil, nil
	},
	"garbage": func(context.Context, *Call) ([]byte, error) {
		os.NewFile(fdOut, "").Write([]byte{0xff, 0xff, 0xff, 0xff, 1})
		select {}
	},
	// spawn leaves processes behind: a plain one and one in a session of its own.
	"spawn": func(_ context.Context, c *Call) ([]byte, error) {
		cmd := exec.Command("sh", "-c", "sleep 1000 & setsid sleep 1000 & sleep 1000")
		cmd.Env = append(os.Environ(), string(c.Payload))
		return nil, cmd.Start()
	},
}

func TestMain(m *testing.M) {
	if InChild() {
		os.Exit(Main(os.Args[2:], testFuncs))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // of the executors
	if marker := os.Getenv(workerEnv); marker != "" {
		workerMain(marker)
	}
	goleak.VerifyTestMain(m)
}

var taskNumber uint32

func goTask(name string, payload string, inputs ...[]byte) *Task {
	t := &Task{
		ID: graph.TaskID{Job: 1, Index: taskNumber}, Attempt: 1,
		Class:   &graph.Class{Name: name, Kind: graph.KindGo},
		Payload: []byte(payload),
	}
	for i, in := range inputs {
		t.Inputs = append(t.Inputs, TaskInput{Task: graph.TaskID{Job: 2, Index: uint32(i)}, Size: int64(len(in)), At: bytes.NewReader(in)})
	}
	return t
}

// both runs a test with functions inside this process and in one of their own.
func both(t *testing.T, o Options, f func(t *testing.T, m *blocking)) {
	for _, inside := range []bool{false, true} {
		name := "process"
		o.Funcs = nil
		if inside {
			name, o.Funcs = "inside", testFuncs
		}
		t.Run(name, func(t *testing.T) { f(t, manager(t, o)) })
	}
}

func mustRun(t *testing.T, m *blocking, task *Task) []byte {
	t.Helper()
	r := m.Run(t.Context(), task)
	if r.Failure != nil {
		t.Fatalf("%s: %v\n%s", task.Class.Name, r.Failure, r.Failure.Output)
	}
	return r.Data
}

func TestFunctions(t *testing.T) {
	both(t, Options{Host: "nm1", Worker: "c7"}, func(t *testing.T, m *blocking) {
		if got := mustRun(t, m, goTask("echo", "hello")); string(got) != "hello" {
			t.Errorf("echo: %q", got)
		}
		if got := mustRun(t, m, goTask("echo", "")); len(got) != 0 {
			t.Errorf("echo of nothing: %q", got)
		}
		task := goTask("about", "")
		task.Class.Spec = []byte("spec")
		if got := mustRun(t, m, task); string(got) != "about 1/0 1 nm1 c7 4 " {
			t.Errorf("about: %q", got)
		}
		if got := mustRun(t, m, goTask("large", "")); len(got) != 3*chunkSize+1 || len(bytes.Trim(got, "x")) != 0 {
			t.Errorf("large: %d bytes", len(got))
		}
	})
}

func TestInputs(t *testing.T) {
	both(t, Options{}, func(t *testing.T, m *blocking) {
		inputs := [][]byte{[]byte("a"), nil, bytes.Repeat([]byte("b"), sendInput+1), bytes.Repeat([]byte("cd"), 3*chunkSize), []byte("e")}
		want := bytes.Join(inputs, nil)
		if got := mustRun(t, m, goTask("join", "", inputs...)); !bytes.Equal(got, want) {
			t.Errorf("join: %d bytes, want %d", len(got), len(want))
		}
		sum := sha256.Sum256(want)
		if got := mustRun(t, m, goTask("digest", "", inputs...)); !bytes.Equal(got, sum[:]) {
			t.Error("digest of streams differs")
		}
	})
}

type sized struct {
	io.Reader
	size int64
}

func (s sized) Size() int64  { return s.size }
func (s sized) Close() error { return nil }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// slow is an input that lies elsewhere: it gives nothing before all have asked.
type slow struct {
	data  []byte
	asked sync.WaitGroup
}

func (s *slow) ReadAt(p []byte, off int64) (int, error) {
	s.asked.Done()
	s.asked.Wait()
	return copy(p, s.data[off:]), nil
}

// Reads of inputs that lie elsewhere do not wait for one another; a result is sent as it
// is read, and one that ends early is a failure.
func TestFarInputsAndStreams(t *testing.T) {
	both(t, Options{}, func(t *testing.T, m *blocking) {
		far := func(payload string, n int) *Task {
			s := &slow{data: bytes.Repeat([]byte("0123456789"), 10_000*n)}
			s.asked.Add(n)
			task := goTask("parts", payload)
			task.Inputs = []TaskInput{{Task: graph.TaskID{Job: 2}, Size: int64(len(s.data)), At: s, Far: true}}
			return task
		}
		if got := mustRun(t, m, far("", maxFar)); len(got) != maxFar*100_000 || !bytes.HasPrefix(got, []byte("01234567890")) {
			t.Errorf("%d bytes", len(got))
		}
		r := m.Run(t.Context(), far("more", 2))
		if r.Failure == nil || r.Failure.Kind != graph.FailUser || !strings.Contains(r.Failure.Message, "200001 bytes") {
			t.Errorf("%+v", r.Failure)
		}
		task := goTask("parts", "")
		task.Inputs = []TaskInput{{Task: graph.TaskID{Job: 2}, Size: 5, At: brokenInput{}, Far: true}}
		if r := m.Run(t.Context(), task); r.Failure == nil || r.Failure.Kind != graph.FailInput {
			t.Errorf("%+v", r.Failure)
		}
	})
}

type brokenInput struct{}

func (brokenInput) ReadAt([]byte, int64) (int, error) { return 0, errors.New("bad sector") }

func TestUnreadableInput(t *testing.T) {
	both(t, Options{}, func(t *testing.T, m *blocking) {
		task := goTask("join", "")
		task.Inputs = []TaskInput{{Task: graph.TaskID{Job: 2}, Size: 5, At: brokenInput{}}}
		r := m.Run(t.Context(), task)
		if r.Failure == nil || r.Failure.Kind != graph.FailInput || !strings.Contains(r.Failure.Message, "bad sector") {
			t.Errorf("%+v", r.Failure)
		}
	})
}

func TestFailuresOfFunctions(t *testing.T) {
	both(t, Options{}, func(t *testing.T, m *blocking) {
		for _, c := range []struct {
			name    string
			kind    graph.FailKind
			message string
			stack   string
			code    int32
		}{
			{"fail", graph.FailUser, "no luck", "", 0},
			{"panic", graph.FailUser, "panic: ouch", "executor_test.go", 0},
			{"goexit", graph.FailUser, "without returning", "", 0},
			{"own", graph.FailInput, "wrapped: own", "", 7},
		} {
			r := m.Run(t.Context(), goTask(c.name, ""))
			f := r.Failure
			if f == nil || f.Kind != c.kind || !strings.Contains(f.Message, c.message) || !strings.Contains(f.Stack, c.stack) || f.ExitCode != c.code {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		mustRun(t, m, goTask("echo", "still here"))
	})
}

func TestUnknownFunction(t *testing.T) {
	m := manager(t, Options{})
	if f := m.Run(t.Context(), goTask("nope", "")).Failure; f == nil || f.Kind != graph.FailSetup || !strings.Contains(f.Message, `"nope"`) {
		t.Errorf("%+v", f)
	}
}

func TestUnknownKind(t *testing.T) {
	m := manager(t, Options{})
	task := goTask("f", "")
	task.Class.Kind = 99
	if f := m.Run(t.Context(), task).Failure; f == nil || f.Kind != graph.FailSetup || !strings.Contains(f.Message, "kind(?)") {
		t.Errorf("%+v", f)
	}
}

func TestOneProcessForManyCalls(t *testing.T) {
	m := manager(t, Options{})
	var wg sync.WaitGroup
	var pids sync.Map
	for range 200 {
		wg.Go(func() {
			r := m.Run(t.Context(), goTask("pid", ""))
			if r.Failure != nil {
				t.Error(r.Failure)
			}
			pids.Store(string(r.Data), true)
		})
	}
	wg.Wait()
	n := 0
	pids.Range(func(pid, _ any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d executor processes", n)
	}
	if _, ok := pids.Load(fmt.Sprint(os.Getpid())); ok {
		t.Error("it ran in this process")
	}
}

func TestDeaths(t *testing.T) {
	m := manager(t, Options{Backoff: [2]time.Duration{time.Millisecond, time.Millisecond}})
	for _, c := range []struct {
		name    string
		message string
		output  string
		code    int32
	}{
		{"exit", "exited with code 3: famous last words", "famous last words", 3},
		{"kill", "signal 9", "", 137},
		{"crash", "panic: in the background", "goroutine", 2},
		{"garbage", "protocol violation: frame 1 of 4294967295 bytes", "", 1},
	} {
		// All that ran in the process share its fate, whoever is to blame.
		bystander := make(chan *graph.Failure, 1)
		go func() { bystander <- m.Run(t.Context(), goTask("wait", "")).Failure }()
		waitFor(t, func() bool { return begun(m) == 1 })
		for _, f := range []*graph.Failure{m.Run(t.Context(), goTask(c.name, "")).Failure, <-bystander} {
			if f == nil || f.Kind != graph.FailDied || f.ExitCode != c.code ||
				!strings.Contains(f.Message, c.message) || !strings.Contains(string(f.Output), c.output) {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if got := mustRun(t, m, goTask("echo", "again")); string(got) != "again" {
			t.Errorf("after %s: %q", c.name, got)
		}
	}
}

// begun returns how many calls executors say that they run.
func begun(m *blocking) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.all {
		n += len(p.running())
	}
	return n
}

// calls returns how many calls are in executors.
func calls(m *blocking) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.all {
		p.mu.Lock()
		n += p.calls.count
		p.mu.Unlock()
	}
	return n
}

func TestMemory(t *testing.T) {
	m := manager(t, Options{MemoryLimit: room(t, 400<<20)})
	f := m.Run(t.Context(), goTask("oom", "")).Failure
	if f == nil || f.Kind != graph.FailMemory {
		t.Errorf("%+v", f)
	}
	mustRun(t, m, goTask("echo", ""))
	if u := m.Usage(); u.RSS == 0 || u.VmSize < u.RSS {
		t.Errorf("usage %+v", u)
	}
}

func TestStopAndTimeLimit(t *testing.T) {
	both(t, Options{}, func(t *testing.T, m *blocking) {
		mustRun(t, m, goTask("echo", "")) // it has started
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if f := m.Run(ctx, goTask("wait", "")).Failure; f == nil || f.Kind != graph.FailCancelled {
			t.Errorf("stop: %+v", f)
		}
		task := goTask("wait", "")
		task.Class.TimeLimit = 20 * time.Millisecond
		if f := m.Run(t.Context(), task).Failure; f == nil || f.Kind != graph.FailTime || !strings.Contains(f.Message, "20ms") {
			t.Errorf("time limit: %+v", f)
		}
	})
}

// TestDeafFunction: a function that does not end costs its executor, but not the
// others that run there.
func TestDeafFunction(t *testing.T) {
	m := manager(t, Options{Grace: 10 * time.Millisecond})
	before := string(mustRun(t, m, goTask("pid", "")))
	other, stopOther := context.WithCancel(t.Context())
	bystander := make(chan Result, 1)
	go func() { bystander <- m.Run(other, goTask("wait", "")) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	deaf := make(chan Result, 1)
	go func() { deaf <- m.Run(ctx, goTask("deaf", "")) }()
	waitFor(t, func() bool { return string(mustRun(t, m, goTask("pid", ""))) != before })
	select {
	case r := <-deaf:
		t.Fatalf("the executor died under the bystander: %+v", r.Failure)
	case r := <-bystander:
		t.Fatalf("bystander: %+v", r.Failure)
	default:
	}
	stopOther()
	if f := (<-bystander).Failure; f == nil || f.Kind != graph.FailCancelled {
		t.Errorf("bystander: %+v", f)
	}
	if f := (<-deaf).Failure; f == nil || f.Kind != graph.FailCancelled {
		t.Errorf("deaf: %+v", f)
	}
}

func TestOutputIsPassedOn(t *testing.T) {
	var out, errs bytes.Buffer
	m, err := newBlocking(Options{Stdout: &out, Stderr: &errs})
	if err != nil {
		t.Fatal(err)
	}
	pid := mustRun(t, m, goTask("pid", ""))
	mustRun(t, m, goTask("print", ""))
	m.Close()
	if want := fmt.Sprintf("[go %s] out\n", pid); out.String() != want {
		t.Errorf("stdout %q, want %q", &out, want)
	}
	if want := fmt.Sprintf("[go %s] err\n", pid); errs.String() != want {
		t.Errorf("stderr %q, want %q", &errs, want)
	}
}

func TestBundles(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	good, bad, gone, hangs := graph.Digest{1}, graph.Digest{2}, graph.Digest{3}, graph.Digest{4}
	script := func(text string) string {
		path := t.TempDir() + "/bundle"
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	paths := map[graph.Digest]string{good: self, bad: script("echo no such flag >&2; exit 64"), hangs: script("sleep 1000")}
	o := Options{
		Own: graph.Digest{9}, Funcs: testFuncs,
		Backoff: [2]time.Duration{time.Millisecond, time.Millisecond},
		Bundle: func(_ context.Context, d graph.Digest) (string, error) {
			if p, ok := paths[d]; ok {
				return p, nil
			}
			return "", errors.New("the scheduler does not have it")
		},
	}
	m := manager(t, o)
	of := func(d graph.Digest) *Task {
		task := goTask("pid", "")
		task.Class.Bundle = d
		return task
	}
	if got := string(mustRun(t, m, of(good))); got == fmt.Sprint(os.Getpid()) {
		t.Error("a bundle ran inside the worker")
	}
	if got := string(mustRun(t, m, of(graph.Digest{9}))); got != fmt.Sprint(os.Getpid()) {
		t.Error("the own digest is not the own binary")
	}
	for d, c := range map[graph.Digest]struct {
		text string
		code int32
		wait time.Duration
	}{
		bad:   {"no such flag", 64, 0},
		gone:  {"does not have it", 0, 0},
		hangs: {"not ready", 143, 300 * time.Millisecond},
	} {
		o := o
		o.StartTime = c.wait
		m := manager(t, o)
		f := m.Run(t.Context(), of(d)).Failure
		if f == nil || f.Kind != graph.FailSetup || !strings.Contains(f.Message, c.text) || f.ExitCode != c.code {
			t.Errorf("%v: %+v", d[0], f)
		}
	}
}

func TestIdleExecutorsEnd(t *testing.T) {
	m := manager(t, Options{IdleTime: 20 * time.Millisecond})
	first := string(mustRun(t, m, goTask("pid", "")))
	waitFor(t, func() bool { return len(m.Executors()) == 0 })
	if second := string(mustRun(t, m, goTask("pid", ""))); second == first {
		t.Error("the same process")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	both(t, Options{Grace: 10 * time.Millisecond}, func(t *testing.T, m *blocking) {
		running := make(chan Result, 1)
		mustRun(t, m, goTask("echo", ""))
		go func() { running <- m.Run(context.Background(), goTask("wait", "")) }()
		waitFor(t, func() bool { return calls(m) == 1 })
		m.Close()
		if f := (<-running).Failure; f == nil || f.Kind != graph.FailCancelled {
			t.Errorf("%+v", f)
		}
		if f := m.Run(t.Context(), goTask("echo", "")).Failure; f == nil || f.Kind != graph.FailCancelled {
			t.Errorf("after Close: %+v", f)
		}
	})
}

func TestProbeVmSize(t *testing.T) {
	n, err := ProbeVmSize(t.Context(), "")
	if err != nil || n < 100<<20 || n > 100<<30 {
		t.Errorf("%d, %v", n, err)
	}
	t.Logf("VmSize of an executor of this test binary: %d MiB", n>>20)
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(15 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatal("the condition did not come true in 15 s")
		}
		<-tick.C
	}
}
