package sched

import (
	"cmp"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// Stealing from a worker is asking it to give back attempts that it has not
// started. It answers for each; until then the attempt is the worker's, and its
// result counts. Nothing is ever in two places.

// worthwhile is the work, in microseconds per slot, below which a worker's
// surplus is left to it: an answer takes a round trip.
const worthwhile = 4000

// rebalance asks workers that were given more than they can run now for half of
// it, on behalf of workers that have nothing to do.
func (c *Core) rebalance() {
	if c.surplus == 0 || c.free == 0 {
		return
	}
	victims := c.victimsByLoad()
	for w := range c.crew.of(&c.crew.idle) {
		for len(victims) > 0 && !victims[0].mayGive() {
			victims = victims[1:]
		}
		if len(victims) == 0 {
			return
		}
		if w.claims == 0 {
			c.claim(victims[0], w)
		}
	}
}

// victimsByLoad returns the workers worth asking, those with the most to do first.
func (c *Core) victimsByLoad() []*worker {
	out := c.spoils[:0]
	for _, v := range c.crew.all {
		if v.mayGive() {
			out = append(out, v)
		}
	}
	slices.SortStableFunc(out, func(a, b *worker) int { return cmp.Compare(b.perSlot(), a.perSlot()) })
	c.spoils = out
	return out
}

// mayGive reports whether w has more than it can run, and enough of it.
func (w *worker) mayGive() bool { return w.queued-w.asked > w.slots && w.perSlot() >= worthwhile }

// perSlot is the work that w has, in microseconds per slot.
func (w *worker) perSlot() int64 { return w.load / int64(w.slots) }

// claim asks victim for half of its surplus on behalf of w.
func (c *Core) claim(victim, w *worker) {
	want := max(1, (victim.queued-victim.asked-victim.slots)/2)
	given := c.liveOn(victim)
	for k := len(given) - 1; k >= max(0, len(given)-want-64) && want > 0; k-- {
		j, t := c.find(given[k].Task)
		l := j.classOf(t).lane
		switch {
		case t.state != StateAssigned || t.waiting > 0 || t.flags&flagRetract != 0 || !w.fits(l) || !w.spares(l):
		case j.hosts[given[k].Task.Index] != nil && !c.waitedEnough(w, l):
		default:
			c.claims[given[k].Task] = w.id
			w.claims++
			c.ask(victim, t, given[k])
			want--
		}
	}
}

// ask retracts one attempt.
func (c *Core) ask(w *worker, t *task, a TaskAttempt) {
	t.flags |= flagRetract
	w.asked++
	c.out.Retract = append(c.out.Retract, Order{w.id, a.Task, a.Attempt})
}

// askBack retracts everything that w has not started.
func (c *Core) askBack(w *worker) {
	for _, a := range c.liveOn(w) {
		if _, t := c.find(a.Task); t.state == StateAssigned && t.flags&flagRetract == 0 {
			c.ask(w, t, a)
		}
	}
}

// takeBack ends a retracted attempt. The task goes to whom it was claimed for,
// if that worker still wants it.
func (c *Core) takeBack(j *job, i uint32) {
	w := c.workers[c.claims[j.name(i)]]
	c.goBack(j, i)
	if t := j.task(i); w != nil && w.freeSlots() > 0 && t.state == StateReady && t.flags&flagSuspect == 0 {
		j.classOf(t).lane.pushNear(w, i)
	}
}

// claimEnded forgets for whom an attempt was under retraction.
func (c *Core) claimEnded(id graph.TaskID) {
	if w := c.workers[c.claims[id]]; w != nil {
		w.claims--
	}
	delete(c.claims, id)
}
