package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// given returns how many attempts each worker was given by an output.
func given(out Output) map[graph.WorkerID]int {
	n := map[graph.WorkerID]int{}
	for _, a := range out.Assign {
		n[a.Worker]++
	}
	return n
}

// submitClass adds n tasks of a new class without inputs to job 1.
func (s *story) submitClass(n int, cl graph.Class) {
	s.Helper()
	j, ok := s.c.Job(1)
	if !ok {
		s.step(OpenJob{1})
	}
	b := &graph.Batch{Job: 1, First: j.Tasks, Class: make([]graph.ClassID, n)}
	for i := range b.Class {
		b.Class[i] = graph.ClassID(j.Classes)
	}
	s.step(DeclareClass{1, graph.ClassID(j.Classes), cl}, Submit{b})
}

// Tasks that name a resource go where it is, never more at a time than there is of it.
func TestNamedResources(t *testing.T) {
	s := tell(t, Config{})
	gpu := func(n uint64) graph.Amounts { return graph.Amounts{{Name: "gpu", Count: n}} }
	s.step(WorkerJoined{Worker: 1, Slots: 8}, WorkerJoined{Worker: 2, Slots: 8, Named: gpu(3)})
	s.submitClass(6, graph.Class{Name: "train", Resources: graph.Resources{Named: gpu(1)}})
	s.want("as many as there are GPUs", given(s.output()), map[graph.WorkerID]int{2: 3})
	s.submitClass(40, graph.Class{Name: "plain"})
	first := s.output()
	s.want("the others take any slot", given(first)[1] > 8 && given(first)[2] > 5, true)
	s.step(done(2, 0, 1))
	s.want("one ends, one begins", s.output().Assign[0].Task, id(3))
	s.submitClass(1, graph.Class{Name: "big", Resources: graph.Resources{Named: gpu(4)}})
	s.step(Tick{60_000})
	for _, a := range s.output().Assign {
		if a.Task == id(46) {
			t.Error("a task that needs four GPUs was given away")
		}
	}
	s.step(WorkerJoined{Worker: 3, Slots: 1, Named: gpu(4)})
	s.want("somebody has them", s.output().Assign[0].Worker, graph.WorkerID(3))
}

// Tasks that say what memory they need never need more together than there is.
func TestTaskMemory(t *testing.T) {
	s := tell(t, Config{})
	s.step(WorkerJoined{Worker: 1, Slots: 8, TaskMemory: 1000}, WorkerJoined{Worker: 2, Slots: 2})
	s.submitClass(20, graph.Class{Name: "large", Resources: graph.Resources{Memory: 300}})
	out := s.output()
	s.want("three of 300 in 1,000; who does not say has any amount", given(out), map[graph.WorkerID]int{1: 3, 2: 3})
	s.step(Failed{1, []FailedAttempt{{TaskAttempt: attempt(out.Assign[0].Task.Index, 1), Kind: graph.FailUser}}})
	s.want("what ends makes room", given(s.output())[1], 1)
	s.step(WorkerLeft{1, false}, WorkerLeft{2, false})
	s.step(WorkerJoined{Worker: 3, Slots: 8, TaskMemory: 299})
	s.want("none fits", len(s.output().Assign), 0)
}

// Tasks for certain hosts wait for a worker there, as their input would not.
func TestOnlyHosts(t *testing.T) {
	s := tell(t, Config{})
	s.step(WorkerJoined{Worker: 1, Slots: 4, Host: "a"}, WorkerJoined{Worker: 2, Slots: 1, Host: "b"})
	s.submitClass(3, graph.Class{Name: "local", Hosts: []string{"b", "c"}})
	s.want("only there", given(s.output())[1], 0)
	s.step(Tick{1 << 40})
	s.want("however long it takes", given(s.output())[1], 0)
	s.step(WorkerJoined{Worker: 3, Slots: 4, Host: "c"}, WorkerLeft{2, false})
	s.want("or there", given(s.output()), map[graph.WorkerID]int{3: 3})
}
