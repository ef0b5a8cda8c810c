package schedtest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// setbacks count what went wrong with a task's attempts. Some of it cannot be known
// from outside for certain: then there is a least and a most.
type setbacks struct {
	deaths, mayBeDeaths int // while it ran alone
	setups, inputs      int // executors that did not start, inputs that could not be had
	stood               int // deaths while it waited and others ran
	suspect             bool
}

// manySetbacks is how many a task may have that nobody is to blame for.
const manySetbacks = 16

func (s *setbacks) others() int { return s.inputs + s.setups + s.stood }

// deaths counts those of an event: of what ran, and of what waited for others.
func (tw *twin) deaths(ev sched.Failed) (ran, waited int) {
	for _, f := range ev.Tasks {
		if f.Kind != graph.FailDied && f.Kind != graph.FailMemory {
			continue
		}
		if t := tw.byID[f.Task]; t != nil && (t.worker == ev.Worker && t.parked || t.second.worker == ev.Worker && t.second.parked) {
			waited++
		} else {
			ran++
		}
	}
	return ran, waited
}

// setback takes in that a live attempt failed, and judges whether the task had to.
func (tw *twin) setback(t *twinTask, f sched.FailedAttempt, single bool) {
	s := &t.setbacks
	must, may := false, false
	limit := deathsOf(t.class)
	switch f.Kind {
	case graph.FailUser, graph.FailTime:
		t.mistakes++
		must = t.mistakes > int(t.class.Retries)
		may = must
	case graph.FailDied, graph.FailMemory:
		if single && tw.alone(t, f.Kind) {
			s.deaths++
			must, may = s.deaths >= limit, s.deaths+s.mayBeDeaths >= limit
		} else if t.parked {
			s.stood++
			may = s.others() > manySetbacks
		} else {
			s.suspect, tw.suspected = true, true
		}
	case graph.FailInput:
		s.inputs++
		may = s.others() > manySetbacks
	default:
		s.setups++
		must, may = s.setups > min(16, limit), s.others() > min(16, limit)
	}
	t.endAttempt()
	tw.adopt(t, f.Kind, must, may)
}

// alone reports whether nothing but t can be the cause of a death.
func (tw *twin) alone(t *twinTask, kind graph.FailKind) bool {
	others, running := false, 0
	for _, k := range tw.tasks { // what waits is not suspected, unless it is t
		if k.worker == t.worker && (t.parked || !k.parked) {
			others = others || k != t && len(k.follows) == 0 // which has not begun
			if k.started {
				running++
			}
		}
		if k.second.worker == t.worker && (t.parked || !k.second.parked) {
			others = true
			if k.second.started {
				running++
			}
		}
	}
	return !others || running == 1 && t.started || t.class.Kind == graph.KindCommand && kind == graph.FailMemory ||
		t.class.Kind == graph.KindPython
}

func deathsOf(c *graph.Class) int {
	if c.Deaths == 0 {
		return 3
	}
	return int(c.Deaths)
}

// left takes in that a worker left: its copies are gone, and its attempts. With blame,
// what ran or may have is suspected, and if only one did, that one is it.
func (tw *twin) left(id graph.WorkerID, blame bool) {
	var live []*twinTask
	slots, running, waited, company := tw.slots[id], 0, 0, false
	delete(tw.slots, id)
	for _, t := range tw.tasks {
		tw.dropCopy(t.id, id)
		if t.second.worker == id {
			t.second, company = secondAttempt{}, true
		}
		if t.worker == id {
			live = append(live, t)
			switch {
			case t.parked:
				waited++
			case t.started:
				running++
			}
		}
	}
	slices.SortFunc(live, func(a, b *twinTask) int { return cmp.Compare(a.seq, b.seq) })
	var candidates []*twinTask
	for _, t := range live {
		if t.parked {
			continue
		}
		if blame && (t.started || slots > 0) {
			candidates = append(candidates, t)
		}
		slots -= slotsOf(t.class)
	}
	for _, t := range live {
		parked, moved := t.parked, t.moved
		t.endAttempt()
		s := &t.setbacks
		must, may := false, false
		switch {
		case blame && parked && len(candidates) == 0 && waited == 1 && !company:
			s.deaths++
			must, may = s.deaths >= deathsOf(t.class), s.deaths+s.mayBeDeaths >= deathsOf(t.class)
			s.suspect, tw.suspected = true, true
		case blame && parked:
			s.stood++
			may = s.others() > manySetbacks
		case !slices.Contains(candidates, t):
		case len(candidates) > 1 || company || running == 0 && !tw.suspected: // nobody knows which, or whether any ran
			s.suspect, tw.suspected = true, true
		case running == 1 || s.suspect && !moved:
			s.deaths++
			must, may = s.deaths >= deathsOf(t.class), s.deaths+s.mayBeDeaths >= deathsOf(t.class)
			s.suspect, tw.suspected = true, true
		default: // it may have been left from before the worker was kept free for a suspect, or have come with it
			s.mayBeDeaths++
			may = s.deaths+s.mayBeDeaths >= deathsOf(t.class)
			s.suspect, tw.suspected = true, true
		}
		tw.adopt(t, graph.FailDied, must, may)
	}
}

// adopt takes in whether the core gave a task up whose attempt has just ended, and
// objects if it had to and did not, or did and must not.
func (tw *twin) adopt(t *twinTask, kind graph.FailKind, must, may bool) {
	got, ok := tw.core.Task(t.id)
	if !ok {
		tw.stop(t)
		t.fail(graph.FailUser) // it was the last of a closed job, which is gone
		return
	}
	by := got.Kind
	if got.State != sched.StateFailed || by == graph.FailUpstream || by == graph.FailLost && t.told && !may {
		if must && tw.err == nil && got.State != sched.StateFailed && got.State.Active() {
			tw.err = fmt.Errorf("%v is tried again: %+v, %d mistakes", t.id, t.setbacks, t.mistakes)
		}
		return
	}
	if by == graph.FailLost && t.told {
		by = kind
	}
	tw.stop(t)
	if tw.err == nil && (!may || by != kind) {
		tw.err = fmt.Errorf("%v failed as %v, and should be tried again: %+v, %d mistakes", t.id, got.Kind, t.setbacks, t.mistakes)
	}
	t.fail(got.Kind)
}

// retired objects to workers being let go, all in one turn, that have what nobody else
// has, although there was somebody to copy it to.
func (tw *twin) retired(ids []graph.WorkerID) error {
	goes := func(id graph.WorkerID) bool { return slices.Contains(ids, id) }
	for _, t := range tw.tasks {
		if goes(t.worker) || goes(t.second.worker) {
			return fmt.Errorf("of the workers %d that are retired, one has %v", ids, t.id)
		}
		if !t.done || len(t.holders) == 0 || tw.copies[sched.TaskAttempt{Task: t.id, Attempt: t.attempt}] > 0 {
			continue
		}
		stays := func(id graph.WorkerID) bool { return !goes(id) || tw.lonely[id] }
		if !slices.ContainsFunc(t.holders, stays) {
			return fmt.Errorf("workers %d are retired, and nobody else was asked to keep %v", ids, t.id)
		}
	}
	return nil
}
