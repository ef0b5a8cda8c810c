package schedtest

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// twin knows what state each task must be in, wherever and whenever tasks run.
// It watches the same events and outputs as the world and works everything out
// anew each time.
type twin struct {
	tasks     []*twinTask // in order of submission: dependencies come first
	byID      map[graph.TaskID]*twinTask
	core      *sched.Core
	oracle    *oracle
	seq       int                       // of assignments
	seconds   int                       // of them, beside a live one
	suspected bool                      // some task was, ever
	copies    map[sched.TaskAttempt]int // Copies that were ordered
	stops     map[sched.Order]bool      // attempts that must be stopped in the next output
	slots     map[graph.WorkerID]int    // of each worker
	lonely    map[graph.WorkerID]bool   // workers that had nobody to copy to
	revived   int                       // tasks that run again by the last Retry
	names     map[graph.WorkerID]string
	err       error

	generation uint32 // of the scheduler
	restoring  bool   // it is being told what there was
	awaiting   bool   // workers come back to it
	era        uint32 // the generation that took in what is told now

	scratch []graph.WorkerID
}

func newTwin(c *sched.Core, o *oracle) *twin {
	return &twin{
		byID: map[graph.TaskID]*twinTask{}, core: c, oracle: o,
		copies: map[sched.TaskAttempt]int{}, stops: map[sched.Order]bool{}, slots: map[graph.WorkerID]int{}, lonely: map[graph.WorkerID]bool{}, names: map[graph.WorkerID]string{},
	}
}

type twinTask struct {
	id        graph.TaskID
	name      Name
	class     *graph.Class
	deps      []graph.TaskID
	consumers []*twinTask
	held      bool
	fresh     bool // loose and never wanted
	pins      int

	live     sched.TaskAttempt   // zero: none
	worker   graph.WorkerID      // of live
	started  bool                // live was said to run
	follows  []sched.TaskAttempt // on the same worker, which live was assigned before the end of
	parked   bool                // live waits for others
	strayed  bool                // it did, ever
	moved    bool                // its worker brought live along on a new connection
	second   secondAttempt
	row      graph.Attempt // the last that was live
	last     graph.Attempt // highest attempt ever given
	born     uint32        // the generation in which it was submitted
	done     bool
	inline   bool
	attempt  graph.Attempt  // whose result counts
	from     graph.WorkerID // who gave it, unless it was brought along later
	lost     graph.Attempt  // whose result counted, and is gone
	holders  []graph.WorkerID
	seq      int // of the live attempt
	mistakes int // attempts that failed by their own doing
	setbacks setbacks
	dropped  bool // its payload was given up
	failed   graph.FailKind
	first    bool // it failed for a reason of its own, ever: others may still name it
	told     bool // a result was told
	gone     bool // forgotten
	unlinked bool // does not keep its inputs' lineage, nor, if it failed, its payload
	closed   bool // its job is
	wanted   bool
}

func (t *twinTask) open() bool { return !t.done && t.failed == 0 && !t.gone }

// secondAttempt is what a task that takes long may get beside its live one.
type secondAttempt struct {
	sched.TaskAttempt
	worker  graph.WorkerID // 0: none
	started bool
	parked  bool
	strayed bool
	seq     int
}

// endAttempt ends the live attempt; a second one takes its place.
func (t *twinTask) endAttempt() {
	t.follows = nil
	t.live, t.worker, t.started, t.seq = t.second.TaskAttempt, t.second.worker, t.second.started, t.second.seq
	t.parked, t.strayed, t.moved = t.second.parked, t.second.strayed, false
	t.second = secondAttempt{}
	if t.worker != 0 {
		t.row = t.live.Attempt
	}
}

// endAttempts ends both.
func (t *twinTask) endAttempts() {
	t.second = secondAttempt{}
	t.endAttempt()
}

// settle draws all consequences: what is wanted is wanted, then what is hopeless
// fails, then what nobody wants is let go, one thing at a time.
func (tw *twin) settle() {
	tw.unfollow()
	tw.want()
	for _, t := range tw.tasks {
		if t.wanted {
			t.fresh = false
		}
		if !tw.restoring && !tw.awaiting && t.open() && t.wanted && t.worker == 0 && slices.ContainsFunc(t.deps, tw.hopeless) {
			t.fail(graph.FailUpstream)
			if t.told {
				t.failed = graph.FailLost
			}
		}
	}
	tw.unfollow()
	for again := true; again; {
		tw.want()
		again = false
		for _, t := range tw.tasks {
			if !t.wanted && tw.letGo(t) {
				tw.unfollow()
				again = true
				break
			}
		}
	}
	for _, t := range tw.tasks {
		t.dropped = t.dropped || !t.closed && (t.gone || t.failed != 0 && t.unlinked)
	}
}

// needsPayload reports whether the scheduler must keep what the task needs to run.
func (t *twinTask) needsPayload() bool { return !t.dropped }

// want finds out which tasks are wanted.
func (tw *twin) want() {
	for n := len(tw.tasks) - 1; n >= 0; n-- { // without iterators: this is what takes most time
		t := tw.tasks[n]
		t.wanted = t.held || t.pins > 0
		for k := 0; k < len(t.consumers) && !t.wanted; k++ {
			t.wanted = t.consumers[k].open() && t.consumers[k].wanted
		}
	}
}

// letGo drops, frees or forgets a task that nobody wants.
func (tw *twin) letGo(t *twinTask) bool {
	kin := slices.ContainsFunc(t.consumers, func(k *twinTask) bool { return !k.unlinked })
	switch {
	case t.wanted:
		return false
	case t.failed != 0 && !t.unlinked && !kin:
		t.unlinked = true
	case t.open() && t.worker != 0:
		tw.stop(t)
		t.endAttempts()
	case t.done && !(t.inline && kin):
		if tw.restoring && !t.inline {
			t.lost = t.attempt // no worker was told yet
		}
		t.done, t.inline, t.holders = false, false, nil
	case t.open() && !t.fresh && !kin:
		t.gone, t.unlinked = true, true
	default:
		return false
	}
	return true
}

// stop notes that nobody wants to hear of the live attempts any more.
func (tw *twin) stop(t *twinTask) {
	tw.stopFirst(t)
	tw.stopSecond(t)
}

func (tw *twin) stopSecond(t *twinTask) {
	if s := t.second; s.worker != 0 {
		tw.stops[sched.Order{Worker: s.worker, Task: t.id, Attempt: s.Attempt}] = true
	}
}

func (tw *twin) stopFirst(t *twinTask) {
	if t.worker != 0 {
		tw.stops[sched.Order{Worker: t.worker, Task: t.id, Attempt: t.live.Attempt}] = true
	}
}

// stopped objects to attempts that are stopped and need not be, or the other way.
func (tw *twin) stopped(orders []sched.Order) error {
	for _, o := range orders {
		if t := tw.isSecond(o.Worker, sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt}); t != nil {
			t.second = secondAttempt{} // whoever runs it may be wanted for something else
			continue
		}
		if !tw.stops[o] {
			return fmt.Errorf("%v attempt %d on worker %d is stopped, which is wanted", o.Task, o.Attempt, o.Worker)
		}
		delete(tw.stops, o)
	}
	for o := range tw.stops {
		if _, ok := tw.slots[o.Worker]; ok {
			return fmt.Errorf("%v attempt %d on worker %d is not stopped, which nobody wants", o.Task, o.Attempt, o.Worker)
		}
	}
	clear(tw.stops)
	return nil
}

// hopeless reports whether a task will never have a result.
func (tw *twin) hopeless(id graph.TaskID) bool {
	t := tw.byID[id]
	return t == nil || t.failed != 0 || t.gone
}

// ended objects to an outcome that is not the task's.
func (tw *twin) ended(e sched.Ended) error {
	t := tw.byID[e.Task]
	switch {
	case t == nil:
		return fmt.Errorf("end of %v, which does not exist", e.Task)
	case e.Kind == graph.FailNone && !t.told:
		return fmt.Errorf("result of %v told, which nobody holds", e.Task)
	case e.Kind == graph.FailNone:
		return nil
	case t.failed != e.Kind:
		return fmt.Errorf("%v failed as %v, should be %v", e.Task, e.Kind, t.failed)
	case e.Kind == graph.FailUpstream && tw.isConsequence(e.Cause):
		return fmt.Errorf("%v failed because of %v, in which nothing failed first", e.Task, e.Cause)
	}
	return nil
}

// isConsequence reports whether a failure that is called the cause of others has a
// cause itself. Of a closed job that is not known any more.
func (tw *twin) isConsequence(cause graph.TaskID) bool {
	t := tw.byID[cause]
	return t != nil && !t.closed && t.failed == graph.FailUpstream && !t.first
}

// assigned takes in that the core gave an attempt to a worker.
func (tw *twin) assigned(a sched.Assign, inputs []sched.Input) error {
	t := tw.byID[a.Task]
	switch {
	case t == nil || !t.open() || !t.wanted:
		return fmt.Errorf("%v assigned, which nobody waits for", a.Task)
	case t.worker != 0 && !t.mayHaveSecond(a.Worker):
		return fmt.Errorf("%v assigned to %d while attempt %d lives on %d", a.Task, a.Worker, t.live.Attempt, t.worker)
	case a.Attempt.Generation() != tw.generation:
		return fmt.Errorf("%v assigned as attempt %d of generation %d, this is %d", a.Task, a.Attempt, a.Attempt.Generation(), tw.generation)
	case a.Attempt <= t.last:
		return fmt.Errorf("%v assigned as attempt %d after %d", a.Task, a.Attempt, t.last)
	case len(inputs) != len(t.deps):
		return fmt.Errorf("%v assigned with %d inputs of %d", a.Task, len(inputs), len(t.deps))
	}
	var follows []sched.TaskAttempt
	for k, in := range inputs {
		d := tw.byID[t.deps[k]]
		if in.Task == d.id && !d.done && t.worker == 0 && d.worker == a.Worker && d.second.worker == 0 && !in.Inline &&
			in.Attempt == d.live.Attempt && in.Held == [3]graph.WorkerID{a.Worker} {
			follows = append(follows, d.live)
			continue
		}
		if in.Task != d.id || !d.done || in.Attempt != d.attempt || in.Inline != d.inline {
			return fmt.Errorf("%v assigned with input %+v of %+v", a.Task, in, *d)
		}
		for _, h := range in.Held {
			if h != 0 && !slices.Contains(d.holders, h) {
				return fmt.Errorf("%v assigned with input %v from %d, holders are %v", a.Task, in.Task, h, d.holders)
			}
		}
		if !in.Inline && in.Held[0] == 0 {
			return fmt.Errorf("%v assigned with input %v from nobody", a.Task, in.Task)
		}
	}
	tw.seq++
	t.last = a.Attempt
	if at := (sched.TaskAttempt{Task: a.Task, Attempt: a.Attempt}); t.worker != 0 {
		t.second = secondAttempt{TaskAttempt: at, worker: a.Worker, seq: tw.seq}
		tw.seconds++
	} else {
		t.live, t.worker, t.seq, t.row, t.follows = at, a.Worker, tw.seq, a.Attempt, follows
	}
	return nil
}

// mayHaveSecond reports whether a task with a live attempt may get another one.
func (t *twinTask) mayHaveSecond(on graph.WorkerID) bool {
	return t.class.Idempotent && t.started && t.second.worker == 0 && t.worker != on
}

// strayed counts the attempts of a worker that wait, or have waited, for others, and those
// that it brought along: what it has besides is bounded.
func (tw *twin) strayed(id graph.WorkerID) (n int) {
	for _, t := range tw.tasks {
		if t.worker == id && (t.strayed || t.moved) || t.second.worker == id && t.second.strayed {
			n++
		}
	}
	return n
}

// freed objects to a Free of something that is needed.
func (tw *twin) freed(o sched.Order) error {
	t := tw.byID[o.Task]
	if t == nil || !t.done || t.attempt != o.Attempt {
		return nil
	}
	if t.inline && o.Worker == 0 || slices.Contains(t.holders, o.Worker) {
		return fmt.Errorf("%v attempt %d freed on %d, which is needed there", o.Task, o.Attempt, o.Worker)
	}
	return nil
}

// compare reports a task whose state is not what it must be.
func (tw *twin) compare() error {
	if tw.err != nil {
		return tw.err
	}
	c := tw.core
	var got sched.Task
	for _, t := range tw.tasks {
		if !c.Look(t.id, &got) {
			if t.failed == 0 && !t.gone {
				return fmt.Errorf("%v is gone with its job, must be %s", t.id, t.must())
			}
			continue
		}
		s := got.State
		switch must := t.must(); {
		case must == "failed" && (s == sched.StateFailed || s == sched.StateCancelled) && got.Kind == t.failed:
		case must == "forgotten" && s == sched.StateForgotten:
		case must == "forgotten" && t.closed && tw.generation > 0 && s == sched.StateCancelled: // nobody looks
		case must == "done" && s == sched.StateDone && got.Attempt == t.attempt:
		case must == "given" && s.Given() && (s == sched.StateRunning) == t.started && got.Attempt == t.live.Attempt && got.Worker == t.worker:
		case must == "active" && (s == sched.StateWaiting || s == sched.StateReady):
		case must == "released" && s == sched.StateReleased:
		default:
			return fmt.Errorf("%v is %v, must be %s (%+v)", t.id, s, must, *t)
		}
		if !t.done {
			continue
		}
		tw.scratch = c.Holders(tw.scratch[:0], t.id)
		if len(tw.scratch) != len(t.holders) || slices.ContainsFunc(tw.scratch, func(h graph.WorkerID) bool { return !slices.Contains(t.holders, h) }) {
			return fmt.Errorf("%v has holders %v, must be %v", t.id, c.Holders(nil, t.id), t.holders)
		}
	}
	return nil
}

func (t *twinTask) must() string {
	switch {
	case t.failed != 0:
		return "failed"
	case t.gone:
		return "forgotten"
	case t.done:
		return "done"
	case t.worker != 0:
		return "given"
	case t.wanted:
		return "active"
	}
	return "released"
}
