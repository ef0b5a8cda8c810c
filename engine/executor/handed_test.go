package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Functions for tasks that are handed to an executor before they can begin.
func init() {
	// note leaves a file with its number in the directory that is its payload.
	testFuncs["note"] = func(_ context.Context, c *Call) ([]byte, error) {
		return nil, os.WriteFile(filepath.Join(string(c.Payload), fmt.Sprint(c.Task.Index)), nil, 0o600)
	}
	// until waits for a file.
	testFuncs["until"] = func(ctx context.Context, c *Call) ([]byte, error) {
		for ctx.Err() == nil {
			if _, err := os.Stat(string(c.Payload)); err == nil {
				return nil, nil
			}
			time.Sleep(time.Millisecond)
		}
		return nil, context.Cause(ctx)
	}
	// forge changes the shared page as its payload says, and crashes.
	testFuncs["forge"] = func(_ context.Context, c *Call) ([]byte, error) {
		p, err := mapPage(fdPage, 1)
		if err != nil {
			return nil, err
		}
		switch string(c.Payload) {
		case "nobody":
			p.set(0, 0)
		case "others":
			p.set(0, 1<<63+5)
		case "cut":
			if err := os.Truncate(fmt.Sprintf("/proc/self/fd/%d", fdPage), 0); err != nil {
				return nil, err
			}
		}
		os.Exit(3)
		return nil, nil
	}
	// flood speaks of calls that are none.
	testFuncs["flood"] = func(context.Context, *Call) ([]byte, error) {
		var d dones
		for i := range uint64(1000) {
			d.add(i*i<<20|7, time.Hour, 3, []byte("lie"))
		}
		frame := endFrame(appendDones(beginFrame(nil, kindDone), &d), 0)
		frame = endFrame(appendRecalled(beginFrame(frame, kindRecalled), []uint64{77, 1 << 62}, []bool{true, false}), len(frame))
		for range 200 {
			for rest := frame; len(rest) > 0; {
				n, err := syscall.Write(fdOut, rest)
				if err != nil && !errors.Is(err, syscall.EAGAIN) {
					return nil, err
				}
				rest = rest[max(n, 0):]
			}
		}
		return []byte("done"), nil
	}
	// huge announces a frame of 2 GiB.
	testFuncs["huge"] = func(context.Context, *Call) ([]byte, error) {
		os.NewFile(fdOut, "").Write([]byte{0, 0, 0, 0x80, byte(kindDone), 1, 2, 3})
		select {}
	}
}

var soon = [2]time.Duration{time.Millisecond, time.Millisecond}

// handed returns tasks with numbers of their own.
func handed(n int, name, payload string) []*Task {
	tasks := make([]*Task, n)
	for i := range tasks {
		tasks[i] = goTask(name, payload)
		tasks[i].ID.Index = uint32(i)
		tasks[i].Ahead = i > 0
	}
	return tasks
}

// TestOnlyWhoRanIsBlamed: of 200 that a dead executor had, those that had not begun run
// in the next one.
func TestOnlyWhoRanIsBlamed(t *testing.T) {
	for _, name := range []string{"exit", "kill", "crash", "huge"} {
		t.Run(name, func(t *testing.T) {
			m := manager(t, Options{Slots: 1, Backoff: soon})
			tasks := handed(200, "echo", "x")
			tasks[20] = goTask(name, "")
			ends := m.start(tasks...)
			for i, end := range ends {
				r := <-end
				if i != 20 && (r.Failure != nil || string(r.Data) != "x") {
					t.Errorf("%d: %v", i, r.Failure)
				}
				if i == 20 && (r.Failure == nil || r.Failure.Kind != graph.FailDied || !r.Died) {
					t.Errorf("the one: %+v", r.Failure)
				}
			}
			if d := m.died(); len(d) != 1 || len(d[0]) != 1 {
				t.Errorf("deaths: %v", d)
			}
		})
	}
}

// TestTimeLimitInTheNextExecutor: a task that had not begun when its executor died has its
// time limit in the next one, though it does not heed it.
func TestTimeLimitInTheNextExecutor(t *testing.T) {
	m := manager(t, Options{Slots: 1, Backoff: soon, Grace: time.Millisecond})
	deaf := goTask("deaf", "")
	deaf.Class.TimeLimit = time.Millisecond
	ends := m.start(goTask("kill", ""), deaf)
	if f := (<-ends[0]).Failure; f == nil || f.Kind != graph.FailDied {
		t.Errorf("the one that kills: %+v", f)
	}
	if f := (<-ends[1]).Failure; f == nil || f.Kind != graph.FailTime {
		t.Errorf("the one after it: %+v", f)
	}
}

// TestMemoryOfHanded: only what ran when the memory was short fails for it.
func TestMemoryOfHanded(t *testing.T) {
	m := manager(t, Options{Slots: 1, Backoff: soon, MemoryLimit: room(t, 400<<20)})
	tasks := append([]*Task{goTask("oom", "")}, handed(20, "echo", "x")...)
	for i, end := range m.start(tasks...) {
		r := <-end
		if (i == 0) != (r.Failure != nil && r.Failure.Kind == graph.FailMemory && r.Died) || i > 0 && r.Failure != nil {
			t.Errorf("%d: %+v", i, r.Failure)
		}
	}
}

// TestRecallRacesBegin: whatever is recalled has not begun and never does; whatever is
// kept ends.
func TestRecallRacesBegin(t *testing.T) {
	m := manager(t, Options{Slots: 2})
	mustRun(t, m, goTask("echo", ""))
	recalled, ended := 0, 0
	for round := range 20 {
		dir := t.TempDir()
		tasks := handed(50, "note", dir)
		ends := m.start(tasks...)
		m.Recall(tasks[round:])
		for i, end := range ends {
			r := <-end
			_, err := os.Stat(filepath.Join(dir, fmt.Sprint(i)))
			if ran := err == nil; ran != (r.What == Ended) || r.Failure != nil {
				t.Errorf("%d: report %v, it ran: %v, %v", i, r.What, ran, r.Failure)
			}
			if r.What == Recalled {
				recalled++
			} else {
				ended++
			}
		}
		// What was recalled can be given again.
		if r := m.Run(t.Context(), tasks[49]); r.Failure != nil {
			t.Error(r.Failure)
		}
	}
	if recalled == 0 || ended < 20 {
		t.Errorf("%d recalled, %d ended", recalled, ended)
	}
}

// TestRecallIsAnswered: for one that runs, one that waits for an executor, and one that
// waits in it.
func TestRecallIsAnswered(t *testing.T) {
	m := manager(t, Options{Slots: 1, Backoff: [2]time.Duration{time.Hour, time.Hour}})
	gate := filepath.Join(t.TempDir(), "gate")
	tasks := handed(3, "until", gate)
	ends := m.start(tasks...)
	waitFor(t, func() bool { return runningCalls(m) == 1 })
	m.Recall(tasks[:2])
	if r := <-ends[1]; r.What != Recalled {
		t.Errorf("%+v", r)
	}
	waitFor(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.others) == 1 && m.others[0].Task == tasks[0]
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		if r := <-ends[i]; r.Failure != nil || r.What != Ended {
			t.Errorf("%d: %+v", i, r)
		}
	}
	m.Run(t.Context(), goTask("exit", "")) // the next start is an hour away
	task := goTask("echo", "")
	end := m.start(task)[0]
	m.Recall([]*Task{task})
	if r := <-end; r.What != Recalled {
		t.Errorf("%+v", r)
	}
}

// runningCalls returns how many calls executors say that they run.
func runningCalls(m *blocking) (n int) {
	for _, p := range m.live() {
		n += len(p.running())
	}
	return n
}

// TestStopOfHanded: one that has not begun ends at once, and never begins.
func TestStopOfHanded(t *testing.T) {
	both(t, Options{Slots: 1}, func(t *testing.T, m *blocking) {
		dir := t.TempDir()
		gate := filepath.Join(dir, "gate")
		tasks := append([]*Task{goTask("until", gate)}, handed(3, "note", dir)...)
		ends := m.start(tasks...)
		m.Stop(tasks[2])
		if r := <-ends[2]; r.Failure == nil || r.Failure.Kind != graph.FailCancelled {
			t.Errorf("%+v", r)
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 1, 3} {
			if r := <-ends[i]; r.Failure != nil {
				t.Errorf("%d: %v", i, r.Failure)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "1")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it ran: %v", err)
		}
	})
}

// TestTimeLimitOfHanded counts from the beginning, not from the handing over.
func TestTimeLimitOfHanded(t *testing.T) {
	both(t, Options{Slots: 1}, func(t *testing.T, m *blocking) {
		gate := filepath.Join(t.TempDir(), "gate")
		tasks := handed(3, "echo", "x")
		tasks[0] = goTask("until", gate)
		tasks[2] = goTask("wait", "")
		for _, task := range tasks[1:] {
			task.Class.TimeLimit, task.Ahead = 50*time.Millisecond, true
		}
		ends := m.start(tasks...)
		over := time.Now().Add(200 * time.Millisecond)
		waitFor(t, func() bool { return time.Now().After(over) })
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := <-ends[1]; r.Failure != nil {
			t.Errorf("it had not begun: %v", r.Failure)
		}
		if r := <-ends[2]; r.Failure == nil || r.Failure.Kind != graph.FailTime {
			t.Errorf("%+v", r.Failure)
		}
	})
}

// TestDeafWithOthersBehind: what waits behind a function that does not end runs in
// another executor.
func TestDeafWithOthersBehind(t *testing.T) {
	m := manager(t, Options{Slots: 1, Grace: 10 * time.Millisecond, Backoff: soon})
	tasks := append([]*Task{goTask("deaf", "")}, handed(5, "echo", "x")...)
	ends := m.start(tasks...)
	waitFor(t, func() bool { return runningCalls(m) == 1 })
	m.Stop(tasks[0])
	for i, end := range ends {
		r := <-end
		if i == 0 && (r.Failure == nil || r.Failure.Kind != graph.FailCancelled || r.Died) || i > 0 && r.Failure != nil {
			t.Errorf("%d: %+v", i, r.Failure)
		}
	}
}

// TestForgedPage: whatever the page says, somebody is blamed in the end, and nobody who
// was never handed over.
func TestForgedPage(t *testing.T) {
	for _, how := range []string{"nobody", "others", "cut"} {
		t.Run(how, func(t *testing.T) {
			m := manager(t, Options{Slots: 1, Backoff: soon})
			tasks := append([]*Task{goTask("forge", how)}, handed(4, "echo", "x")...)
			for i, end := range m.start(tasks...) {
				if r := <-end; r.Failure == nil || r.Failure.Kind != graph.FailDied || !strings.Contains(r.Failure.Message, "code 3") {
					t.Errorf("%d: %+v", i, r.Failure)
				}
			}
			if d := m.died(); len(d) != 1 || len(d[0]) != len(tasks) {
				t.Errorf("they did not die together: %v", d)
			}
			mustRun(t, m, goTask("echo", "x"))
		})
	}
}

func TestFloodOfUnknownCalls(t *testing.T) {
	m := manager(t, Options{Slots: 1})
	if got := mustRun(t, m, goTask("flood", "")); string(got) != "done" {
		t.Errorf("%q", got)
	}
	if len(m.others) > 0 {
		t.Errorf("%v", m.others)
	}
}

// TestManyInputs: more than fit into one frame, some to be read, and the order is kept.
func TestManyInputs(t *testing.T) {
	both(t, Options{Slots: 2}, func(t *testing.T, m *blocking) {
		task := goTask("join", "")
		var want []byte
		for i := range 200_000 {
			data := fmt.Appendf(nil, "%08d", i)
			if i%50_000 == 7 {
				data = append(data, make([]byte, 2*sendInput)...) // too large to be sent
			}
			task.Inputs = append(task.Inputs, TaskInput{Task: graph.TaskID{Job: 2, Index: uint32(i)}, Size: int64(len(data)), Data: data})
			want = append(want, data...)
		}
		other := goTask("echo", "between")
		ends := m.start(other, task, goTask("echo", "behind"))
		for i, end := range ends {
			r := <-end
			if r.Failure != nil {
				t.Fatal(r.Failure)
			}
			if i == 1 && string(r.Data) != string(want) {
				t.Errorf("%d bytes of %d, or in another order", len(r.Data), len(want))
			}
		}
	})
}
