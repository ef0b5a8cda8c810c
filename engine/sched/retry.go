package sched

import "github.com/yarnd/yarnd/engine/graph"

// A task that failed can be tried again: its row, its payload and its links to
// its inputs stay while the job holds it, somebody pins it, or a consumer that
// failed with it is kept in turn (kin). So a failed task that is held costs what a
// Done one does, and goes with the same Release. What cannot be retried is buried:
// a cancelled task, one that nobody holds, and all of a closed job.
//
// A retry makes the task Released again, and with it the failed tasks among its
// ancestors, without which it would only fail again, and the descendants that
// failed because of them. From there on they are tasks like others: those that
// are held are wanted, and want their inputs.

// Obstacle says why a task cannot be retried.
type Obstacle uint8

const (
	NoObstacle     Obstacle = iota
	NoSuchTask              // it does not exist, or is forgotten
	DidNotFail              // it has not ended, or has a result, or was cancelled
	LetGo                   // nobody holds it: its payload is gone
	InputGone               // a task that it depends on was let go of, or its job closed
	InputCancelled          // a task that it depends on was cancelled
)

// MayRetry reports what keeps a task from being retried, and for the last two
// which task is at fault.
func (c *Core) MayRetry(id graph.TaskID) (Obstacle, graph.TaskID) {
	j, t := c.look(id)
	switch {
	case j == nil || t.state == StateForgotten:
		return NoSuchTask, id
	case t.state != StateFailed:
		return DidNotFail, id
	case t.flags&flagCut != 0:
		return LetGo, id
	}
	_, why, at := c.failedAncestors(j, id.Index)
	return why, at
}

// Held reports whether a task failed and is still held by somebody, so that a retry of
// it is likely to find no obstacle: unlike MayRetry it does not look at its inputs.
func (c *Core) Held(id graph.TaskID) bool {
	j, t := c.look(id)
	return j != nil && t.state == StateFailed && t.flags&flagCut == 0
}

// failedAncestors returns the failed tasks that i, which failed, cannot do
// without, itself included. It looks through what would be computed again.
func (c *Core) failedAncestors(j *job, i uint32) (failed []graph.TaskID, why Obstacle, at graph.TaskID) {
	failed = []graph.TaskID{j.name(i)}
	var seen map[graph.TaskID]bool
	for todo := []graph.TaskID{j.name(i)}; len(todo) > 0; {
		id := pop(&todo)
		jk, _ := c.find(id)
		for e, to := jk.edgesOf(id.Index); e < to; e++ {
			jd, d := c.dep(jk, id.Index, e)
			if jd == nil {
				return nil, InputGone, jk.depID(id.Index, e)
			}
			in, td := jd.name(d), jd.task(d)
			switch {
			case td.state == StateCancelled:
				return nil, InputCancelled, in
			case td.state.Final() && td.flags&flagCut != 0:
				return nil, InputGone, in
			case td.state.Active() || td.state == StateDone || seen[in]:
				continue
			case td.state == StateFailed:
				failed = append(failed, in)
			}
			if seen == nil {
				seen = map[graph.TaskID]bool{}
			}
			seen[in] = true
			todo = append(todo, in)
		}
	}
	return failed, NoObstacle, graph.TaskID{}
}

// Revived returns the tasks that the last Retry made run again, a view that is valid
// until the next one.
func (c *Core) Revived() []graph.TaskID { return c.revived }

func (c *Core) stepRetry(ev Retry) {
	c.revived = nil
	for _, id := range ev.Tasks {
		j, t := c.look(id)
		switch {
		case j == nil || t.state == StateForgotten:
			c.reject(UnknownTask)
			continue
		case t.state != StateFailed:
			c.reject(NotFailed)
			continue
		case t.flags&flagCut != 0:
			c.reject(NotHeld)
			continue
		}
		failed, why, _ := c.failedAncestors(j, id.Index)
		if why != NoObstacle {
			c.reject(NotHeld)
			continue
		}
		c.reviveAll(failed)
		c.settle()
	}
}

// reviveAll makes failed tasks live again, and their descendants that failed
// because of them: each as soon as none of its inputs is a failed one. left counts
// the inputs of such a descendant that stand in its way; those on the list have
// none.
func (c *Core) reviveAll(todo []graph.TaskID) {
	const listed = -1
	left := make(map[graph.TaskID]int, len(todo))
	for _, id := range todo {
		left[id] = listed
	}
	for len(todo) > 0 {
		id := pop(&todo)
		j, _ := c.find(id)
		for jk, k := range c.consumers(j, id.Index) {
			if !jk.failedByInput(k) {
				continue
			}
			name := jk.name(k)
			n, known := left[name]
			if !known {
				n = c.deadInputs(jk, k)
			} else if n == listed {
				continue
			}
			if n--; n == 0 {
				n = listed
				todo = append(todo, name)
			}
			left[name] = n
		}
		c.revive(j, id.Index)
	}
}

// failedByInput reports whether i, which can be retried, failed because of an
// input. A result that was seen and is gone (graph.FailLost) is the work of inputs
// as well: the task itself had succeeded.
func (j *job) failedByInput(i uint32) bool {
	t := j.task(i)
	kind := graph.FailKind(t.took)
	return t.state == StateFailed && t.flags&flagCut == 0 && (kind == graph.FailUpstream || kind == graph.FailLost)
}

// deadInputs counts i's edges to tasks that have no result and will have none.
func (c *Core) deadInputs(j *job, i uint32) (n int) {
	for e, to := j.edgesOf(i); e < to; e++ {
		if jd, d := c.dep(j, i, e); jd == nil || jd.task(d).state.Final() {
			n++
		}
	}
	return n
}

// revive makes a failed task one that has not run: with all its attempts, and free
// of suspicion.
func (c *Core) revive(j *job, i uint32) {
	c.apply(j, i, moveRetry)
	j.kept--
	t := j.task(i)
	t.size, t.took = 0, 0
	t.flags &^= flagSeen | flagSuspect
	c.out.Ended = append(c.out.Ended, Ended{Task: j.name(i), Attempt: t.attempt, Again: true})
	c.note(Fact{Kind: FactAgain, Task: j.name(i), Told: true})
	c.revived = append(c.revived, j.name(i))
	c.wantLater(j, i)
}

// keep holds on to a failed task's payload and lineage as long as it may be retried.
func (c *Core) keep(j *job, i uint32) {
	t := j.task(i)
	delete(j.tallies, i)
	j.kept++
	if c.hazy {
		c.dropLater(j, i)
		return
	}
	c.buryUnheld(j, i, t)
}

// buryUnheld gives up a failed task that is kept and that nobody holds any more.
func (c *Core) buryUnheld(j *job, i uint32, t *task) {
	if t.flags&flagCut != 0 || !j.closed && (j.wanted(i) || t.kin > 0) {
		return
	}
	c.bury(j, i)
}

// bury gives up a failed task that is kept.
func (c *Core) bury(j *job, i uint32) {
	j.kept--
	c.cut(j, i)
	c.farewell(j, i)
}
