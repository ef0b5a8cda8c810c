package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

func TestRetryBringsBackWhatFailedWithIt(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, nil, []uint32{1, 2})
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(failed(1, 0, 1, graph.FailUser))
	s.output()
	s.step(failed(1, 0, 2, graph.FailUser))
	out := s.output()
	s.want("the third stays, the others failed", len(out.Ended), 3)
	s.want("nothing is forgotten", len(out.Forget), 0)
	s.step(done(1, 2, 1))
	s.output()

	s.step(Retry{[]graph.TaskID{id(0)}})
	s.want("what runs again", len(s.c.Revived()), 3)
	out = s.output()
	for _, e := range out.Ended {
		s.want("outcomes are taken back", e.Again, true)
	}
	s.want("a new attempt", out.Assign, []Assign{{Worker: 1, Task: id(0), Attempt: 3}})
	s.step(failed(1, 0, 3, graph.FailUser))
	s.want("with all its retries", s.output().Assign, []Assign{{Worker: 1, Task: id(0), Attempt: 4}})
	s.step(done(1, 0, 4))
	s.want("then what depends on it", s.output().Assign[0].Task, id(1))
	s.step(done(1, 1, 1))
	s.want("and on that", s.output().Assign[0].Task, id(3))
	s.step(done(1, 3, 1))
	s.want("the end", s.output().Ended, []Ended{{Task: id(3), Attempt: 1, Size: 1 << 20}})
}

// Whoever failed because of two comes back with the second of them.
func TestRetryWaitsForTheOtherInput(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil, []uint32{0, 1})
	s.step(WorkerJoined{Worker: 1, Slots: 2})
	s.output()
	for a := range graph.Attempt(2) {
		s.step(failed(1, 0, a+1, graph.FailUser), failed(1, 1, a+1, graph.FailUser))
		s.output()
	}
	s.step(Retry{[]graph.TaskID{id(0)}})
	s.want("the one alone", s.c.Revived(), []graph.TaskID{id(0)})
	s.step(Retry{[]graph.TaskID{id(1)}})
	s.want("the other, and both's", len(s.c.Revived()), 2)
}

// A retry of the last one takes what it needs along: also what was freed.
func TestRetryComputesInputsAgain(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, []uint32{0, 1})
	s.step(WorkerJoined{Worker: 1, Slots: 1}, Release{[]graph.TaskID{id(0), id(1)}})
	s.output()
	s.step(done(1, 0, 1))
	s.output()
	s.step(failed(1, 1, 1, graph.FailUser))
	s.output()
	s.step(failed(1, 1, 2, graph.FailUser))
	out := s.output()
	s.want("the first result is of no use now", out.Free, []Order{{1, id(0), 1}})
	s.want("its payload may be", len(out.Forget), 0)
	s.step(Retry{[]graph.TaskID{id(2)}})
	s.want("with the one that failed", len(s.c.Revived()), 2)
	for i, a := range []graph.Attempt{2, 3, 1} {
		s.want("from the beginning", s.output().Assign, []Assign{{Worker: 1, Task: id(uint32(i)), Attempt: a, From: 0, To: uint32(i)}})
		s.step(done(1, uint32(i), a))
	}
}

func TestRetryRefused(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, nil, []uint32{2}, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1}, Cancel{[]graph.TaskID{id(2)}})
	s.output()
	may := func(i uint32, want Obstacle, at uint32) {
		t.Helper()
		why, who := s.c.MayRetry(id(i))
		if why != want || want != NoObstacle && who != id(at) {
			t.Errorf("task %d: obstacle %d of %v, want %d of %v", i, why, who, want, id(at))
		}
		before, _ := s.c.Task(id(i))
		s.step(Retry{[]graph.TaskID{id(i)}})
		if after, _ := s.c.Task(id(i)); want != NoObstacle && before != after {
			t.Errorf("task %d was changed: %+v, %+v", i, before, after)
		}
	}
	may(9, NoSuchTask, 9)
	may(0, DidNotFail, 0)
	may(2, DidNotFail, 2) // cancelled
	may(3, InputCancelled, 2)
	s.step(failed(1, 0, 1, graph.FailUser))
	s.output()
	s.step(failed(1, 0, 2, graph.FailUser))
	s.output()
	s.step(Release{[]graph.TaskID{id(0)}})
	s.want("it is kept for its consumer", len(s.output().Forget), 0)
	s.step(Release{[]graph.TaskID{id(1)}})
	s.want("both go with the consumer", len(s.output().Forget), 2)
	may(0, LetGo, 0)
	may(1, LetGo, 1)
	s.submit([]uint32{0})
	may(5, InputGone, 0)
}

// A name keeps a failed task as a hold does, and nothing of a closed job is kept.
func TestFailedTaskIsHeldByName(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 2}, Pin{id(0), 1})
	s.output()
	for a := range graph.Attempt(2) {
		s.step(failed(1, 0, a+1, graph.FailUser), failed(1, 1, a+1, graph.FailUser))
		s.output()
	}
	s.step(Release{[]graph.TaskID{id(0), id(1)}})
	s.want("the other goes", s.output().Forget, []graph.TaskID{id(1)})
	s.step(Retry{[]graph.TaskID{id(0)}})
	s.want("it runs", s.output().Assign[0].Task, id(0))
	s.step(failed(1, 0, 3, graph.FailUser))
	s.output()
	s.step(failed(1, 0, 4, graph.FailUser), CloseJob{1})
	s.want("nothing is left", s.output().Gone, []graph.JobID{1})
}

// A result that was seen, is gone, and could not be computed again comes back with the
// input that failed.
func TestRetryBringsBackALostResult(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0})
	s.step(WorkerJoined{Worker: 1, Slots: 1}, Release{[]graph.TaskID{id(0)}})
	for i := range uint32(2) {
		s.output()
		s.step(done(1, i, 1))
	}
	s.output()
	s.step(WorkerLeft{Worker: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.output()
	s.step(failed(2, 0, 2, graph.FailUser))
	s.output()
	s.step(failed(2, 0, 3, graph.FailUser))
	s.want("the result is gone for good", s.output().Ended[1], Ended{Task: id(1), Attempt: 1, Kind: graph.FailLost, Cause: id(1)})
	s.step(Retry{[]graph.TaskID{id(0)}})
	s.want("or is not", s.c.Revived(), []graph.TaskID{id(0), id(1)})
	s.want("the input runs again", s.output().Assign, []Assign{{Worker: 2, Task: id(0), Attempt: 4}})
}

// What has to be computed again on the way may itself need one that failed.
func TestRetryLooksThroughWhatWasFreed(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, nil, []uint32{1, 2})
	s.step(WorkerJoined{Worker: 1, Slots: 1}, Release{[]graph.TaskID{id(0), id(1)}})
	run := func(i uint32, ok bool) {
		t.Helper()
		s.output()
		now, _ := s.c.Task(id(i))
		s.want("it runs", now.State.Given(), true)
		if ok {
			s.step(done(1, i, now.Attempt))
		} else {
			s.step(failed(1, i, now.Attempt, graph.FailUser))
		}
	}
	run(0, true)
	run(1, true)
	run(2, false)
	run(2, false)
	s.output()
	s.submit([]uint32{0}) // for which the first is computed again
	run(0, false)
	run(0, false)
	s.output()
	s.step(Retry{[]graph.TaskID{id(3)}})
	s.want("the last, both that failed, and who failed with the first", len(s.c.Revived()), 4)
	run(0, true)
}

// A retry is a new beginning: what was suspected of killing workers runs beside others
// again.
func TestRetryIsFreeOfSuspicion(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 2})
	s.output()
	s.step(started(1, attempt(0, 1), attempt(1, 1)), WorkerLeft{Worker: 1, Blame: true}, WorkerJoined{Worker: 2, Slots: 2})
	s.want("one alone", s.output().Assign, []Assign{{Worker: 2, Task: id(0), Attempt: 2}})
	for a := range graph.Attempt(2) {
		s.step(failed(2, 0, a+2, graph.FailUser), Cancel{[]graph.TaskID{id(1)}})
		s.output()
	}
	s.submit(nil)
	s.step(Retry{[]graph.TaskID{id(0)}})
	s.want("both at once", len(s.output().Assign), 2)
}
