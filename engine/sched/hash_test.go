package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// TestHash: whatever changes the state changes the hash, and looking does not.
func TestHash(t *testing.T) {
	s := tell(t, Config{})
	seen := map[uint64]Event{}
	for _, ev := range []Event{
		Tick{5}, OpenJob{1}, DeclareClass{1, 0, graph.Class{Name: "f"}},
		Submit{batch(1, 0, [][]uint32{nil, {0}})},
		WorkerJoined{Worker: 1, Slots: 1, Host: "a"}, WorkerJoined{Worker: 2, Slots: 1, Host: "b"},
		nil, Started{1, []TaskAttempt{attempt(0, 1)}}, done(1, 0, 1),
		Copied{2, []Held{{attempt(0, 1), 1 << 20}}}, Pin{id(0), 1}, Release{[]graph.TaskID{id(0)}},
		nil, WorkerLeft{1, false}, nil, Tick{6}, Done{Worker: 9},
	} {
		if ev == nil {
			s.output()
		} else {
			s.step(ev)
		}
		h := s.c.Hash()
		if h != s.c.Hash() {
			t.Fatalf("after %T%+v: looking changed the state", ev, ev)
		}
		last := len(s.log) == 17 // an event about nobody
		if _, again := seen[h]; again != last {
			t.Errorf("after %T%+v: state %x, as after %+v", ev, ev, h, seen[h])
		}
		seen[h] = ev
	}
}
