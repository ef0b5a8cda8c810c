package sched

import "github.com/yarnd/yarnd/engine/graph"

// A task is wanted while the job holds it, somebody pins it, or an active task
// needs its result. Wanted tasks are active, Done, or failed; what is not wanted
// is dropped and freed. Everything here follows from that one rule.

// wanted reports whether anybody wants i's result.
func (j *job) wanted(i uint32) bool {
	t := j.task(i)
	return t.need > 0 || t.flags&flagHeld != 0 || j.pins[i] > 0
}

// held is wanted by somebody who may look at it.
func (j *job) held(i uint32) bool {
	return j.task(i).flags&flagHeld != 0 || j.pins[i] > 0
}

func (c *Core) stepRelease(ev Release) {
	for _, id := range ev.Tasks {
		c.releaseOne(id)
	}
}

func (c *Core) releaseOne(id graph.TaskID) {
	j, t := c.find(id)
	switch {
	case j == nil || t.state == StateForgotten:
		c.reject(UnknownTask)
		return
	case t.flags&(flagHeld|flagFresh) == 0:
		c.reject(NotHeld)
		return
	}
	c.letGo(j, id.Index)
	c.dropUnwanted(j, id.Index)
	c.settle()
}

// letGo ends the job's hold on i.
func (c *Core) letGo(j *job, i uint32) {
	t := j.task(i)
	if c.restoring && t.flags&flagFresh != 0 {
		c.unused[j.name(i)] = struct{}{}
	}
	t.flags &^= flagHeld | flagFresh
}

func (c *Core) stepPin(ev Pin) {
	j, t := c.find(ev.Task)
	i := ev.Task.Index
	switch {
	case j == nil || t.state == StateForgotten || ev.Delta == 1 && c.Gone(ev.Task):
		c.reject(UnknownTask)
	case ev.Delta == 1:
		if j.pins == nil {
			j.pins = map[uint32]uint32{}
		}
		j.pins[i]++
		if c.restoring {
			c.wantLike(ev.Task)
		}
		c.wantLater(j, i)
	case ev.Delta == -1 && j.pins[i] > 0:
		if j.pins[i]--; j.pins[i] == 0 {
			delete(j.pins, i)
			c.dropUnwanted(j, i)
		}
	case ev.Delta == -1:
		c.reject(NotHeld)
	default:
		c.reject(BadRow)
	}
}

func (c *Core) stepCancel(ev Cancel) {
	for _, id := range ev.Tasks {
		c.cancelOne(id)
	}
}

func (c *Core) cancelOne(id graph.TaskID) {
	j, t := c.find(id)
	switch {
	case j == nil || t.state == StateForgotten:
		c.reject(UnknownTask)
	case t.flags&flagSeen != 0:
		c.reject(AlreadyEnded) // a result was told, even if it is computed again just now
	case t.state.Active(), t.state == StateReleased && t.flags&flagFresh != 0:
		c.fail(j, id.Index, graph.FailCancelled, id)
		c.settle()
	default:
		c.reject(AlreadyEnded)
	}
}

// activate wants a Released task: its inputs are needed, and those that have no
// result are wanted in turn.
func (c *Core) activate(j *job, i uint32) {
	c.apply(j, i, moveWant)
	t := j.task(i)
	t.flags &^= flagFresh
	for e, to := j.edgesOf(i); e < to; e++ {
		if jd, d := c.dep(j, i, e); jd != nil {
			td := jd.task(d)
			td.need++
			if td.state == StateReleased {
				c.wantLater(jd, d)
			}
		}
	}
	c.countInputs(j, i)
}

// countInputs finds out what a task that has just become Waiting waits for: it
// becomes Ready, or it fails because an input did.
func (c *Core) countInputs(j *job, i uint32) {
	t := j.task(i)
	t.waiting = 0
	for e, to := j.edgesOf(i); e < to; e++ {
		if jd, d := c.dep(j, i, e); jd == nil || jd.task(d).state != StateDone {
			t.waiting++
		}
	}
	if t.waiting == 0 {
		c.becomeReady(j, i)
		return
	}
	c.failHopeless(j, i)
}

// failHopeless has a Waiting task fail if one of its inputs will have no result.
func (c *Core) failHopeless(j *job, i uint32) {
	for e, to := j.edgesOf(i); e < to; e++ {
		switch jd, d := c.dep(j, i, e); {
		case jd == nil:
			c.failLater(j, i, graph.FailUpstream, j.depID(i, e))
		case jd.task(d).state.Final():
			c.failLater(j, i, graph.FailUpstream, jd.causeOf(d))
		}
	}
}

// causeOf returns the task in which the failure of i happened.
func (j *job) causeOf(i uint32) graph.TaskID {
	t := j.task(i)
	if t.state == StateFailed && graph.FailKind(t.took) == graph.FailUpstream {
		return unpack(t.size)
	}
	return j.name(i)
}

// leaveActive lets go of the attempt and of the inputs. The caller makes the
// transition.
func (c *Core) leaveActive(j *job, i uint32) {
	if j.task(i).state.Given() {
		c.ungive(j, i)
		c.dropSecond(j, i, true)
	}
	for e, to := j.edgesOf(i); e < to; e++ {
		if jd, d := c.dep(j, i, e); jd != nil {
			td := jd.task(d)
			if td.need--; td.need == 0 {
				c.dropLater(jd, d)
			}
		}
	}
}

// cut ends i's interest in the lineage of its inputs.
func (c *Core) cut(j *job, i uint32) {
	t := j.task(i)
	if t.flags&flagCut != 0 {
		return
	}
	t.flags |= flagCut
	for e, to := j.edgesOf(i); e < to; e++ {
		if jd, d := c.dep(j, i, e); jd != nil {
			td := jd.task(d)
			if td.kin--; td.kin == 0 {
				c.dropLater(jd, d)
			}
		}
	}
}

// dropUnwanted frees, drops and forgets i as far as nobody wants it.
func (c *Core) dropUnwanted(j *job, i uint32) {
	t := j.task(i)
	if t.state == StateFailed {
		c.buryUnheld(j, i, t)
	}
	if t.state.Final() || j.wanted(i) {
		return
	}
	switch {
	case t.state.Active():
		if t.state.Given() {
			c.stop(j, i)
		}
		c.leaveActive(j, i)
		c.apply(j, i, moveDrop)
	case t.state == StateDone:
		if t.flags&flagInline != 0 && t.kin > 0 {
			return // lineage ends here: a few bytes kept save a graph of specs
		}
		c.freeCopies(j, i)
		c.apply(j, i, moveFree)
	}
	if t.kin == 0 && t.flags&flagFresh == 0 {
		c.forget(j, i)
	}
}

func (c *Core) forget(j *job, i uint32) {
	c.apply(j, i, moveForget)
	c.cut(j, i)
	c.farewell(j, i)
	j.bury(i)
}

// bury gives up a forgotten task's row, and the edges of which it is the last end.
func (j *job) bury(i uint32) {
	forgotten := func(k uint32) bool { return !j.tasks.has(k) || j.task(k).state == StateForgotten }
	for e, to := j.edgesOf(i); e < to; e++ {
		if d := j.edges.at(e).dep; d == i || forgotten(d) {
			delete(j.foreign, e)
			j.edges.lose(e)
		}
	}
	for e := j.task(i).out; e != 0; {
		ed := *j.edges.at(e - 1)
		if ed.consumer != i && forgotten(ed.consumer) {
			j.edges.lose(e - 1)
		}
		e = ed.next
	}
	j.tasks.lose(i)
}

// farewell drops what is kept of a task aside. It will never run again.
func (c *Core) farewell(j *job, i uint32) {
	delete(j.tallies, i)
	delete(j.lost, i)
	delete(j.top, i)
	delete(j.hosts, i)
	delete(j.abroad, i)
	if j.closed {
		c.leaveIfGone(j)
		return
	}
	c.out.Forget = append(c.out.Forget, j.name(i))
}

// fail ends a task without a result, and tells its consumers. Unless a client
// cancelled it, it is kept for a retry.
func (c *Core) fail(j *job, i uint32, kind graph.FailKind, cause graph.TaskID) {
	t := j.task(i)
	if t.state.Given() && kind == graph.FailCancelled {
		c.stop(j, i)
	}
	m := moveFail
	if kind == graph.FailCancelled {
		m = moveCancel
	} else if t.flags&flagSeen != 0 {
		kind, cause = graph.FailLost, j.name(i) // a result was seen: it did not fail, it is gone
	}
	if t.state.Active() {
		c.leaveActive(j, i)
	}
	c.apply(j, i, m)
	t.size, t.took = pack(cause), uint8(kind)
	t.flags |= flagSeen
	if !j.closed {
		c.out.Ended = append(c.out.Ended, Ended{Task: j.name(i), Attempt: t.attempt, Kind: kind, Cause: cause})
	}
	c.note(Fact{Kind: FactFailed, Task: j.name(i), Attempt: t.attempt, Fail: kind, Cause: cause, Told: !j.closed})
	cause = j.causeOf(i)
	for jk, k := range c.consumers(j, i) {
		if jk.task(k).state == StateWaiting {
			c.failLater(jk, k, graph.FailUpstream, cause)
		}
	}
	if m == moveFail {
		c.keep(j, i)
		return
	}
	c.cut(j, i)
	c.farewell(j, i)
}
