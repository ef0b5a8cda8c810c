package schedtest

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// While all else goes on, snapshots are taken as the scheduler's loop does (package server,
// snapshot.go): a little at each step, so that what they say is of no one moment. When one is
// complete, and then a while later, a core that restores with it and with what was recorded since
// it began must know the same as one that restores with all records.

// haze is a snapshot, and how far it is.
type haze struct {
	at    int      // it stands for the journal's records before this
	until int      // it knows of nothing behind this; 0: it is not complete
	recs  []record // what it says
	next  func() (struct{}, bool)
	stop  func()
	check int // the length of the journal at which the two are compared once more
}

// refusals is how often the core refused what clients asked for.
func (w *World) refusals() (n uint64) {
	for _, r := range []sched.Reason{sched.UnknownJob, sched.UnknownClass, sched.UnknownTask, sched.BadBatch, sched.BadRow, sched.NotHeld, sched.AlreadyExists} {
		n += w.core.Rejected(r)
	}
	return n
}

// refused notes that nothing came of what was recorded last. The scheduler's loop looks before it
// records such things.
func (w *World) refused(ev sched.Event) {
	switch ev.(type) {
	case sched.Release, sched.ReleaseRun: // of some of the tasks only
		return
	}
	for i := len(w.journal) - 1; i >= 0 && isDurable(ev); i-- {
		if w.journal[i].ev != nil {
			w.journal[i].refused = true
			return
		}
	}
}

// withoutGone is a batch as the journal has it: of inputs that were gone when it came, it is
// said that they are nowhere.
func withoutGone(c *sched.Core, b *graph.Batch) *graph.Batch {
	again := *b
	again.Deps = slices.Clone(b.Deps)
	for i, d := range again.Deps {
		if c.Gone(d) && !(d.Job == b.Job && d.Index >= b.First) {
			again.Deps[i] = graph.TaskID{Index: d.Index}
		}
	}
	return &again
}

// hazeEvery is how many events there are between two snapshots, and hazeRows how many tasks
// are looked at with one event, at most.
const (
	hazeEvery = 150
	hazeRows  = 12
)

// goOnHaze takes a bit more of a snapshot, and compares when it is time to. It leaves the world as it is.
func (w *World) goOnHaze() {
	h := w.haze
	switch {
	case w.awaiting:
	case h == nil && w.events%hazeEvery == hazeEvery-1:
		h = &haze{at: len(w.journal)}
		h.next, h.stop = iter.Pull(h.walk(w))
		w.haze = h
	case h == nil:
	case h.until == 0:
		for range mix(w.hash, uint64(w.events)) % hazeRows {
			if _, more := h.next(); !more {
				h.until = len(w.journal)
				h.check = h.until + int(mix(w.hash, uint64(w.events))%64)
				w.compareHaze()
				break
			}
		}
	case len(w.journal) >= h.check:
		w.compareHaze()
		w.dropHaze()
	}
}

// dropHaze gives a snapshot up.
func (w *World) dropHaze() {
	if w.haze != nil {
		w.haze.stop()
		w.haze = nil
	}
}

// walk says what there is, some tasks at a time.
func (h *haze) walk(w *World) iter.Seq[struct{}] {
	before := w.journal[:h.at:h.at]
	var tasks []graph.TaskID
	var pins, closed []sched.Event
	gone := maps.Clone(w.gone)
	for _, t := range w.twin.tasks {
		if gone[t.id.Job] {
			continue
		}
		tasks = append(tasks, t.id)
		for range t.pins {
			pins = append(pins, sched.Pin{Task: t.id, Delta: 1})
		}
	}
	for _, r := range before {
		if ev, ok := r.ev.(sched.CloseJob); ok && !r.refused && !gone[ev.Job] {
			closed = append(closed, ev)
		}
	}
	return func(yield func(struct{}) bool) {
		rest := func() bool { return yield(struct{}{}) }
		for i := range before {
			if gone[before[i].job()] {
				continue
			}
			if !h.structure(w.core, &before[i], rest) {
				return
			}
		}
		for _, id := range tasks {
			h.ends(w.core, id)
			if !rest() {
				return
			}
		}
		for _, ev := range pins {
			if r := (record{ev: ev}); !w.gone[r.job()] { // what is pinned of a closed job was cancelled: names have no such
				h.recs = append(h.recs, r)
			}
		}
		for _, id := range tasks {
			if s := w.core.Save(id, nil); !s.Held && !s.Fresh {
				h.recs = append(h.recs, record{ev: sched.Release{Tasks: []graph.TaskID{id}}})
			}
			if !rest() {
				return
			}
		}
		for _, ev := range closed {
			h.recs = append(h.recs, record{ev: ev})
		}
	}
}

// job is which job a record that makes jobs, classes and tasks, or pins one, is about; 0 for others.
func (r *record) job() graph.JobID {
	switch ev := r.ev.(type) {
	case sched.OpenJob:
		return ev.Job
	case sched.DeclareClass:
		return ev.Job
	case sched.Submit:
		return ev.Batch.Job
	case sched.SubmitRange:
		return ev.Job
	case sched.Pin:
		return ev.Task.Job
	}
	return 0
}

// structure says what a record is about as it is now: jobs, classes and tasks.
func (h *haze) structure(c *sched.Core, r *record, rest func() bool) bool {
	for _, f := range r.facts {
		if f.Kind == sched.FactBegan {
			h.recs = append(h.recs, record{facts: []sched.Fact{f}})
		}
	}
	if r.refused {
		return true
	}
	switch ev := r.ev.(type) {
	case sched.OpenJob, sched.DeclareClass, sched.SubmitRange:
		h.recs = append(h.recs, record{ev: ev})
	case sched.Submit:
		b := &graph.Batch{Job: ev.Batch.Job, First: ev.Batch.First, Class: ev.Batch.Class, HostNames: ev.Batch.HostNames}
		b.Loose = make([]byte, (ev.Batch.Len()+7)/8)
		for k := range ev.Batch.Len() {
			id := graph.TaskID{Job: b.Job, Index: b.First + uint32(k)}
			s := c.Save(id, nil)
			if s.Needs {
				b.Deps = c.Inputs(b.Deps, id)
				b.Hosts = append(b.Hosts, ev.Batch.HostsOf(k)...)
			}
			b.DepEnd, b.HostEnd = append(b.DepEnd, uint32(len(b.Deps))), append(b.HostEnd, uint32(len(b.Hosts)))
			if !s.Held {
				b.Loose[k/8] |= 1 << (k % 8)
			}
			if !rest() {
				return false
			}
		}
		h.recs = append(h.recs, record{ev: sched.Submit{Batch: b}, asked: b})
	}
	return true
}

// ends says how a task has ended.
func (h *haze) ends(c *sched.Core, id graph.TaskID) {
	s := c.Save(id, nil)
	_, there := c.Job(id.Job)
	if s.Row && there {
		if len(s.Facts) > 0 {
			h.recs = append(h.recs, record{facts: s.Facts})
		}
		return
	}
	if len(s.Facts) == 0 && there {
		return
	}
	if last := len(h.recs) - 1; last >= 0 && len(h.recs[last].facts) == 1 {
		if f := &h.recs[last].facts[0]; f.Kind == sched.FactCancelled && f.Task.Job == id.Job && f.Task.Index+f.N == id.Index {
			f.N++
			return
		}
	}
	h.recs = append(h.recs, record{facts: []sched.Fact{{Kind: sched.FactCancelled, Task: id, N: 1}}})
}

// restored is a core that took over with records.
func (w *World) restored(parts ...[]record) *sched.Core {
	c := sched.New(sched.Config{Durable: true, Restore: true, Generation: w.generation + 1})
	for _, part := range parts {
		for i := range part {
			r := &part[i]
			for _, f := range r.facts {
				c.Step(sched.Recall{Fact: f})
			}
			switch ev := r.ev.(type) {
			case nil:
			case sched.Submit:
				again := *r.asked
				if !r.refused {
					c.Step(sched.Submit{Batch: &again})
				}
			default:
				if !r.refused {
					c.Step(ev)
				}
			}
			c.Output()
		}
	}
	c.Step(sched.Restored{})
	return c
}

// compareHaze objects if the snapshot makes another core than all records.
func (w *World) compareHaze() {
	h := w.haze
	all := w.restored(w.journal)
	some := w.restored([]record{{ev: sched.Hazy{}}}, h.recs, w.journal[h.at:h.until], []record{{ev: sched.Clear{}}}, w.journal[h.until:])
	w.must(some.Check())
	for _, t := range w.twin.tasks {
		a, b := all.Save(t.id, nil), some.Save(t.id, nil)
		x, _ := all.Task(t.id)
		y, _ := some.Task(t.id)
		over := func(s sched.Saved, now sched.Task) bool { return s.Gone || t.closed && now.State.Final() }
		if over(a, x) && over(b, y) {
			continue
		}
		now := w.core.Save(t.id, nil)
		away := func(f sched.Fact) bool { // it may have been freed, of which there is no record; the snapshot may fence what is over
			return f.Kind == sched.FactFenced || f.Kind == sched.FactDone && !f.Inline && (!f.Told || !w.isHeld(t) || !slices.ContainsFunc(now.Facts, func(g sched.Fact) bool { return g.Kind == f.Kind && g.Attempt == f.Attempt }))
		}
		a.Facts, b.Facts = slices.DeleteFunc(a.Facts, away), slices.DeleteFunc(b.Facts, away)
		// Where one has made the row of a range that the other has not (for a pin that is gone since, or to cancel one by one),
		// both say the same. What was cancelled without a row is never let go of: there is nothing to let go of.
		odd := a.Row != b.Row
		inputs, held := odd || a.Needs == b.Needs, odd && x.State == sched.StateCancelled || a.Held == b.Held
		if !slices.Equal(a.Facts, b.Facts) || !held || a.Fresh != b.Fresh || !inputs {
			w.must(fmt.Errorf("of %v the records say %+v, the snapshot and those since %+v, and the core %+v", t.id, a, b, now))
		}
		if ended := x.State == sched.StateDone || x.State.Final(); x.State != y.State || ended && x.Attempt != y.Attempt || x.Kind != y.Kind || x.Cause != y.Cause {
			w.must(fmt.Errorf("%v is %+v by the records, and %+v by the snapshot and those since", t.id, x, y))
		}
	}
}
