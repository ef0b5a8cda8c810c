package sched

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yarnd/yarnd/engine/graph"
)

// story drives a core and checks its books after each step. When it has ended it is
// told again to another core, which must end in the same state.
type story struct {
	*testing.T
	c   *Core
	log []Event // nil is an Output
}

// tell begins a story, in which tasks do not follow others unless cfg says so.
func tell(t *testing.T, cfg Config) *story {
	if cfg.Follow == 0 {
		cfg.Follow = -1
	}
	s := &story{T: t, c: New(cfg)}
	t.Cleanup(func() {
		again := New(cfg)
		for _, ev := range s.log {
			if ev == nil {
				again.Output()
			} else {
				again.Step(ev)
			}
		}
		if a, b := s.c.Hash(), again.Hash(); a != b {
			t.Errorf("the same events led to states %x and %x", a, b)
		}
	})
	return s
}

func (s *story) step(events ...Event) {
	s.Helper()
	for _, ev := range events {
		s.c.Step(ev)
		s.log = append(s.log, ev)
		if err := s.c.Check(); err != nil {
			s.Fatalf("after %T%+v: %v", ev, ev, err)
		}
	}
}

func (s *story) output() Output {
	s.Helper()
	out := *s.c.Output()
	s.log = append(s.log, nil)
	if err := s.c.Check(); err != nil {
		s.Fatalf("after an output: %v", err)
	}
	return out
}

// submit adds tasks of class 0 to job 1; each is given by its dependencies.
func (s *story) submit(deps ...[]uint32) {
	s.Helper()
	n := uint32(0)
	if j, ok := s.c.Job(1); ok {
		n = j.Tasks
	} else {
		s.step(OpenJob{1}, DeclareClass{1, 0, graph.Class{Name: "f", Retries: 1}})
	}
	s.step(Submit{batch(1, n, deps)})
}

func batch(job graph.JobID, first uint32, deps [][]uint32) *graph.Batch {
	b := &graph.Batch{Job: job, First: first, Class: make([]graph.ClassID, len(deps))}
	for _, row := range deps {
		for _, d := range row {
			b.Deps = append(b.Deps, graph.TaskID{Job: job, Index: d})
		}
		b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
	}
	return b
}

func id(i uint32) graph.TaskID { return graph.TaskID{Job: 1, Index: i} }

func attempt(i uint32, a graph.Attempt) TaskAttempt { return TaskAttempt{id(i), a} }

func done(w graph.WorkerID, i uint32, a graph.Attempt) Done {
	return Done{Worker: w, Tasks: []Finished{{TaskAttempt: attempt(i, a), Size: 1 << 20, Duration: 1000}}}
}

func (s *story) want(what string, got, want any) {
	s.Helper()
	if d := cmp.Diff(want, got); d != "" {
		s.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

func TestDiamond(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, []uint32{0}, []uint32{1, 2})
	s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.want("the root goes first", s.output().Assign, []Assign{{Worker: 1, Task: id(0), Attempt: 1}})
	s.step(Started{1, []TaskAttempt{attempt(0, 1)}}, done(1, 0, 1))
	out := s.output()
	s.want("both sides get their turn", len(out.Assign), 2)
	s.want("their input", out.Inputs[0], Input{Task: id(0), Attempt: 1, Size: 1 << 20, Held: [3]graph.WorkerID{1}})
	s.want("the root's end", out.Ended, []Ended{{Task: id(0), Attempt: 1, Size: 1 << 20}})
	for _, a := range out.Assign {
		s.step(done(a.Worker, a.Task.Index, a.Attempt))
	}
	last := s.output().Assign
	s.want("the join", []TaskAttempt{{last[0].Task, last[0].Attempt}}, []TaskAttempt{attempt(3, 1)})
	s.step(done(last[0].Worker, 3, 1))
	s.step(Release{Tasks: []graph.TaskID{id(0), id(1), id(2)}})
	out = s.output()
	s.want("results freed", len(out.Free), 3)
	s.want("specs are kept: the last result may be lost", len(out.Forget), 0)
	s.step(Release{Tasks: []graph.TaskID{id(3)}})
	s.want("nothing is left", len(s.output().Forget), 4)
}
