package sched

import (
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// A core that takes over from one that died is told what the journal has: the events that
// clients caused, and facts, in their order. Meanwhile nothing is wanted, nothing fails
// because of something else, and nobody is told anything: what the core before drew as a
// consequence is a fact of its own.
//
//	restoring ──Restored──► awaiting ──Resume──► at work
//	            wants are    workers come back
//	            drawn anew   with what they have
//
//   - A task whose result is on a worker is Released then, and lost knows the attempt: who
//     brings just that one back makes it Done. So it is active in the end if somebody
//     wants it, and all that it would be computed from, until its result is there: what is
//     not brought back by Resume is computed again.
//   - A task may have a result, or be about to have one, though its inputs could not be
//     computed again: one of them failed the second time, or was cancelled. So nothing
//     fails because of an input before Resume.
//   - Tasks of ranges have no inputs and are Ready from the start, as ever.
//   - Lineage (kin) depends on facts alone, so that tasks are forgotten when they were.
//   - An attempt of an earlier generation that no fact tells of counts like one of this, as a
//     result that a worker brings or as an attempt that goes on there, as long as none was
//     given in this one. But only if the task was submitted in that generation or before
//     (job.eras): what was lost with the end of the journal may be submitted anew, by
//     others, under the same numbers.
//   - For what is computed any such attempt will do. An actor's has a state, which calls have seen: only
//     its last attempt may go on. So those before it are fenced when it is given (fence), and
//     it answers no call before that is safe: who comes back first and was replaced is refused.

// A snapshot is taken bit by bit, while things go on. So what it says is of no one moment: a
// task that is early in it may be as it was when the snapshot began, one that is late as it
// was at the end; and what happened meanwhile is told once more behind it.
//
//	Hazy ── the snapshot ── what happened meanwhile ── Clear ── what happened then
//
// That comes out as if all had been told in order, for in between nothing goes that may yet be
// spoken of, and all else is the same when it is told twice, or of a task that has come further:
//
//   - Nothing is let go of before Clear: Release, ReleaseRun, CloseJob and the end of a Pin wait,
//     and so does what nobody wants. Else a task could be forgotten before one that depends
//     on it is told of.
//   - A task that had been forgotten when one came that depends on it is there until Clear,
//     as it was when the snapshot began. So the journal says of such dependencies that they lead nowhere
//     (Gone): nobody could find out anew.
//   - An end of a task that has ended changes nothing. Of a task that has been retried since, or whose
//     result was lost since, what is told twice goes through the same ends in the same order.
//   - That inputs are not needed any more (flagCut), that a task was wanted, and that it was let go of is
//     for ever, so what is late in the snapshot is true at Clear.

// stepClear ends what is hazy: what was let go of meanwhile goes.
func (c *Core) stepClear() {
	if !c.hazy {
		return
	}
	c.hazy = false
	if len(c.todo.unwanted) == 0 { // so that there is one of it, not two
		c.todo.unwanted = c.haze.unwanted
	} else {
		c.todo.unwanted = append(c.todo.unwanted, c.haze.unwanted...)
	}
	c.haze.unwanted = nil
	c.settle()
	c.todo.unwanted = nil // settled; it was as long as the snapshot
	for _, ev := range c.haze.later {
		c.Step(ev)
	}
	c.haze.later = nil
}

// haze is what waits for Clear.
type haze struct {
	later    []Event // that let go of something
	unwanted []graph.TaskID
}

// waits reports whether an event has to wait for Clear, and keeps it if so. It is about
// tasks that there are now.
func (c *Core) waits(ev Event) bool {
	if !c.hazy {
		return false
	}
	switch e := ev.(type) {
	case Release:
		ev = Release{slices.DeleteFunc(slices.Clone(e.Tasks), func(id graph.TaskID) bool {
			j, _ := c.look(id)
			return j == nil
		})}
	case ReleaseRun:
		j := c.jobs[e.Run.Job]
		if j == nil || e.Run.First >= j.tasks.n {
			return true
		}
		e.Run.N = min(e.Run.N, j.tasks.n-e.Run.First)
		ev = e
	case Pin:
		if e.Delta >= 0 {
			return false
		}
	case CloseJob:
	default:
		return false
	}
	c.haze.later = append(c.haze.later, ev)
	return true
}

// Gone reports whether a task is of no use for good to one that comes now and depends on it: it was
// forgotten, or failed and nobody can retry it, or there never was one.
func (c *Core) Gone(id graph.TaskID) bool {
	j, t := c.look(id)
	return j == nil || t.state == StateForgotten || t.state == StateFailed && t.flags&flagCut != 0
}

// era says that a job's tasks from one on were submitted in a generation.
type era struct{ from, generation uint32 }

// enterEra notes the generation in which the job's next tasks are submitted.
func (c *Core) enterEra(j *job) {
	if c.era != j.bornIn(j.tasks.n) {
		j.eras = append(j.eras, era{j.tasks.n, c.era})
	}
}

// bornIn returns the generation in which i was submitted.
func (j *job) bornIn(i uint32) uint32 {
	for _, e := range slices.Backward(j.eras) {
		if i >= e.from {
			return e.generation
		}
	}
	return 0
}

// stepRecall takes a fact in.
func (c *Core) stepRecall(ev Recall) {
	f := &ev.Fact
	switch {
	case !c.restoring || !f.Valid():
		c.reject(BadRow)
		return
	case f.Kind == FactBegan:
		c.era = f.Attempt.Generation()
		return
	case f.Kind == FactCancelled:
		c.recallCancelled(graph.Run{Job: f.Task.Job, First: f.Task.Index, N: f.N})
		return
	}
	j, t := c.find(f.Task)
	if j == nil || t.state == StateForgotten {
		return
	}
	i := f.Task.Index
	switch f.Kind {
	case FactTally:
		if t.state == StateReleased || t.state.Active() { // else it was counted before its end
			c.tally(j, i, unpackTally(f.Size))
		}
	case FactAgain:
		if t.state == StateFailed && t.flags&flagCut == 0 {
			c.revive(j, i)
		}
	case FactSuspect:
		if t.state == StateReleased || t.state.Active() {
			c.suspect(j, i)
		}
	case FactBuried:
		if t.state == StateFailed && t.flags&flagCut == 0 {
			c.bury(j, i)
		}
	case FactFenced:
		if t.flags&flagSeen == 0 { // else one attempt's end was told, and stays the one that counts
			t.attempt = max(t.attempt, f.Attempt)
		}
	case FactFailed:
		c.recallFailed(j, i, f)
	default:
		c.recallDone(j, i, f)
	}
}

// recallCancelled cancels a run. In a haze it may be all tasks of a job that has gone since.
func (c *Core) recallCancelled(r graph.Run) {
	c.cancelRun(r)
	if j := c.jobs[r.Job]; j != nil && c.hazy {
		for i := r.First; i < r.End() && i < j.tasks.n; i++ {
			if j.tasks.made(i) {
				c.recallFailed(j, i, &Fact{Task: j.name(i), Fail: graph.FailCancelled, Cause: j.name(i)})
			}
		}
	}
}

// begin makes a task that has not ended one that a fact may end.
func (c *Core) begin(j *job, i uint32, f *Fact) bool {
	t := j.task(i)
	if t.state == StateReleased {
		c.apply(j, i, moveWant)
	}
	if !t.state.Active() {
		return false // of a range that was cancelled, or told twice
	}
	t.attempt = max(t.attempt, f.Attempt)
	t.flags &^= flagFresh
	return true
}

func (c *Core) recallDone(j *job, i uint32, f *Fact) {
	if !c.begin(j, i, f) {
		return
	}
	t := j.task(i)
	if f.Told {
		t.flags |= flagSeen
	}
	if !f.Inline {
		c.apply(j, i, moveDrop)
		t.flags &^= flagSuspect
		c.noteLost(j, i, f.Attempt)
		c.dropLater(j, i)
		return
	}
	c.apply(j, i, moveRecover)
	t.where, t.size = 0, min(f.Size, maxSize)
	t.flags = t.flags&^flagSuspect | flagInline
	delete(j.lost, i)
	c.cut(j, i)
	c.dropLater(j, i)
}

func (c *Core) recallFailed(j *job, i uint32, f *Fact) {
	if !c.begin(j, i, f) {
		return
	}
	t := j.task(i)
	m := moveFail
	if f.Fail == graph.FailCancelled {
		m = moveCancel
	}
	c.apply(j, i, m)
	t.size, t.took = pack(f.Cause), uint8(f.Fail)
	t.flags |= flagSeen
	if m == moveFail {
		c.keep(j, i)
		return
	}
	c.cut(j, i)
	c.farewell(j, i)
}

// wantAll notes which of a job's tasks from first on were wanted as soon as they were there.
func (c *Core) wantAll(j *job, first uint32) {
	for i := first; i < j.tasks.n; i++ {
		if j.task(i).flags&flagHeld != 0 {
			c.wantLike(j.name(i))
		}
	}
}

// wantLike does of activate what lasts: what was wanted once, and what that needs, is not
// fresh any more. Of what is not fresh that is known already, unless it is unused.
func (c *Core) wantLike(id graph.TaskID) {
	for todo := []graph.TaskID{id}; len(todo) > 0; {
		id := pop(&todo)
		j, t := c.look(id)
		if j == nil || t.state != StateReleased || !j.tasks.made(id.Index) {
			continue
		}
		t.flags &^= flagFresh
		delete(c.unused, id)
		for e, to := j.edgesOf(id.Index); e < to; e++ {
			jd, d := c.dep(j, id.Index, e)
			if jd == nil || !jd.tasks.made(d) {
				continue
			}
			if _, ok := c.unused[jd.name(d)]; ok || jd.task(d).flags&flagFresh != 0 {
				todo = append(todo, jd.name(d))
			}
		}
	}
}

// stepRestored draws the consequences of what was told.
func (c *Core) stepRestored() {
	if !c.restoring {
		return
	}
	c.stepClear()
	c.restoring, c.awaiting = false, true
	c.unused = map[graph.TaskID]struct{}{} // clear would keep it as large as the snapshot was
	c.era = c.cfg.Generation
	c.note(Fact{Kind: FactBegan, Attempt: graph.FirstAttempt(c.era)})
	c.eachMade(func(j *job, i uint32) {
		if j.task(i).state == StateReleased && j.wanted(i) {
			c.activate(j, i)
		}
	})
}

// stepResume ends the time in which workers come back. Only now is it known that a task has
// no result which one of its inputs could not give again.
func (c *Core) stepResume() {
	if !c.awaiting {
		return
	}
	c.awaiting = false
	c.eachMade(func(j *job, i uint32) {
		if j.task(i).state == StateWaiting {
			c.failHopeless(j, i)
		}
	})
}

// eachMade calls f for every task that has a row.
func (c *Core) eachMade(f func(j *job, i uint32)) {
	for _, id := range slices.Sorted(maps.Keys(c.jobs)) {
		j := c.jobs[id]
		for i := uint32(0); i < j.tasks.n; i++ {
			if j.tasks.made(i) {
				f(j, i)
			} else {
				i = j.chunkEnd(i) - 1
			}
		}
	}
}

// mayTakeOver reports whether a result or an attempt of i from an earlier generation, of
// which the journal knows nothing, may count.
func (c *Core) mayTakeOver(j *job, i uint32, t *task, a graph.Attempt) bool {
	now, then := c.cfg.Generation, a.Generation()
	given := max(t.attempt, j.top[i]).Generation() == now
	return t.state.Active() && a > t.attempt && then < now && !given && then >= j.bornIn(i)
}

// stepAdopt lets attempts go on that a worker brings along: first those that were its own on
// another connection, so that what follows one of them is not taken back before its turn.
func (c *Core) stepAdopt(ev Adopt) {
	w := c.workers[ev.Worker]
	if w == nil {
		c.reject(UnknownWorker)
		return
	}
	for _, a := range ev.Tasks {
		if j, t := c.look(a.Task); j != nil && w.mayHave(t, a) && t.where != w.id && c.workers[t.where].name == w.name {
			c.moveAttempt(w, j, a.Task.Index)
		}
	}
	c.settle()
	for _, a := range ev.Tasks {
		j, t := c.look(a.Task)
		switch {
		case c.Lives(w.id, a): // moved just now, or said twice
		case j != nil && w.phase != retired && !t.state.Given() && c.mayTakeOver(j, a.Task.Index, t, a.Attempt):
			c.find(a.Task) // makes the row
			c.takeOver(w, j, a.Task.Index, a.Attempt)
		default:
			c.disown(w, a)
		}
		c.settle()
	}
}

// mayHave reports whether w can go on with an attempt that is the live one.
func (w *worker) mayHave(t *task, a TaskAttempt) bool {
	return w.phase != retired && t.state.Given() && t.attempt == a.Attempt
}

func (c *Core) disown(w *worker, a TaskAttempt) {
	c.reject(StaleAttempt)
	c.out.Stop = append(c.out.Stop, Order{w.id, a.Task, a.Attempt})
}

// moveAttempt has an attempt go on with another incarnation of its worker.
func (c *Core) moveAttempt(w *worker, j *job, i uint32) {
	running, since := j.task(i).state == StateRunning, j.runs[i]
	c.ungive(j, i)
	if s, ok := j.seconds[i]; ok && s.where == w.id {
		c.dropSecond(j, i, true) // given to it before it said that it has the first
	}
	j.task(i).waiting = 0 // it was handed out: its inputs are there
	c.book(w, j, i)
	if running {
		w.running++
		if since != (run{}) {
			j.runs[i] = since
		}
	}
}

// takeOver makes an attempt of an earlier generation the live one.
func (c *Core) takeOver(w *worker, j *job, i uint32, a graph.Attempt) {
	c.apply(j, i, moveAdopt)
	t := j.task(i)
	t.attempt, t.waiting = a, 0
	c.fence(j, i)
	c.book(w, j, i)
}

// fence notes of an actor that no attempt before the live one may go on.
func (c *Core) fence(j *job, i uint32) {
	if a, ok := c.fenced(j, i); ok {
		c.note(Fact{Kind: FactFenced, Task: j.name(i), Attempt: a})
	}
}

// fenced returns up to which attempt of an actor none may go on, if there may be one.
func (c *Core) fenced(j *job, i uint32) (graph.Attempt, bool) {
	t := j.task(i)
	a := t.attempt
	if t.state.Given() {
		a--
	}
	return a, j.classOf(t).Actor && a > graph.FirstAttempt(j.bornIn(i))
}

// Fenced reports whether an actor may have had attempts before the live one: that none of them
// may go on is a fact, of which to know whether it is safe.
func (c *Core) Fenced(id graph.TaskID) bool {
	j, t := c.look(id)
	if j == nil || !t.state.Given() {
		return false
	}
	_, ok := c.fenced(j, id.Index)
	return ok
}

// book charges i's live attempt to w.
func (c *Core) book(w *worker, j *job, i uint32) {
	t, cl := j.task(i), j.classOf(j.task(i))
	t.where, t.took = w.id, unknownTook
	if cl.took.known {
		t.took = bucket(cl.took.micros())
	}
	w.brought = true
	c.charge(w, cl.lane, t.slotsTaken(cl.lane), t.took)
	w.given = append(w.given, TaskAttempt{j.name(i), t.attempt})
}
