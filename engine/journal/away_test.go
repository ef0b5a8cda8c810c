package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/memstore"
)

// weather is a hook of memstore that a test changes.
var good = fine

type weather struct{ atomic.Pointer[string] }

const (
	fine  = "fine"
	fails = "fails" // each call
	hangs = "hangs" // each call, until its context ends
	once  = "once"  // the next flush, after it has worked
	stuck = "stuck" // as hangs, of segments alone
)

func (w *weather) is(s string) { w.Store(&s) }

func (w *weather) hook(ctx context.Context, c memstore.Call) memstore.Verdict {
	switch s := w.Load(); *s {
	case fails:
		return memstore.Verdict{Effect: memstore.Never, Err: errFault}
	case hangs:
		<-ctx.Done()
		return memstore.Verdict{Effect: memstore.Never, Err: ctx.Err()}
	case stuck:
		if strings.HasPrefix(c.Name, "segment") {
			<-ctx.Done()
			return memstore.Verdict{Effect: memstore.Never, Err: ctx.Err()}
		}
	case once:
		if c.Op == "flush" && w.CompareAndSwap(s, &good) {
			return memstore.Verdict{Err: errFault}
		}
	}
	return memstore.Verdict{}
}

// under starts an epoch in fine weather, in virtual time.
func under(t *testing.T, test func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch)) {
	synctest.Test(t, func(t *testing.T) {
		w := &weather{}
		w.is(fine)
		dir := memstore.New(1, false)
		e := begin(t, dir.Process(w.hook), 1)
		e.add("one")
		e.settle(t)
		test(t, w, dir, e)
	})
}

// An hour without the store: it is told once, in words for people; records gather; nothing is told
// safe; and when the store is back, all is.
func TestStoreIsAwayForAnHour(t *testing.T) {
	for _, how := range []string{fails, hangs} {
		t.Run(how, func(t *testing.T) {
			under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
				w.is(how)
				began := time.Now()
				want := []string{"one"}
				for i := range 60 {
					want = append(want, fmt.Sprint(i))
					e.add(want[i+1])
					time.Sleep(time.Minute)
				}
				if len(e.states) != 1 || len(e.flushed) != 0 || e.Pending() < 60 {
					t.Fatalf("%d states were told, %d positions, and %d bytes are pending", len(e.states), len(e.flushed), e.Pending())
				}
				err := <-e.states
				var away *journal.AwayError
				if !errors.As(err, &away) || away.Since.Sub(began) > 10*time.Second {
					t.Errorf("away: %v", err)
				}
				for _, say := range []string{"segment-", away.Since.Format(time.TimeOnly), "nothing new is acknowledged"} {
					if !strings.Contains(err.Error(), say) {
						t.Errorf("%q does not say %q", err, say)
					}
				}
				w.is(fine)
				e.settle(t)
				if err := <-e.states; err != nil {
					t.Errorf("well again: %v", err)
				}
				if e.Pending() != 0 {
					t.Errorf("%d bytes are pending", e.Pending())
				}
				e.close(t)
				if n := len(files(t, dir.Process(nil), "segment")); how == fails && n > 3 {
					t.Errorf("the outage left %d segments", n)
				}
				begin(t, dir.Process(nil), 2).holds(t, want...)
			})
		})
	}
}

// One file that fails is no news: the next one takes over.
func TestOneFileFails(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		w.is(once)
		e.add("two")
		e.settle(t)
		if len(e.states) != 0 {
			t.Errorf("it was told: %v", <-e.states)
		}
		e.close(t)
		begin(t, dir.Process(nil), 2).holds(t, "one", "two")
	})
}

// A snapshot that cannot be written is given up. Another one may be begun after a while, and records go on.
func TestSnapshotIsGivenUp(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		grown := e.Grown()
		w.is(fails)
		s := e.Snapshot()
		if e.Snapshot() != nil {
			t.Error("two snapshots at once")
		}
		s.Add([]byte("all"))
		synctest.Wait()
		if !s.Over() || e.Snapshot() != nil || e.Grown() != grown {
			t.Errorf("over: %v, and %d bytes have grown, of %d", s.Over(), e.Grown(), grown)
		}
		s.Add([]byte("nothing")) // whoever adds need not look
		s.End()
		w.is(fine)
		e.add("two")
		e.settle(t)
		time.Sleep(time.Minute)
		if !e.snap("all", "two") {
			t.Fatal("there is never another one")
		}
		synctest.Wait()
		if e.Size() == 0 {
			t.Error("there is no snapshot")
		}
		e.close(t)
		begin(t, dir.Process(nil), 2).holds(t, "all", "two")
	})
}

// A snapshot that is written while records go on counts when those are safe that it may know of.
func TestSnapshotWaitsForRecords(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		w.is(stuck)
		s := e.Snapshot()
		s.Add([]byte("one"))
		e.Append([]byte("two")) // nobody asks for it
		s.Add([]byte("and what came of it"))
		s.End()
		time.Sleep(5 * time.Second)
		if e.Size() != 0 {
			t.Error("a snapshot counts of which the records are not safe")
		}
		w.is(fine)
		time.Sleep(time.Minute)
		if e.Size() == 0 {
			t.Error("there is no snapshot")
		}
		e.kill(t)
		begin(t, dir.Process(nil), 2).holds(t, "one", "and what came of it", "two")
	})
}

// What waits for the store is bounded, if who adds looks.
func TestSnapshotHasRoom(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		w.is(hangs)
		s := e.Snapshot()
		n := 0
		for ; s.Room(); n++ {
			s.Add(make([]byte, 1<<20))
		}
		if n < 2 || n > 16 {
			t.Errorf("room for %d MiB", n)
		}
		w.is(fine)
		synctest.Wait()
		if !s.Room() && !s.Over() {
			time.Sleep(time.Minute) // the call that hangs gives up
		}
		if !s.Room() {
			t.Error("there is no room, though the store takes all")
		}
		s.End()
	})
}

// A snapshot without any new record lets earlier epochs' files go as well.
func TestSnapshotAtTheStart(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		e.close(t)
		b := begin(t, dir.Process(nil), 2)
		b.settle(t)
		b.snap("one")
		time.Sleep(time.Minute)
		for _, name := range append(files(t, dir.Process(nil), "segment"), files(t, dir.Process(nil), "snapshot")...) {
			if !strings.Contains(name, "-00000000000000000002-") {
				t.Errorf("there still is %s", name)
			}
		}
		b.close(t)
		begin(t, dir.Process(nil), 3).holds(t, "one")
	})
}

func TestCloseSaysWhatIsNotSafe(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		w.is(hangs)
		e.add("two", "three")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 2 {
			err := e.Close(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "last 2 records") {
				t.Errorf("close: %v", err)
			}
		}
	})
}

// Open waits for the store, as long as its context lets it.
func TestOpenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &weather{}
		w.is(fails)
		dir := memstore.New(1, false)
		o, e := options(dir.Process(w.hook), 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := journal.Open(ctx, o); !errors.Is(err, errFault) {
			t.Errorf("open: %v", err)
		}
		if len(e.states) != 1 {
			t.Errorf("%d states were told", len(e.states))
		}
		time.AfterFunc(time.Minute, func() { w.is(fine) })
		o.Epoch = 2
		start(t, o, e).close(t)
	})
}

// The files that were to be replayed may be gone by then, segments and snapshots, for a later epoch has a newer
// snapshot.
func TestReplayIsTooLate(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		for i := range uint64(2) {
			if i == 1 {
				e = begin(t, dir.Process(nil), 4)
				e.snap("all")
				time.Sleep(time.Minute)
			}
			e.close(t)
			o, _ := options(dir.Process(nil), 5*i+2)
			late, err := journal.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			c := begin(t, dir.Process(nil), 5*i+3)
			c.snap("all")
			time.Sleep(time.Minute)
			c.close(t)
			var fenced *journal.FencedError
			if err := late.Replay(t.Context(), func([]byte) error { return nil }); !errors.As(err, &fenced) {
				t.Errorf("replay: %v", err)
			}
			if err := late.Start(); err == nil {
				t.Error("it was started")
			}
		}
	})
}

// A segment in which nothing is may go while it is to be read: who made it had no use for it.
func TestReplayWithoutABlankSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := memstore.New(1, false)
		a := begin(t, dir.Process(nil), 1)
		a.settle(t)
		a.close(t)
		o, _ := options(dir.Process(nil), 2)
		j, err := journal.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		s := dir.Process(nil)
		for _, name := range files(t, s, "segment") {
			if err := s.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Replay(t.Context(), func([]byte) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}

// The caller's error ends the replay, and is what comes back.
func TestReplayOfUnknownRecords(t *testing.T) {
	under(t, func(t *testing.T, w *weather, dir *memstore.Dir, e *epoch) {
		e.close(t)
		o, _ := options(dir.Process(nil), 2)
		j, err := journal.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Replay(t.Context(), func([]byte) error { return errFault }); err != errFault {
			t.Error(err)
		}
		if err := j.Replay(t.Context(), func([]byte) error { return nil }); err == nil {
			t.Error("it was replayed twice")
		}
	})
}
