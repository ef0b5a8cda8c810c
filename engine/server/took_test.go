package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

// A scheduler that takes over knows how long tasks take: as many workers as were enough for
// the one before are enough for it, with a snapshot as without.
func TestTooksOutliveTheScheduler(t *testing.T) {
	for _, growth := range []int64{0, 1} {
		t.Run(fmt.Sprint("growth ", growth), func(t *testing.T) {
			dir := memstore.New(1, false)
			first := dir.Process(nil)
			f := &fleet{}
			o := Options{Fleet: f, Journal: first, JournalGrowth: growth, Adapt: adapt.Config{Step: 50 * time.Millisecond, Horizon: 10 * time.Second}}
			c := start(t, o)
			pool := PoolState{Name: "worker", Adapts: true, Min: 1, Max: 50, Slots: 1, Wanted: 1, Containers: 1}
			c.srv.Pools([]PoolState{pool})
			cl := c.client("alice", "")
			job := cl.newJob("j")
			_, watch := cl.start(watchFrom(job, 0))
			w := c.worker("w", 1, nil)
			cl.tasks(job, 0, 101)
			a := expect[*wire.Assign](w, wire.KindAssign).At(0)
			done := &wire.Done{}
			done.Add(wire.Result{Task: a.Task, Attempt: a.Attempt, Size: 1, IsInline: true, Inline: []byte("x"), Duration: 2_000_000})
			w.send(wire.KindDone, done)
			cl.outcomes(watch, 1)
			want := 0
			eventually(t, "it is known how long a task takes", func() bool {
				d := c.decided()
				want = d.Inputs.Enough
				return want > 0 && d.Inputs.Unknown == 0 // there may be a decision from before there was a task
			})
			if want < 5 {
				t.Fatalf("%d workers for 100 tasks of 2 s", want)
			}
			took := func(l *loop) bool {
				k, ok := l.core.Took(graph.JobID(job), 0)
				return ok && k.Micros == 2_000_000
			}
			eventually(t, "it is safe", func() bool {
				got := make(chan bool, 1)
				c.srv.loop.send(look(func(l *loop) {
					g := l.ledger
					got <- took(l) && !g.tooksAt.IsZero() && len(l.core.Tooks(nil)) == 0 && g.safe.Load() == g.journal.Appended() && l.snap == nil
				}))
				return <-got
			})
			first.Kill()

			f = &fleet{}
			o.Fleet, o.Journal, o.Epoch = f, dir.Process(nil), 2
			next := start(t, o)
			next.srv.Pools([]PoolState{pool})
			d := adapt.Decision{}
			eventually(t, "it has decided", func() bool {
				d = next.decided()
				return d.Pool != ""
			})
			if d.Inputs.Enough != want || d.Inputs.Unknown != 0 {
				t.Errorf("%+v, before it wanted %d", d, want)
			}
		})
	}
}

// decided is the latest decision about the only pool; the zero value: there is none yet.
func (c *cluster) decided() adapt.Decision {
	got := make(chan adapt.Decision, 1)
	c.srv.loop.send(look(func(l *loop) {
		d := adapt.Decision{}
		if all := l.scaler.latest(); len(all) > 0 {
			d = all[0].Decision
		}
		got <- d
	}))
	return <-got
}
