package sched

import "github.com/yarnd/yarnd/engine/graph"

// An attempt that waits for tasks which it has submitted itself would take a slot that
// these may need. So it is parked: its slots are not charged to its worker, and others
// may run in them, until it says that it goes on. Its memory and named resources stay
// charged, and it runs for all other purposes: it is stopped, dies, and gives its result
// like any other.
//
// What is parked is not suspected of a death when something ran beside it: it waited.
// But it is counted as a setback, so that a task whose children kill it again and again
// ends some time.

// stepParked notes which attempts of w wait. Those that do already, or do not run, are stale.
func (c *Core) stepParked(ev Parked) {
	w := c.workers[ev.Worker]
	for _, a := range ev.Tasks {
		j, slots, took, running := c.attemptOn(ev.Worker, a)
		if j == nil || !running || w.isParked(a.Task) {
			c.reject(StaleAttempt)
			continue
		}
		if w.parked == nil {
			w.parked = map[graph.TaskID]int{}
		}
		w.parked[a.Task] = slots
		c.change(w, func() {
			w.aside += slots
			w.queued -= slots
			w.load -= tooks[took]
		})
	}
}

// stepUnparked charges slots again of attempts that go on.
func (c *Core) stepUnparked(ev Unparked) {
	for _, a := range ev.Tasks {
		j, _, took, _ := c.attemptOn(ev.Worker, a)
		if j == nil || !c.unpark(c.workers[ev.Worker], a.Task, took) {
			c.reject(StaleAttempt)
		}
	}
}

// unpark charges the slots of an attempt of w again, and reports whether it was parked.
func (c *Core) unpark(w *worker, id graph.TaskID, took uint8) bool {
	slots, ok := w.parked[id]
	if !ok {
		return false
	}
	delete(w.parked, id)
	c.change(w, func() {
		w.aside -= slots
		w.queued += slots
		w.load += tooks[took]
	})
	return true
}

// isParked reports whether w's attempt of a task waits. A worker has one attempt of a
// task at most.
func (w *worker) isParked(id graph.TaskID) bool {
	_, ok := w.parked[id]
	return ok
}

// attemptOn finds an attempt, a task's first or second one, on a worker: what it is
// charged for there, and whether it has said that it runs. The job is nil when it is none
// that lives.
func (c *Core) attemptOn(id graph.WorkerID, a TaskAttempt) (j *job, slots int, took uint8, running bool) {
	if j, t := c.live(id, a); j != nil {
		return j, t.slotsTaken(j.classOf(t).lane), t.took, t.state == StateRunning
	}
	if j = c.secondOn(id, a); j != nil {
		s := j.seconds[a.Task.Index]
		return j, j.classOf(j.task(a.Task.Index)).slots, s.took, s.running
	}
	return nil, 0, 0, false
}

// bystander takes in that an attempt died that waited while others ran beside it. It
// reports whether that was once too often.
func bystander(y *tally) bool {
	y.other++
	return y.other > maxOther
}

// Lives reports whether an attempt is one that its worker has been given and has not
// ended.
func (c *Core) Lives(id graph.WorkerID, a TaskAttempt) bool {
	j, _, _, _ := c.attemptOn(id, a)
	return j != nil
}
