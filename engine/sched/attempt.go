package sched

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// An attempt lives from assign to its end: a result, a failure, a retraction,
// its worker's leaving, or the moment at which nobody wants it any more. Between
// these the worker is charged for it. A message about any other attempt than the
// live one is stale: it changes nothing.

// live returns the row of an attempt if it is the live one and on that worker.
func (c *Core) live(w graph.WorkerID, a TaskAttempt) (*job, *task) {
	j, t := c.look(a.Task)
	if j == nil || !t.state.Given() || t.where != w || t.attempt != a.Attempt {
		return nil, nil
	}
	return j, t
}

// give assigns a task to a worker, by moveAssign or moveFollow.
func (c *Core) give(w *worker, j *job, i uint32, m move) {
	c.apply(j, i, m)
	t, cl := j.task(i), j.classOf(j.task(i))
	t.attempt = c.nextAttempt(j, i)
	if j.top != nil {
		delete(j.top, i)
	}
	c.fence(j, i)
	t.where = w.id
	t.took = unknownTook
	if cl.took.known {
		t.took = bucket(cl.took.micros())
	}
	c.charge(w, cl.lane, t.slotsTaken(cl.lane), t.took)
	if len(w.given) > 2*w.inflight+64 {
		c.liveOn(w)
	}
	w.given = append(w.given, TaskAttempt{j.name(i), t.attempt})
	c.crew.hungry.put(w, false)

	c.assign(w, j, i, t.attempt)
}

// nextAttempt numbers the next attempt of i.
func (c *Core) nextAttempt(j *job, i uint32) graph.Attempt {
	return max(j.task(i).attempt, j.top[i], graph.FirstAttempt(c.cfg.Generation)) + 1
}

// assign tells w of an attempt and its inputs.
func (c *Core) assign(w *worker, j *job, i uint32, attempt graph.Attempt) {
	from := uint32(len(c.out.Inputs))
	for e, to := j.edgesOf(i); e < to; e++ {
		jd, d := c.dep(j, i, e)
		c.out.Inputs = append(c.out.Inputs, c.input(w, jd, d))
	}
	c.out.Assign = append(c.out.Assign, Assign{
		Worker: w.id, Task: j.name(i), Attempt: attempt,
		From: from, To: uint32(len(c.out.Inputs)),
	})
}

// input describes a task to a worker that is going to need its result: a Done one, or one
// that the worker itself is about to compute.
func (c *Core) input(w *worker, j *job, i uint32) Input {
	t := j.task(i)
	if t.state != StateDone { // it is followed
		return Input{Task: j.name(i), Attempt: t.attempt, Held: [3]graph.WorkerID{t.where}}
	}
	in := Input{Task: j.name(i), Attempt: t.attempt, Size: t.size}
	if t.flags&flagInline != 0 {
		in.Inline = true
		return in
	}
	if len(j.copies.head) == 0 || t.where == w.id {
		in.Held[0] = t.where
		return in
	}
	// A local copy goes first, else the readers spread over the holders.
	c.scratch = c.scratch[:0]
	for h := range j.holdersOf(i) {
		if h == w.id {
			in.Held[0] = h
			return in
		}
		c.scratch = append(c.scratch, h)
	}
	for n := range min(len(in.Held), len(c.scratch)) {
		in.Held[n] = c.scratch[(int(w.id)+n)%len(c.scratch)]
	}
	return in
}

// holdersOf yields the workers that hold i's result.
func (j *job) holdersOf(i uint32) func(func(graph.WorkerID) bool) {
	return func(yield func(graph.WorkerID) bool) {
		if !j.tasks.made(i) {
			return
		}
		if t := j.task(i); t.state != StateDone || t.flags&flagInline != 0 || !yield(t.where) {
			return
		}
		for h := range j.copies.of(i) {
			if !yield(h) {
				return
			}
		}
	}
}

// ungive takes the charge for a live attempt off its worker. The caller makes
// the transition.
func (c *Core) ungive(j *job, i uint32) {
	t := j.task(i)
	w := c.workers[t.where]
	c.unpark(w, j.name(i), t.took)
	c.discharge(w, j.classOf(t).lane, t.slotsTaken(j.classOf(t).lane), t.took)
	c.doubt(j, i)
	if t.state == StateRunning {
		w.running--
		delete(j.runs, i)
	}
	if t.flags&flagRetract != 0 {
		t.flags &^= flagRetract
		w.asked--
		c.claimEnded(j.name(i))
	}
	t.where, t.took = 0, 0
}

// stop tells the worker of a live attempt that it is not wanted any more.
func (c *Core) stop(j *job, i uint32) {
	t := j.task(i)
	c.out.Stop = append(c.out.Stop, Order{t.where, j.name(i), t.attempt})
}

// goBack makes a task whose attempt ended without an outcome Waiting or Ready, or lets it
// go on with its second attempt.
func (c *Core) goBack(j *job, i uint32) {
	c.ungive(j, i)
	if _, ok := j.seconds[i]; ok {
		c.promote(j, i)
		return
	}
	c.apply(j, i, moveBack)
	c.countInputs(j, i)
}

func (c *Core) stepStarted(ev Started) {
	for _, a := range ev.Tasks {
		j, t := c.live(ev.Worker, a)
		switch {
		case j != nil && t.state == StateAssigned:
			c.apply(j, a.Task.Index, moveStart)
			c.workers[ev.Worker].running++
			c.noteStart(j, a.Task.Index)
		case j == nil && c.secondStarted(ev.Worker, a):
		default:
			c.reject(StaleAttempt)
		}
	}
}

func (c *Core) stepDone(ev Done) {
	w := c.workers[ev.Worker]
	for k := range ev.Tasks {
		f := &ev.Tasks[k]
		if j := c.secondOn(ev.Worker, f.TaskAttempt); j != nil {
			c.overtake(j, f.Task.Index)
		}
		j, t := c.live(ev.Worker, f.TaskAttempt)
		if j == nil {
			c.staleDone(w, f)
			continue
		}
		cl := j.classOf(t)
		cl.took.add(int64(f.Duration))
		cl.lane.took.add(int64(f.Duration))
		c.noteTook(j, t.class)
		w.sick = 0
		holder := ev.Worker
		if f.Inline {
			holder = 0
		}
		c.finish(j, f.Task.Index, moveFinish, holder, f.Size)
		t.took = bucket(int64(f.Duration))
		c.settle()
	}
}

// staleDone gets rid of a result of an attempt that is not the live one. Should
// it be the accepted one, told twice, Output finds that out.
func (c *Core) staleDone(w *worker, f *Finished) {
	c.reject(StaleAttempt)
	switch {
	case f.Inline:
		c.out.Free = append(c.out.Free, Order{0, f.Task, f.Attempt})
	case w != nil:
		c.out.Free = append(c.out.Free, Order{w.id, f.Task, f.Attempt})
	}
}

// maxSize bounds the size of a result that is believed, so that sums do not
// overflow.
const maxSize = 1 << 48

// finish gives an active task its result.
func (c *Core) finish(j *job, i uint32, m move, holder graph.WorkerID, size uint64) {
	t := j.task(i)
	var at graph.WorkerID // where its followers are
	if m == moveFinish {
		at = t.where
	}
	c.leaveActive(j, i)
	c.apply(j, i, m)
	t.where, t.size, t.waiting = holder, min(size, maxSize), 0
	t.flags &^= flagInline | flagSuspect
	if j.lost != nil {
		delete(j.lost, i)
	}
	if holder == 0 {
		t.flags |= flagInline
		c.cut(j, i)
	} else {
		c.hold(c.workers[holder], j.name(i), t.size)
	}
	held := j.held(i)
	if held {
		t.flags |= flagSeen
		c.out.Ended = append(c.out.Ended, Ended{Task: j.name(i), Attempt: t.attempt, Size: t.size, Inline: holder == 0})
	}
	c.note(Fact{Kind: FactDone, Task: j.name(i), Attempt: t.attempt, Size: t.size, Inline: holder == 0, Told: held})
	for jk, k := range c.consumers(j, i) {
		switch tk := jk.task(k); {
		case tk.state == StateWaiting:
			if tk.waiting--; tk.waiting == 0 {
				c.becomeReady(jk, k)
			}
		case at != 0 && tk.where == at && tk.follower():
			if tk.waiting--; tk.waiting == 0 {
				c.caughtUp(jk, k)
			}
		}
	}
}

const (
	defaultDeaths = 3
	maxOther      = 16  // setbacks of a task that are nobody's fault for certain
	maxStray      = 256 // inputs that could not be had from workers that had left
)

func (c *Core) stepFailed(ev Failed) {
	together, waited := 0, 0 // deaths: of what ran, and of what was parked
	w := c.workers[ev.Worker]
	for k := range ev.Tasks {
		if f := &ev.Tasks[k]; isDeath(f.Kind) {
			if w != nil && w.isParked(f.Task) {
				waited++
			} else {
				together++
			}
		}
	}
	for k := range ev.Tasks {
		f := &ev.Tasks[k]
		if f.Kind == graph.FailInput && c.transferFailed(ev.Worker, f) {
			c.settle()
			continue
		}
		j, t := c.live(ev.Worker, f.TaskAttempt)
		if j == nil {
			c.failedSecond(ev.Worker, f)
			c.settle()
			continue
		}
		single := together == 1
		if w.isParked(f.Task) {
			single = together+waited == 1
		}
		c.failedAttempt(j, f.Task.Index, t, f, single)
		c.settle()
	}
}

func isDeath(k graph.FailKind) bool { return k == graph.FailDied || k == graph.FailMemory }

// failedAttempt decides whether a task is tried again. single says that no other
// attempt died with this one, besides those that were parked if this one was not.
func (c *Core) failedAttempt(j *job, i uint32, t *task, f *FailedAttempt, single bool) {
	w, cl, y := c.workers[t.where], j.classOf(t), j.tallies[i]
	final := false
	switch f.Kind {
	case graph.FailUser, graph.FailTime:
		y.user++
		final = y.user > cl.Retries
	case graph.FailDied, graph.FailMemory:
		// It may have died with another one's executor, unless it was alone. Commands
		// share an executor too; but the memory that one is ended for is its own. An
		// interpreter of Python runs nothing else.
		beside, running, parked := w.queued, w.running-len(w.parked), w.isParked(j.name(i))
		if parked {
			beside, running = beside+w.aside, w.running
		}
		alone := beside == cl.slots || running == 1 && t.state == StateRunning ||
			cl.Kind == graph.KindCommand && f.Kind == graph.FailMemory || cl.Kind == graph.KindPython
		switch {
		case single && alone:
			y.deaths++
			final = y.deaths >= cl.deaths()
		case parked:
			final = bystander(&y)
		default:
			c.suspect(j, i)
		}
	case graph.FailInput:
		if c.inputGone(j, i, f) {
			y.other++
			final = y.other > maxOther
		} else {
			y.stray++
			final = y.stray > maxStray
		}
	case graph.FailMoved:
		// Nobody's fault, if it is true: what says so for no reason ends some time.
		if w.phase == working {
			y.other++
			final = y.other > maxOther
		}
	default:
		c.setupFailed(w)
		y.other++
		final = y.other > min(maxOther, cl.deaths())
	}
	if final {
		c.fail(j, i, f.Kind, j.name(i))
		return
	}
	if y != j.tallies[i] {
		c.tally(j, i, y)
	}
	c.goBack(j, i)
}

// inputGone drops the copy that an attempt could not fetch. It reports whether
// that is a setback: a holder that has left meanwhile is none. An inline result,
// which the scheduler itself did not give, is not dropped: it is known to be there,
// and cannot be computed again.
func (c *Core) inputGone(j *job, i uint32, f *FailedAttempt) bool {
	if f.Holder == 0 {
		return true
	}
	for e, to := j.edgesOf(i); e < to; e++ {
		if jd, d := c.dep(j, i, e); jd != nil && jd.name(d) == f.Input {
			return c.copyGone(jd, d, f.Holder)
		}
	}
	c.reject(BadRow)
	return true
}

func (cl *class) deaths() uint16 {
	if cl.Deaths == 0 {
		return defaultDeaths
	}
	return cl.Deaths
}

func (c *Core) stepRetracted(ev Retracted) {
	if len(ev.OK) != len(ev.Tasks) {
		c.reject(BadRow)
		return
	}
	for k, a := range ev.Tasks {
		j, t := c.live(ev.Worker, a)
		if j == nil || t.flags&flagRetract == 0 {
			c.reject(StaleAttempt)
			continue
		}
		if !ev.OK[k] {
			t.flags &^= flagRetract
			c.workers[ev.Worker].asked--
			c.claimEnded(a.Task)
			continue
		}
		c.takeBack(j, a.Task.Index)
		c.settle()
	}
}

// liveOn returns w's live attempts in the order in which they were assigned.
func (c *Core) liveOn(w *worker) []TaskAttempt {
	w.given = slices.DeleteFunc(w.given, func(a TaskAttempt) bool {
		j, _ := c.live(w.id, a)
		return j == nil
	})
	return w.given
}
