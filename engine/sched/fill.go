package sched

// fill gives ready tasks to workers: first to every free slot, then ahead of
// time, so that a worker never waits for the scheduler.
func (c *Core) fill() {
	c.sweepLanes()
	c.fillSolo()
	if c.ready > 0 && c.free > 0 {
		c.fillFree()
	}
	if c.ready > 0 {
		c.fillAhead()
	}
	c.lead()
	c.noteHungry()
}

// fillFree fills free slots: evenly while there are fewer tasks than slots; then
// whoever still has one takes what it may; then what was meant for others.
func (c *Core) fillFree() {
	ready, free := c.ready, c.free
	for w := range c.crew.of(&c.crew.idle) {
		if c.ready == 0 {
			return
		}
		for quota := share(ready, w.freeSlots(), free); quota > 0 && c.take(w, w.freeSlots()); quota-- {
		}
	}
	for _, take := range []func(*worker, int) bool{c.take, c.steal} {
		for w := range c.crew.of(&c.crew.idle) {
			if c.ready == 0 {
				return
			}
			for c.ready > 0 && w.freeSlots() > 0 && take(w, w.freeSlots()) {
			}
		}
	}
}

// share returns part/whole of n, rounded up.
func share(n, part, whole int) int {
	if part <= 0 || whole <= 0 {
		return 0
	}
	return (n*part + whole - 1) / whole
}

// fillAhead gives workers more than they can run at once, up to a window of
// time. A window is refilled when it is half empty, to make fewer and larger
// messages, and tasks are dealt evenly when there are few.
func (c *Core) fillAhead() {
	slots := 0
	for w := range c.crew.of(&c.crew.roomy) {
		slots += w.slots
	}
	ready := c.ready
	for w := range c.crew.of(&c.crew.roomy) {
		for quota := share(ready, w.slots, slots); quota > 0 && c.hasRoom(w, c.cfg.Prefill) && c.take(w, w.slots); quota-- {
		}
	}
}

// hasRoom reports whether w may be given a task ahead of time: always one more
// than it can run, and more while all it has takes less than a window.
func (c *Core) hasRoom(w *worker, window int64) bool {
	return w.open() && w.inflight-len(w.parked) < c.maxInflight(w) &&
		(w.queued <= w.slots || w.load < window*int64(w.slots))
}

// maxInflight is the most attempts that w may have.
func (c *Core) maxInflight(w *worker) int { return max(c.cfg.MaxPrefill, w.slots+1) }

// take gives w one task from the first lane that has one for it, of at most room
// slots, and reports whether it did.
func (c *Core) take(w *worker, room int) bool {
	if w.inflight >= c.maxInflight(w) {
		return false // with those who follow others
	}
	for n, l := range c.lanes {
		if l.ready == 0 || l.slots > room || !w.fits(l) || !w.spares(l) {
			continue
		}
		if i, ok := c.next(l, w); ok {
			c.give(w, l.job, i, moveAssign)
			c.hadTurn(n)
			return true
		}
	}
	return false
}

// next takes the task out of l that w should run.
func (c *Core) next(l *lane, w *worker) (uint32, bool) {
	if i, ok := l.youngest(l.near.of(w.id)); ok {
		return i, true
	}
	if i, ok := l.youngest(&l.deps); ok {
		return i, true
	}
	if w.queued >= w.slots && w.memory > 0 && w.bytes > w.memory/10*6 {
		return 0, false // no new beginnings ahead of time on a worker that is filling up
	}
	if q := l.hosted[w.host]; q != nil {
		if i, ok := l.oldest(&q.deque); ok {
			return i, true
		}
	}
	if i, ok := l.firstRoot(); ok {
		return i, true
	}
	for _, h := range l.hosts {
		if q := l.hosted[h]; c.hostCrew[h] == 0 && c.now-q.since >= c.cfg.LocalityWait {
			if i, ok := l.oldest(&q.deque); ok {
				return i, true
			}
		}
	}
	return 0, false
}

// steal gives w, which has a free slot and nothing to fill it with, a task that
// was meant for another worker or for the workers of another host.
func (c *Core) steal(w *worker, room int) bool {
	if w.inflight >= c.maxInflight(w) {
		return false
	}
	for n, l := range c.lanes {
		if l.ready == 0 || l.slots > room || !w.fits(l) || !w.spares(l) {
			continue
		}
		i, ok := c.stealNear(l, w)
		if !ok {
			i, ok = c.stealHosted(l, w)
		}
		if ok {
			c.give(w, l.job, i, moveAssign)
			c.hadTurn(n)
			return true
		}
	}
	return false
}

// stealNear takes the task that has waited longest for the worker with the
// longest queue, if fetching its inputs takes less time than waiting, or w has
// been idle for long enough.
func (c *Core) stealNear(l *lane, w *worker) (uint32, bool) {
	d := l.near.longest(w.id)
	if d == nil {
		return 0, false
	}
	i, ok := l.oldest(&d.deque)
	if !ok {
		return 0, false
	}
	if !c.waitedEnough(w, l) && c.fetchTime(c.missing(l.job, i, w)) >= c.waitOn(c.workers[d.worker], l) {
		d.unpop(i)
		return 0, false
	}
	return i, true
}

// missing returns the bytes of i's inputs that are not on w.
func (c *Core) missing(j *job, i uint32, w *worker) (bytes uint64) {
	for e, to := j.edgesOf(i); e < to; e++ {
		jd, d := c.dep(j, i, e)
		if td := jd.task(d); td.flags&flagInline == 0 && !jd.holds(d, w.id) {
			bytes += td.size
		}
	}
	return bytes
}

// stealHosted takes the last task of the host that has most to do for each of
// its workers, once w has been idle for a while: reading a block over the
// network is slower, and its own host's workers may be about to take it.
func (c *Core) stealHosted(l *lane, w *worker) (uint32, bool) {
	if !c.waitedEnough(w, l) {
		return 0, false
	}
	var victim *hosted
	most := 0
	for _, h := range l.hosts {
		q := l.hosted[h]
		if per := q.len() * 1024 / int(max(1, c.hostCrew[h])); per > most {
			victim, most = q, per
		}
	}
	if victim == nil {
		return 0, false
	}
	return l.youngest(&victim.deque)
}

// waitedEnough reports whether w has been idle for half the time that a task of
// l takes, within bounds.
func (c *Core) waitedEnough(w *worker, l *lane) bool {
	wait := min(max(l.estimate()/2000, 20), c.cfg.LocalityWait)
	return c.crew.hungry.has(w) && c.now-w.hungrySince >= wait
}

// noteHungry starts the clock of workers that have a free slot while there is
// work that they may not have yet.
func (c *Core) noteHungry() {
	work := c.ready > 0 || c.surplus > 0
	for w := range c.crew.of(&c.crew.hungry) {
		if !work || w.freeSlots() == 0 {
			c.crew.hungry.put(w, false)
		}
	}
	if !work {
		return
	}
	for w := range c.crew.of(&c.crew.idle) {
		if !c.crew.hungry.has(w) {
			c.crew.hungry.put(w, true)
			w.hungrySince = c.now
		}
	}
}
