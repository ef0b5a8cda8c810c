package sched

import (
	"cmp"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// Retiring a worker takes four steps: it gets nothing new and gives back what it
// has not started; what runs ends; results that somebody wants and nobody else
// holds are copied to others; then it may go. Nothing waits for ever: a copy that
// does not arrive is tried with others and then left to lineage, which computes
// the result again should it be needed.

// evacuation is the third step of one worker.
type evacuation struct {
	left  []graph.TaskID       // still to be copied
	tried map[graph.TaskID]int // copies that did not arrive
	busy  int                  // copies under way
}

// transfer is a Copy under way.
type transfer struct {
	task     graph.TaskID
	from, to *worker
	since    int64
}

const (
	maxTransfers = 32 // at a time, from one worker
	maxTries     = 3  // for one result
)

func (c *Core) stepRetire(ev Retire) {
	if len(ev.Workers) == 0 {
		c.reopen(ev)
	}
	for _, w := range c.victims(ev) {
		c.close(w, cordoned)
		w.byNumber = len(ev.Workers) == 0
		c.dropSecondsOn(w, true)
		c.askBack(w)
	}
}

// reopen takes workers back into the crew that were to leave because they were too many
// of their pool, as far as they are not any more and have not been let go. Those with most
// of their work and results come first.
func (c *Core) reopen(ev Retire) {
	var closed []*worker
	staying := 0
	for _, w := range c.crew.all {
		switch {
		case w.pool != ev.Pool:
		case w.phase == working:
			staying++
		case w.phase == cordoned && w.byNumber:
			closed = append(closed, w)
		}
	}
	slices.SortFunc(closed, func(a, b *worker) int { return compareVictims(b, a) })
	for _, w := range closed[:min(len(closed), max(0, ev.To-staying))] {
		c.hostCrew[w.host]++
		w.leaving.left, w.leaving.tried = nil, nil
		c.change(w, func() { w.phase = working })
	}
}

// compareVictims puts those first that have the least to finish and to copy, the youngest
// among equals.
func compareVictims(a, b *worker) int {
	return cmp.Or(cmp.Compare(a.running, b.running), cmp.Compare(a.bytes, b.bytes), cmp.Compare(b.id, a.id))
}

// victims returns the workers that are to leave: those named, or of the pool as
// many as are too many, those with the least to finish and to copy first, the
// youngest among equals.
func (c *Core) victims(ev Retire) (out []*worker) {
	if len(ev.Workers) > 0 {
		for _, id := range ev.Workers {
			if w := c.workers[id]; w != nil && w.phase == working {
				out = append(out, w)
			} else {
				c.reject(UnknownWorker)
			}
		}
		return out
	}
	for _, w := range c.crew.all {
		if w.phase == working && w.pool == ev.Pool {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, compareVictims)
	return out[:max(0, len(out)-max(0, ev.To))]
}

// drain moves every cordoned worker on.
func (c *Core) drain() {
	for w := range c.crew.of(&c.crew.cordoned) {
		if w.inflight == 0 {
			c.evacuate(w)
		}
	}
}

func (c *Core) evacuate(w *worker) {
	c.lateTransfers(w)
	for ev := &w.leaving; ev.busy < maxTransfers; {
		if len(ev.left) == 0 {
			if ev.busy > 0 {
				return
			}
			// Others that held the same may have left meanwhile: it is looked at anew
			// even when the last copies did not arrive.
			if ev.left = c.onlyOn(w); len(ev.left) == 0 {
				c.change(w, func() { w.phase = retired })
				c.out.Retired = append(c.out.Retired, w.id)
				return
			}
		}
		c.copyAway(w, pop(&ev.left))
	}
}

// onlyOn returns the wanted results that would go with a worker, apart from those that
// could not be copied.
func (c *Core) onlyOn(w *worker) (out []graph.TaskID) {
	for _, id := range c.heldBy(w) {
		if c.mustCopy(w, c.jobs[id.Job], id.Index) {
			out = append(out, id)
		}
	}
	return out
}

// mustCopy reports whether w holds a result that would go with it. One that others
// which are cordoned hold is theirs to copy, if they are still here when w is retired:
// of two that leave together the second is the one that does.
func (c *Core) mustCopy(w *worker, j *job, i uint32) bool {
	holds := false
	for h := range j.holdersOf(i) {
		if h == w.id {
			holds = true
		} else if c.workers[h].phase != retired {
			return false
		}
	}
	return holds && w.leaving.tried[j.name(i)] < maxTries
}

// copyAway starts a Copy to the worker with the most room. If nobody can take
// the result it is left to lineage.
func (c *Core) copyAway(w *worker, id graph.TaskID) {
	j, t := c.look(id)
	if j == nil || !c.mustCopy(w, j, id.Index) {
		return
	}
	ev := &w.leaving
	if ev.tried == nil {
		ev.tried = map[graph.TaskID]int{}
	}
	to := c.roomiest(t.size, ev.tried[id])
	if to == nil {
		ev.tried[id] = maxTries
		return
	}
	ev.tried[id]++
	ev.busy++
	c.transfers = append(c.transfers, transfer{id, w, to, c.now})
	c.out.Copy = append(c.out.Copy, Copy{To: to.id, From: w.id, Task: id, Attempt: t.attempt, Size: t.size})
}

// roomiest returns the working worker that holds least and has room for size
// bytes; with skip, one of the next best.
func (c *Core) roomiest(size uint64, skip int) *worker {
	var can []*worker
	for _, w := range c.crew.all {
		if w.phase == working && (w.memory == 0 || w.bytes+size <= w.memory) {
			can = append(can, w)
		}
	}
	if len(can) == 0 {
		return nil
	}
	slices.SortFunc(can, func(a, b *worker) int {
		return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.id, b.id))
	})
	return can[skip%len(can)]
}

// endTransfers ends the transfers for which over holds; with retry their results
// are looked at again.
func (c *Core) endTransfers(retry bool, over func(transfer) bool) bool {
	before := len(c.transfers)
	c.transfers = slices.DeleteFunc(c.transfers, func(t transfer) bool {
		if !over(t) {
			return false
		}
		t.from.leaving.busy--
		if retry {
			t.from.leaving.left = append(t.from.leaving.left, t.task)
		}
		return true
	})
	return len(c.transfers) < before
}

func (c *Core) transferArrived(w *worker, id graph.TaskID) {
	c.endTransfers(false, func(t transfer) bool { return t.task == id && t.to == w })
}

// dropTransfers forgets the transfers of a result that is gone.
func (c *Core) dropTransfers(id graph.TaskID) {
	c.endTransfers(false, func(t transfer) bool { return t.task == id })
}

func (c *Core) transfersLeft(w *worker) {
	c.endTransfers(true, func(t transfer) bool { return t.from == w || t.to == w })
}

// transferFailed takes the report of a Copy that did not work.
func (c *Core) transferFailed(to graph.WorkerID, f *FailedAttempt) bool {
	return c.endTransfers(true, func(t transfer) bool { return t.task == f.Task && t.to.id == to })
}

func (c *Core) lateTransfers(w *worker) {
	c.endTransfers(true, func(t transfer) bool { return t.from == w && c.now-t.since >= c.cfg.CopyTimeout })
}
