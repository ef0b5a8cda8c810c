package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

// sluice holds up what is to be made safe while it is shut.
type sluice struct {
	mu   sync.Mutex
	shut chan struct{} // nil: it is open; else closed when it opens
}

func (s *sluice) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = make(chan struct{})
}

func (s *sluice) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.shut)
	s.shut = nil
}

func (s *sluice) hook(ctx context.Context, c memstore.Call) (v memstore.Verdict) {
	s.mu.Lock()
	shut := s.shut
	s.mu.Unlock()
	if shut != nil && c.Op == "flush" {
		select {
		case <-shut:
		case <-ctx.Done():
			v.Err = ctx.Err()
		}
	}
	return v
}

// A worker keeps a result until it is safe that nobody needs it: should the release be lost, the result is there.
func TestFreesWaitForTheJournal(t *testing.T) {
	gate := &sluice{}
	c := start(t, Options{Journal: memstore.New(1, false).Process(gate.hook)})
	cl := c.client("alice", "")
	w := c.worker("w", 1, nil)
	job := cl.newJob("j")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1)
	w.send(wire.KindDone, finish(expect[*wire.Assign](w, wire.KindAssign), 1<<20, ""))
	cl.outcomes(watch, 1)

	gate.close()
	cl.start(&wire.Request{Body: &wire.Request_Release{Release: &wire.Release{Job: job, Index: []uint32{0}}}})
	cl.start(submit(batch(job, 1, 1)))
	late := time.After(patience)
	for assigned := false; !assigned; { // which came after the release, and does not wait
		select {
		case f := <-w.frames:
			if f.kind == wire.KindFree {
				t.Fatal("the result was let go of before the release was safe")
			}
			assigned = f.kind == wire.KindAssign
		case <-late:
			t.Fatal("no task came")
		}
	}
	gate.open()
	if m := expect[*wire.Tasks](w, wire.KindFree); m.Len() != 1 || m.Index[0] != 0 {
		t.Errorf("let go of: %v", m)
	}
}

// While nothing can be made safe, workers let go of results at once, also of what had waited until then: the store may be
// away for longer than they have room.
func TestFreesDoNotWaitWhileTheJournalIsAway(t *testing.T) {
	gate, away := &sluice{}, atomic.Bool{}
	c := start(t, Options{Journal: memstore.New(1, false).Process(func(ctx context.Context, call memstore.Call) memstore.Verdict {
		v := gate.hook(ctx, call)
		if away.Load() && v.Err == nil {
			v.Err = errors.New("the disk says no")
		}
		return v
	})})
	defer away.Store(false) // so that it can be closed
	cl := c.client("alice", "")
	w := c.worker("w", 1, nil)
	job := cl.newJob("j")
	_, watch := cl.start(watchFrom(job, 0))
	for i := range uint32(2) {
		cl.tasks(job, i, 1)
		w.send(wire.KindDone, finish(expect[*wire.Assign](w, wire.KindAssign), 1<<20, ""))
		cl.outcomes(watch, 1)
	}
	release := func(i uint32) {
		cl.start(&wire.Request{Body: &wire.Request_Release{Release: &wire.Release{Job: job, Index: []uint32{i}}}})
	}
	freed := func(i uint32) {
		t.Helper()
		if m := expect[*wire.Tasks](w, wire.KindFree); m.Len() != 1 || m.Index[0] != i {
			t.Errorf("let go of: %v, want %d", m, i)
		}
	}
	gate.close()
	release(0)
	away.Store(true)
	gate.open()
	freed(0)
	eventually(t, "it is said to be away", func() bool { return c.srv.loop.ledger.away.Load() != nil })
	release(1)
	freed(1)
	kept := make(chan int, 1)
	c.srv.loop.send(look(func(l *loop) {
		n := 0
		for i := range l.ledger.held {
			n += len(l.ledger.held[i].frees)
		}
		kept <- n
	}))
	if n := <-kept; n != 0 {
		t.Errorf("%d releases are kept", n)
	}
}

// What happened is still told when another scheduler has taken over, with a snapshot as without.
func TestEventsOutliveTheScheduler(t *testing.T) {
	for growth, what := range map[int64]string{1: "from a snapshot", 1 << 30: "from the records"} {
		t.Run(what, func(t *testing.T) {
			dir := memstore.New(1, false)
			first := start(t, Options{Journal: dir.Process(nil), JournalGrowth: growth})
			cl := first.client("alice", "")
			cl.newJob("nightly")
			w := first.worker("w", 1, nil)
			cl.awaitWorkers(1)
			if growth == 1 {
				eventually(t, "a snapshot", func() bool {
					cl.newJob("")
					return first.srv.loop.ledger.journal.Size() > 0
				})
			}
			before := eventsOf(cl)
			w.conn.Close()
			if err := first.srv.Close(); err != nil {
				t.Fatal(err)
			}
			second := start(t, Options{Journal: dir.Process(nil), Epoch: 2})
			after := eventsOf(second.client("alice", ""))
			for kind, n := range before {
				if after[kind] < n {
					t.Errorf("%s is told of %d times, and was %d times", kind, after[kind], n)
				}
			}
			if before["job.opened"] == 0 || before["worker.joined"] != 1 || after["scheduler.restarted"] != 1 {
				t.Errorf("events were %v, and are %v", before, after)
			}
		})
	}
}

func eventsOf(c *client) map[string]int {
	n := map[string]int{}
	for _, e := range c.call(&wire.Request{Body: &wire.Request_ListEvents{ListEvents: &wire.ListEvents{}}}).GetEvents().Event {
		n[e.Kind]++
	}
	return n
}
