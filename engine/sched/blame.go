package sched

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// A death is blamed on a task only when the task was alone. If others ran beside
// it, all of them become suspects: from then on each runs with a worker to
// itself, and a death then counts. So a poisonous task is found out, and those
// that merely stood beside it are not.

// died counts a death of i while it was alone: once too often and it fails.
func (c *Core) died(j *job, i uint32) {
	y := j.tallies[i]
	y.deaths++
	if y.deaths >= j.classOf(j.task(i)).deaths() {
		c.fail(j, i, graph.FailDied, j.name(i))
		return
	}
	c.tally(j, i, y)
	c.goBackSuspect(j, i)
}

// stoodBy counts that i's attempt was parked when its worker died.
func (c *Core) stoodBy(j *job, i uint32) {
	y := j.tallies[i]
	if bystander(&y) {
		c.fail(j, i, graph.FailDied, j.name(i))
		return
	}
	c.tally(j, i, y)
	c.goBack(j, i)
}

func (c *Core) tally(j *job, i uint32, y tally) {
	c.note(Fact{Kind: FactTally, Task: j.name(i), Size: y.pack()})
	if j.tallies == nil {
		j.tallies = map[uint32]tally{}
	}
	j.tallies[i] = y
}

func (c *Core) goBackSuspect(j *job, i uint32) {
	c.suspect(j, i)
	c.goBack(j, i)
}

// suspect has i run alone from now on. Who takes over suspects it too: a task that kills
// workers would have company to hide in again with each death of a scheduler.
func (c *Core) suspect(j *job, i uint32) {
	t := j.task(i)
	if t.flags&flagSuspect != 0 {
		return
	}
	c.note(Fact{Kind: FactSuspect, Task: j.name(i)})
	ready := t.state == StateReady
	if ready {
		c.leftReady(j, t)
	}
	t.flags |= flagSuspect
	if ready {
		c.suspects = append(c.suspects, j.name(i))
	}
}

// fillSolo gives suspects to workers that have nothing else. If there is none,
// some of the crew are kept from new tasks until they have ended theirs. While
// there is other work, suspects get at most a quarter of the crew.
func (c *Core) fillSolo() {
	c.suspects = slices.DeleteFunc(c.suspects, func(id graph.TaskID) bool { return !c.isSuspect(id) })
	if len(c.suspects) == 0 && c.solos == 0 {
		return
	}
	for _, w := range c.crew.all {
		switch {
		case !w.solo:
		case w.queued == 0 && !c.giveSuspect(w), !w.alone && len(c.suspects) == 0:
			c.setSolo(w, false)
		}
	}
	for _, w := range c.crew.all {
		if len(c.suspects) == 0 || c.ready > 0 && !c.maySolo() {
			return
		}
		if w.open() && w.queued == 0 && c.suspectFor(w, (*worker).spares) >= 0 {
			c.setSolo(w, true)
			c.giveSuspect(w)
		}
	}
	for len(c.suspects) > 0 && c.maySolo() {
		var least *worker
		for _, w := range c.crew.all {
			if w.open() && w.queued > 0 && c.suspectFor(w, nil) >= 0 && (least == nil || w.load < least.load) {
				least = w
			}
		}
		if least == nil {
			return
		}
		c.setSolo(least, true)
		c.dropSecondsOn(least, true)
		c.scatter(least)
		c.askBack(least)
	}
}

func (c *Core) maySolo() bool { return c.solos < max(1, c.crew.len()/4) }

func (c *Core) setSolo(w *worker, solo bool) {
	c.change(w, func() { w.solo, w.alone = solo, false })
	if solo {
		c.solos++
	} else {
		c.solos--
	}
}

// suspectFor finds a suspect that fits w, and for which ok holds besides.
func (c *Core) suspectFor(w *worker, ok func(*worker, *lane) bool) int {
	return slices.IndexFunc(c.suspects, func(id graph.TaskID) bool {
		j, t := c.find(id)
		if !c.isSuspect(id) {
			return false
		}
		l := j.classOf(t).lane
		return w.fits(l) && (ok == nil || ok(w, l))
	})
}

func (c *Core) giveSuspect(w *worker) bool {
	n := c.suspectFor(w, (*worker).spares) // what is parked there has its memory
	if w.phase != working || n < 0 {
		return false
	}
	id := c.suspects[n]
	c.suspects = slices.Delete(c.suspects, n, n+1)
	j, _ := c.find(id)
	c.give(w, j, id.Index, moveAssign)
	w.alone = true
	return true
}

// isSuspect reports whether a task is Ready to run alone.
func (c *Core) isSuspect(id graph.TaskID) bool {
	j, t := c.find(id)
	return j != nil && t.state == StateReady && t.flags&flagSuspect != 0
}

// A worker on which executors do not start fails tasks faster than the others
// run them, and would draw all of them to itself. After a few it rests, while
// there are others.
const (
	sickAfter = 3
	restFirst = 10_000 // milliseconds; doubled each time
)

func (c *Core) setupFailed(w *worker) {
	if w.sick++; w.sick < sickAfter || w.resting {
		return
	}
	w.rested = c.now + restFirst<<min(w.sick-sickAfter, 5)
	c.change(w, func() { w.resting = true })
	c.scatter(w)
	c.resting++
}

// wake ends rests that are over, and all if nobody else is there.
func (c *Core) wake() {
	if c.resting == 0 {
		return
	}
	others := slices.ContainsFunc(c.crew.all, (*worker).open)
	for _, w := range c.crew.all {
		if w.resting && (c.now >= w.rested || !others) {
			c.change(w, func() { w.resting = false })
			c.resting--
		}
	}
}
