package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

func TestWhyItWaits(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil, []uint32{0, 1})
	why := func(i uint32) Why {
		w, ok := s.c.Why(id(i))
		if !ok {
			t.Fatalf("no task %d", i)
		}
		return w
	}
	s.want("there is no worker", []int{why(0).Workers, why(0).Beside}, []int{0, 1})
	s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.output()
	w := why(2)
	s.want("two inputs are missing", []any{w.Waiting, w.Missing[0].ID, w.Missing[1].State}, []any{2, id(0), StateAssigned})
	s.step(done(1, 0, 1))
	s.want("one is missing", why(2).Waiting, 1)
	s.want("what is under way waits for nothing", why(1).Waiting, 0)
	if _, ok := s.c.Why(graph.TaskID{Job: 9}); ok {
		t.Error("there is a task of no job")
	}
}
