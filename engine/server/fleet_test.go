package server

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/engine/wire"
)

// fleet records what it is told.
type fleet struct {
	mu       sync.Mutex
	released []string
	wants    map[string]int // by pool
	last     Report
	reports  int
	block    chan struct{} // if set, every call waits for it
}

func (f *fleet) Want(pool string, n int, _ string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wants == nil {
		f.wants = map[string]int{}
	}
	f.wants[pool] = n
}

func (f *fleet) Release(workers []string, _ string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = append(f.released, workers...)
}

func (f *fleet) Report(r Report) {
	if f.block != nil {
		<-f.block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last, f.reports = r, f.reports+1
}

func (f *fleet) report() Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Shrinking drains workers, tells them, and gives their containers back.
func TestShrink(t *testing.T) {
	f := &fleet{}
	c := start(t, Options{Fleet: f})
	cl := c.client("alice", "")
	workers := []*peer{c.worker("w0", 1, nil), c.worker("w1", 1, nil), c.worker("w2", 1, nil)}
	cl.awaitWorkers(3)
	c.srv.Shrink("worker", 1)
	retired := map[string]bool{}
	for len(retired) < 2 {
		for i, w := range workers {
			select {
			case fr := <-w.frames:
				if fr.kind == wire.KindRetire {
					retired[[]string{"w0", "w1", "w2"}[i]] = true
					w.conn.Bye(context.Background(), "retired")
				}
			default:
			}
		}
	}
	cl.awaitWorkers(1)
	eventually(t, "the fleet is told", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.released) == 2 })
	for name := range retired {
		if !slices.Contains(f.released, name) {
			t.Errorf("%s retired, %v released", name, f.released)
		}
	}
}

// Drained by name, a worker goes when what it runs has ended, and no other does. It
// is drained again when it has connected anew; one that is not here may go at once.
func TestDrain(t *testing.T) {
	f := &fleet{}
	released := func(name string) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Contains(f.released, name)
	}
	c := start(t, Options{Fleet: f})
	cl := c.client("alice", "")
	w0 := c.worker("w0", 1, nil)
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1)
	m := expect[*wire.Assign](w0, wire.KindAssign)
	w0.send(wire.KindStarted, started(m))
	c.worker("w1", 1, nil)
	cl.awaitWorkers(2)
	c.srv.Drain([]string{"w0", "nobody"}, "retired by alice")
	eventually(t, "one that is not here may go", func() bool { return released("nobody") })
	if released("w0") || cl.state(0) != "draining" {
		t.Errorf("w0 is %s while it runs a task", cl.state(0))
	}
	w0.send(wire.KindDone, finish(m, 0, "x"))
	cl.outcomes(watch, 1)
	eventually(t, "w0 may go", func() bool { return released("w0") })
	if released("w1") {
		t.Error("w1 was released")
	}
	w0.conn.Close()
	f.mu.Lock()
	f.released = nil
	f.mu.Unlock()
	c.worker("w0", 1, nil)
	eventually(t, "w0 may go again", func() bool { return released("w0") })
}

func TestReport(t *testing.T) {
	f := &fleet{}
	c := start(t, Options{Fleet: f})
	w := c.worker("w", 1, nil)
	cl := c.client("alice", "")
	job := cl.newJob("nightly")
	cl.tasks(job, 0, 3)
	w.send(wire.KindStarted, started(expect[*wire.Assign](w, wire.KindAssign)))
	eventually(t, "a busy report", func() bool {
		r := f.report()
		return len(r.Workers) == 1 && r.Workers[0].Running > 0 && r.Unfinished == 3 && r.Clients == 1 && r.IdleSince.IsZero() &&
			len(r.Jobs) == 1 && r.Jobs[0].Name == "nightly" && r.Jobs[0].Tasks == 3
	})
	cl.call(closeJob(job))
	cl.conn.Close()
	eventually(t, "an idle report", func() bool {
		r := f.report()
		return !r.IdleSince.IsZero() && r.Clients == 0 && len(r.Jobs) == 0
	})
}

// A fleet that hangs does not hold up the scheduler.
func TestSlowFleet(t *testing.T) {
	f := &fleet{block: make(chan struct{})}
	c := start(t, Options{Fleet: f})
	c.autoWorker("w", 1, echo)
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1000)
	cl.outcomes(watch, 1000)
	close(f.block)
}
