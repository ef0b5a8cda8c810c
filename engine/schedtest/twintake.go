package schedtest

import (
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// What the twin thinks of a scheduler that takes over. It is told the same as the core, and
// goes on as ever, but that no failure follows from another: facts tell of each. When all is
// told, what workers have is what nobody has.

// recall takes a fact in, and objects to one that cannot be.
func (tw *twin) recall(f sched.Fact) error {
	t := tw.byID[f.Task]
	switch {
	case f.Kind == sched.FactBegan:
		return nil // who wrote the journal knows
	case f.Kind == sched.FactCancelled:
		for _, id := range tw.there(graph.Run{Job: f.Task.Job, First: f.Task.Index, N: f.N}) {
			tw.byID[id].fail(graph.FailCancelled)
		}
		tw.settle()
		return nil
	case t == nil:
		return fmt.Errorf("fact %+v of a task that was never submitted", f)
	case t.closed && (t.gone || t.failed != 0) && f.Kind == sched.FactFailed:
		return nil // it is over one way or another
	case t.gone:
		return fmt.Errorf("fact %+v of a task that is forgotten", f)
	}
	if f.Kind != sched.FactFenced || !t.told {
		t.row = max(t.row, f.Attempt)
	}
	switch f.Kind {
	case sched.FactDone:
		if t.failed != 0 {
			return fmt.Errorf("fact %+v of a task that failed as %v", f, t.failed)
		}
		t.done, t.inline, t.attempt, t.lost = true, f.Inline, f.Attempt, 0
		t.setbacks.suspect = false
		t.unlinked = t.unlinked || f.Inline
		t.told = t.told || f.Told
	case sched.FactFailed:
		if t.done {
			t.lost = t.attempt // else it could not have failed
		}
		t.done, t.inline = false, false
		t.fail(f.Fail)
	case sched.FactAgain:
		if t.failed == 0 || t.unlinked {
			return fmt.Errorf("fact %+v of a task that cannot be retried", f)
		}
		t.revive()
	case sched.FactTally:
		y := f.Tally()
		t.mistakes = y.User
		t.setbacks.deaths, t.setbacks.inputs = y.Deaths, y.Other+y.Stray
	case sched.FactSuspect:
		t.setbacks.suspect, tw.suspected = true, true
	}
	tw.settle()
	return nil
}

// restored takes in that all was told.
func (tw *twin) restored() {
	tw.restoring, tw.awaiting, tw.era = false, true, tw.generation
	for _, t := range tw.tasks {
		t.last = t.row
		if t.done && !t.inline {
			t.done, t.lost = false, t.attempt
		}
	}
	tw.settle()
}

// mayTakeOver reports whether an attempt of an earlier generation counts for a task, of
// which nothing is known: none of this one was given, the task was there when that one was,
// and it is not one that ended or was replaced.
func (tw *twin) mayTakeOver(t *twinTask, a graph.Attempt) bool {
	return t.open() && t.wanted && a > t.row && a.Generation() < tw.generation && a.Generation() >= t.born &&
		(tw.generation == 0 || max(t.row, t.last).Generation() < tw.generation)
}

// adopted takes in which attempts a worker brought along. Those that live on another
// connection of it go on; those of an earlier scheduler may; the others are stopped.
func (tw *twin) adopted(ev sched.Adopt) {
	id := ev.Worker
	if _, ok := tw.slots[id]; !ok {
		return
	}
	take := func(t *twinTask, a sched.TaskAttempt) {
		tw.seq++
		t.live, t.worker, t.row, t.seq, t.follows, t.moved = a, id, a.Attempt, tw.seq, nil, true
		t.last = max(t.last, a.Attempt)
	}
	for _, a := range ev.Tasks {
		t := tw.byID[a.Task]
		if t == nil || t.worker == 0 || t.worker == id || t.live != a || tw.names[t.worker] != tw.names[id] {
			continue
		}
		if t.second.worker == id {
			tw.stopSecond(t)
			t.second = secondAttempt{}
		}
		t.parked = false
		take(t, a)
	}
	tw.settle()
	for _, a := range ev.Tasks {
		switch t := tw.byID[a.Task]; {
		case tw.isLive(id, a) != nil, tw.isSecond(id, a) != nil:
		case t != nil && t.worker == 0 && tw.mayTakeOver(t, a.Attempt):
			take(t, a)
		default:
			tw.stops[sched.Order{Worker: id, Task: a.Task, Attempt: a.Attempt}] = true
		}
		tw.settle()
	}
}

// sameSetbacks reports whether who takes over has counted what may have been counted.
func (t *twinTask) sameSetbacks(u *twinTask) bool {
	s, r := &t.setbacks, &u.setbacks
	return t.mistakes == u.mistakes && s.others() == r.others() && s.deaths <= r.deaths && r.deaths <= s.deaths+s.mayBeDeaths
}
