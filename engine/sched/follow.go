package sched

// A short task whose inputs are all computed by attempts that one worker has may follow
// them: it is assigned to that worker before they are done, which starts it when they have
// ended there, without a word to the scheduler and back. Chains, trees and stencils then run
// at the speed of their workers.
//
//		chain  a ─► b ─► c      worker: a runs, b and c wait in it for a and b
//
//	  - A follower is a Given task with waiting > 0: all its inputs without a result are Given,
//	    on its own worker, as the attempts that it was assigned with.
//	  - When one of those ends otherwise, or an input's result is lost, it goes back: its worker
//	    is told to stop it, in every case, so that workers decide nothing (doubt, stray).
//	  - It takes no slot before its last input has a result: until then it does not run.
//	  - It is never under suspicion, nor followed by a second attempt of what it follows.

// followInputs is the most inputs of a task that follows: they are looked through when one
// of them is given.
const followInputs = 8

// slotsTaken is how many slots a Given task of l takes of its worker.
func (t *task) slotsTaken(l *lane) int {
	if t.waiting > 0 {
		return 0
	}
	return l.slots
}

// follower reports whether t waits on its worker for its inputs.
func (t *task) follower() bool { return t.state.Given() && t.waiting > 0 }

// lead lets the consumers of what was assigned in this turn follow it, and theirs in turn,
// where nothing else is to be done: work that is there for everybody makes larger batches.
// Of each as many follow as its worker has slots, so that the others are for everybody.
func (c *Core) lead() {
	for n := 0; n < len(c.out.Assign) && c.ready == 0; n++ { // it grows
		a := &c.out.Assign[n]
		w, j, i := c.workers[a.Worker], c.jobs[a.Task.Job], a.Task.Index
		if w.queued > w.slots || !c.isShort(j, i) {
			continue
		}
		most := w.slots
		for jk, k := range c.consumers(j, i) {
			if most == 0 {
				break
			}
			if c.mayFollow(w, jk, k) {
				most--
				c.give(w, jk, k, moveFollow)
			}
		}
	}
}

func (c *Core) isShort(j *job, i uint32) bool {
	cl := j.classOf(j.task(i))
	return cl.took.known && cl.took.micros() <= c.cfg.Follow
}

// mayFollow reports whether k may be given to w before its inputs are there.
func (c *Core) mayFollow(w *worker, j *job, k uint32) bool {
	t := j.task(k)
	from, to := j.edgesOf(k)
	if t.state != StateWaiting || t.flags&flagSuspect != 0 || to-from > followInputs || j.hosts[k] != nil || !c.isShort(j, k) {
		return false
	}
	l := j.classOf(t).lane
	if !w.fits(l) || !w.spares(l) || !c.hasRoomBehind(w) {
		return false
	}
	for e := from; e < to; e++ {
		jd, d := c.dep(j, k, e)
		if jd == nil {
			return false
		}
		switch td := jd.task(d); {
		case td.state == StateDone:
			if td.flags&flagInline == 0 && !jd.holds(d, w.id) {
				return false
			}
		case !td.state.Given() || td.where != w.id || td.flags&flagRetract != 0 || !c.isShort(jd, d):
			return false
		default:
			if _, twice := jd.seconds[d]; twice {
				return false
			}
		}
	}
	return true
}

// hasRoomBehind reports whether w may be given a follower.
func (c *Core) hasRoomBehind(w *worker) bool {
	return c.hasRoom(w, c.cfg.Prefill) && w.load < c.cfg.Prefill*int64(w.slots)
}

// doubt notes that those who follow i, or wait for it with others that they follow, may do
// so no more.
func (c *Core) doubt(j *job, i uint32) {
	for jk, k := range c.consumers(j, i) {
		if jk.task(k).follower() {
			c.todo.doubts = append(c.todo.doubts, jk.name(k))
		}
	}
}

// stray takes a follower back unless it still follows.
func (c *Core) stray(j *job, k uint32) {
	if t := j.task(k); t.follower() && !c.follows(j, k) {
		c.stop(j, k)
		c.goBack(j, k)
	}
}

// follows reports whether all inputs of a follower that have no result are Given on its
// worker.
func (c *Core) follows(j *job, k uint32) bool {
	t, waiting := j.task(k), uint32(0)
	for e, to := j.edgesOf(k); e < to; e++ {
		jd, d := c.dep(j, k, e)
		if jd == nil {
			return false
		}
		switch td := jd.task(d); {
		case td.state == StateDone:
		case td.state.Given() && td.where == t.where:
			waiting++
		default:
			return false
		}
	}
	return waiting == t.waiting
}

// caughtUp ends k's following: an input got its result on its worker, and it was the last.
func (c *Core) caughtUp(j *job, k uint32) {
	t := j.task(k)
	w, l := c.workers[t.where], j.classOf(t).lane
	if id := j.name(k); w.isParked(id) { // it said so before its input's end was heard of
		w.parked[id] += l.slots
		w.aside += l.slots
		return
	}
	c.change(w, func() { w.queued += l.slots })
}
