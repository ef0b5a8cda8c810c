package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// A worker of one slot runs a parent, which waits for children that were submitted after.
func TestParkedTakesNoSlot(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(started(1, attempt(0, 1)))
	s.submit(nil, nil, nil)
	s.want("one goes ahead", tasksOf(s.output()), []uint32{1})
	s.step(Parked{1, []TaskAttempt{attempt(0, 1), attempt(0, 1), attempt(1, 1), attempt(0, 9)}})
	s.want("and another one, for there is a slot", tasksOf(s.output()), []uint32{2})
	s.want("stale: twice, not running, not live", s.c.Rejected(StaleAttempt), uint64(3))
	s.step(done(1, 1, 1), Unparked{1, []TaskAttempt{attempt(0, 1)}})
	s.want("the slot is the parent's again, and one is ahead", tasksOf(s.output()), []uint32(nil))
	s.step(done(1, 2, 1), done(1, 0, 1))
	s.want("the last", tasksOf(s.output()), []uint32{3})
}

// Whatever ends a parked attempt, nothing of it stays.
func TestParkedEnds(t *testing.T) {
	for name, end := range map[string]Event{
		"done": done(1, 0, 1), "failed": failed(1, 0, 1, graph.FailUser), "cancelled": Cancel{[]graph.TaskID{id(0)}},
		"closed": CloseJob{1}, "worker left": WorkerLeft{Worker: 1}, "worker crashed": WorkerLeft{Worker: 1, Blame: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, Config{})
			s.submit(nil)
			s.step(WorkerJoined{Worker: 1, Slots: 1})
			s.output()
			s.step(started(1, attempt(0, 1)), Parked{1, []TaskAttempt{attempt(0, 1)}}, end)
			s.output()
			s.step(Unparked{1, []TaskAttempt{attempt(0, 1)}})
			if w, ok := s.c.Worker(1); ok && (w.Parked > 0 || s.c.Lives(1, attempt(0, 1))) {
				t.Errorf("%+v", w)
			}
		})
	}
}

// What waits is not suspected when its executor dies with something that runs, which is
// blamed; but it does not run for ever either.
func TestParkedStandsBy(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	for n := range graph.Attempt(maxOther + 1) {
		child := uint32(n) + 1
		s.want("the parent runs", tasksOf(s.output()), []uint32{0})
		s.step(started(1, attempt(0, n+1)), Parked{1, []TaskAttempt{attempt(0, n+1)}})
		s.submit(nil)
		s.want("the child runs", tasksOf(s.output()), []uint32{child})
		s.step(started(1, attempt(child, 1)), Failed{1, []FailedAttempt{
			{TaskAttempt: attempt(0, n+1), Kind: graph.FailDied}, {TaskAttempt: attempt(child, 1), Kind: graph.FailDied},
		}}, Release{[]graph.TaskID{id(child)}})
	}
	s.want("the end of the parent", s.output().Ended, []Ended{{Task: id(0), Attempt: maxOther + 1, Kind: graph.FailDied, Cause: id(0)}})
}

// A worker dies under a parent alone, which is blamed then though it was parked.
func TestParkedAloneIsBlamed(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	for n := range graph.Attempt(defaultDeaths) {
		w := graph.WorkerID(n) + 1
		s.step(WorkerJoined{Worker: w, Slots: 1})
		s.output()
		at := attempt(0, n+1)
		s.step(started(w, at), Parked{w, []TaskAttempt{at}}, WorkerLeft{Worker: w, Blame: true})
	}
	s.want("the end", s.output().Ended, []Ended{{Task: id(0), Attempt: defaultDeaths, Kind: graph.FailDied, Cause: id(0)}})
}

// A suspect has a worker to itself, but not while it waits: its children may need that one.
func TestParkedSuspectLetsOthersIn(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 2})
	s.output()
	s.step(started(1, attempt(0, 1), attempt(1, 1)), WorkerLeft{Worker: 1, Blame: true}, WorkerJoined{Worker: 2, Slots: 1})
	s.want("a suspect alone", tasksOf(s.output()), []uint32{0})
	s.step(started(2, attempt(0, 2)), Cancel{[]graph.TaskID{id(1)}})
	s.submit(nil)
	s.want("nothing beside it", tasksOf(s.output()), []uint32(nil))
	s.step(Parked{2, []TaskAttempt{attempt(0, 2)}})
	s.want("its child", tasksOf(s.output()), []uint32{2})
}
