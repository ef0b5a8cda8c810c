package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

func spare(n int) []spec.Pool {
	return []spec.Pool{{Name: "spare", Role: spec.RoleWorker, Count: n, Opportunistic: true}}
}

// To wait on a node is not to be well: what crashes as soon as it has room is a crash loop, however long it waited, and its
// node gets no credit.
func TestWaitingIsNoHealth(t *testing.T) {
	s := tell(t, Options{Pools: spare(1)})
	s.do(Tick{})
	for i := range spec.DefaultMaxRestarts + 1 {
		id := string(rune('a' + i))
		s.wait("spare", id)
		s.now += spec.DefaultHealthyAfter + time.Minute
		s.do(Tick{})
		if s.core.Ending() || len(s.core.good) > 0 {
			t.Fatalf("%s: ending %v, good nodes %v", id, s.core.Ending(), s.core.good)
		}
		s.do(Came{id})
		s.now += spec.DefaultHealthyAfter - 1
		s.do(Tick{})
		s.do(Completed{id, 3, "boom"})
		if p := s.pool("spare"); !s.core.Ending() && p.Failures != i+1 {
			t.Fatalf("after %d: %+v", i+1, p)
		}
		s.now += s.pool("spare").HeldFor
		s.do(Tick{})
	}
	if !s.core.Ending() || !strings.Contains(s.core.Why(), "did not stay up") {
		t.Errorf("ending %v, %q", s.core.Ending(), s.core.Why())
	}
}

// What has run for long enough is well, from its certificate on; of one that an earlier attempt had, from when the
// scheduler is heard to have it.
func TestHealthOfWhatWaited(t *testing.T) {
	s := tell(t, Options{Pools: spare(2)})
	s.do(Recalled{Adopted: []Adoptee{{"old", "spare", "n-old"}}})
	s.wait("spare", "new")
	s.now += time.Hour
	s.do(Tick{})
	s.do(Came{"new"})
	s.do(Heard{IDs: []string{"old"}})
	s.now += spec.DefaultHealthyAfter - 1
	s.do(Heard{IDs: []string{"old"}})
	if len(s.core.good) > 0 {
		t.Errorf("too early: %v", s.core.good)
	}
	s.now++
	s.do(Tick{})
	if !s.core.good["n-old"] || !s.core.good["node-of-new"] {
		t.Errorf("%v", s.core.good)
	}
}
