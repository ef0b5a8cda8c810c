package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// straggler tells of four tasks, of which the last runs on worker 1 much longer than the
// others did, and of two idle workers, of which 3 is on another host.
func straggler(t *testing.T, idempotent bool) *story {
	s := tell(t, Config{})
	s.step(WorkerJoined{Worker: 1, Slots: 1, Host: "a"})
	s.submitClass(4, graph.Class{Name: "f", Idempotent: idempotent, Retries: 1})
	s.output()
	for i := range uint32(3) {
		s.step(Done{1, []Finished{{TaskAttempt: attempt(i, 1), Size: 1, Inline: true, Duration: 1000}}})
		s.output()
	}
	s.step(Started{1, []TaskAttempt{attempt(3, 1)}})
	s.step(WorkerJoined{Worker: 2, Slots: 1, Host: "a"}, WorkerJoined{Worker: 3, Slots: 1, Host: "b"})
	s.step(Tick{slowAfter / 2})
	s.want("not so soon", len(s.output().Assign), 0)
	s.step(Tick{2 * slowAfter})
	return s
}

// speculated is straggler with its second attempt on worker 3, started.
func speculated(t *testing.T) *story {
	s := straggler(t, true)
	s.want("a second attempt on another host", s.output().Assign, []Assign{{Worker: 3, Task: id(3), Attempt: 2}})
	s.step(Started{3, []TaskAttempt{attempt(3, 2)}})
	s.step(Tick{20 * slowAfter})
	s.want("no third one", len(s.output().Assign), 0)
	return s
}

func ends(n graph.Attempt) []Ended { return []Ended{{Task: id(3), Attempt: n, Size: 1 << 20}} }

func TestOnlyWhatMayRunTwiceDoes(t *testing.T) {
	s := straggler(t, false)
	s.want("nothing", len(s.output().Assign), 0)
	s = straggler(t, true)
	s.submitClass(1, graph.Class{Name: "g"})
	s.submitClass(1, graph.Class{Name: "h"})
	s.want("other work comes first", s.output().Assign[0].Task, id(4))
	s.step(Tick{3 * slowAfter})
	s.want("and takes all slots", len(s.output().Assign), 0)
}

func TestSecondAttemptWins(t *testing.T) {
	s := speculated(t)
	s.step(done(3, 3, 2))
	out := s.output()
	s.want("its result counts", out.Ended, ends(2))
	s.want("the first is stopped", out.Stop, []Order{{1, id(3), 1}})
	s.step(done(1, 3, 1))
	out = s.output()
	s.want("the first's comes too late", out.Free, []Order{{1, id(3), 1}})
	s.want("and changes nothing", len(out.Ended), 0)
}

func TestFirstAttemptWins(t *testing.T) {
	s := speculated(t)
	s.step(done(1, 3, 1))
	out := s.output()
	s.want("its result counts", out.Ended, ends(1))
	s.want("the second is stopped", out.Stop, []Order{{3, id(3), 2}})
	s.step(Missing{1, []TaskAttempt{attempt(3, 1)}})
	s.want("no attempt is given twice", s.output().Assign[0].Attempt, graph.Attempt(3))
}

func TestSecondAttemptGoesOn(t *testing.T) {
	for name, ev := range map[string]Event{
		"lost":   WorkerLeft{1, true},
		"failed": Failed{1, []FailedAttempt{{TaskAttempt: attempt(3, 1), Kind: graph.FailUser}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := speculated(t)
			s.step(ev)
			out := s.output()
			s.want("nothing new", len(out.Assign)+len(out.Stop)+len(out.Ended), 0)
			s.step(done(3, 3, 2))
			s.want("the second's result counts", s.output().Ended, ends(2))
		})
	}
}

func TestSecondAttemptEndsInVain(t *testing.T) {
	for name, ev := range map[string]Event{
		"lost":    WorkerLeft{3, true},
		"retired": Retire{Workers: []graph.WorkerID{3}},
		"failed":  Failed{3, []FailedAttempt{{TaskAttempt: attempt(3, 2), Kind: graph.FailDied}}},
		"stale":   Failed{3, []FailedAttempt{{TaskAttempt: attempt(3, 2), Kind: graph.FailInput, Input: id(0), Holder: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := speculated(t)
			s.step(ev)
			s.want("nothing new", len(s.output().Assign), 0)
			s.step(done(1, 3, 1))
			s.want("the first's result counts", s.output().Ended, ends(1))
		})
	}
}

func TestBothAttemptsEnd(t *testing.T) {
	both := []Order{{1, id(3), 1}, {3, id(3), 2}}
	s := speculated(t)
	s.step(Cancel{[]graph.TaskID{id(3)}})
	s.want("cancelled", s.output().Stop, both)
	s = speculated(t)
	s.step(Release{[]graph.TaskID{id(3)}})
	s.want("released", s.output().Stop, both)
	s = speculated(t)
	s.step(Failed{1, []FailedAttempt{{TaskAttempt: attempt(3, 1), Kind: graph.FailUser}}}, Failed{3, []FailedAttempt{{TaskAttempt: attempt(3, 2), Kind: graph.FailUser}}})
	out := s.output()
	s.want("failed twice, with one retry", out.Ended[0].Kind, graph.FailUser)
}

// A worker that dies while it runs a task and a second attempt tells nothing of either.
func TestSecondAttemptIsCompany(t *testing.T) {
	s := tell(t, Config{})
	s.step(WorkerJoined{Worker: 1, Slots: 1, Host: "a"})
	s.submitClass(2, graph.Class{Name: "f", Idempotent: true, Deaths: 1})
	s.output()
	s.step(Done{1, []Finished{{TaskAttempt: attempt(0, 1), Size: 1, Inline: true, Duration: 1000}}})
	s.output()
	s.step(Started{1, []TaskAttempt{attempt(1, 1)}}, WorkerJoined{Worker: 2, Slots: 2, Host: "b"}, Tick{2 * slowAfter})
	s.want("the second attempt", s.output().Assign, []Assign{{Worker: 2, Task: id(1), Attempt: 2}})
	s.submitClass(1, graph.Class{Name: "g", Deaths: 1})
	s.want("a neighbour", s.output().Assign, []Assign{{Worker: 2, Task: id(2), Attempt: 1}})
	s.step(Started{2, []TaskAttempt{attempt(1, 2), attempt(2, 1)}}, WorkerLeft{2, true})
	s.want("the neighbour is not to blame", len(s.output().Ended), 0)
}

// An attempt that took the first one's place goes with its worker, as others do.
func TestSecondAttemptIsLostToo(t *testing.T) {
	s := speculated(t)
	s.step(WorkerLeft{1, true}, WorkerLeft{3, false})
	out := s.output()
	s.want("the next one", out.Assign[0], Assign{Worker: 2, Task: id(3), Attempt: 3})
}
