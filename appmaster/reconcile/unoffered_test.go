package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// A cluster that has no containers like a pool's ends an application that has no other workers, or could come to have
// some; a driver is none. Any other goes on, whoever attempt it was that began it.
func TestAPoolThatTheClusterDoesNotOffer(t *testing.T) {
	scheduler := spec.Pool{Name: "scheduler", Role: spec.RoleScheduler, Count: 1}
	spare := spec.Pool{Name: "spare", Role: spec.RoleWorker, Count: 4, Opportunistic: true}
	plain := spec.Pool{Name: "worker", Role: spec.RoleWorker}
	some, scales, driver := plain, plain, spec.Pool{Name: "driver", Role: spec.RoleDriver, Count: 1}
	some.Count, scales.Adapt = 1, &spec.Limits{Max: 20}
	next := func(m Memory, adopted ...Adoptee) func(*story) {
		return func(s *story) { s.do(Recalled{Memory: m, Adopted: adopted}) }
	}
	cases := map[string]struct {
		other  spec.Pool
		before func(*story)
		ends   bool
	}{
		"none beside it":                   {plain, nil, true},
		"itself, made larger by a person":  {plain, func(s *story) { s.do(Want{Pool: "spare", N: 9, Afresh: true}) }, true},
		"a driver alone":                   {driver, func(s *story) { s.up("driver", "d") }, true},
		"others that are opportunistic":    {spec.Pool{Name: "spare2", Role: spec.RoleWorker, Count: 9, Opportunistic: true}, nil, true},
		"a pool of a fixed size":           {some, nil, false},
		"a pool that scales by itself":     {scales, nil, false},
		"a pool that a person made larger": {plain, func(s *story) { s.do(Want{Pool: "worker", N: 2, Afresh: true}) }, false},
		"a pool that a person made smaller again": {plain, func(s *story) {
			s.do(Want{Pool: "worker", N: 2})
			s.up("worker", "w1", "w2")
			s.do(Want{Pool: "worker"})
		}, false},
		"a pool with limits that a person set":     {plain, func(s *story) { s.do(Want{Pool: "worker", Afresh: true}) }, false},
		"opportunistic workers that are there":     {plain, func(s *story) { s.up("spare", "o1") }, false},
		"workers of the attempt before":            {plain, next(Memory{}, Adoptee{"w1", "worker", "n"}), false},
		"workers of which nobody has told yet":     {plain, next(Memory{Pools: []PoolMemory{{Name: "worker", Wanted: 1}}, Containers: []ContainerMemory{{ID: "w1", Pool: "worker", Node: "n"}}}), false},
		"a pool that the attempt before had asked": {plain, next(Memory{Pools: []PoolMemory{{Name: "worker", Wanted: 20}}}), false},
		"a pool that the attempt before had used":  {plain, next(Memory{Pools: []PoolMemory{{Name: "worker", Used: true}}}), false},
	}
	for name, tc := range cases {
		s := tell(t, Options{Pools: []spec.Pool{scheduler, spare, tc.other}})
		s.do(Tick{})
		if tc.before != nil {
			tc.before(s)
		}
		s.do(Refused{Pool: "spare", Why: "busy"})
		if s.core.Ending() {
			t.Errorf("%s: it ends for what is not there just now", name)
			continue
		}
		s.now += time.Second
		s.do(Refused{Pool: "spare", Why: "there are none", Unoffered: true})
		if s.core.Ending() != tc.ends || tc.ends && !strings.Contains(s.core.Why(), "there are none") {
			t.Errorf("%s: ending %v, %q", name, s.core.Ending(), s.core.Why())
		}
	}
}

// That a pool was in use outlives the application master.
func TestUsedPoolsAreRemembered(t *testing.T) {
	s := tell(t, Options{Pools: both(0)})
	s.do(Tick{})
	if m := s.core.Memory(); m.Pools[1].Used {
		t.Errorf("%+v", m)
	}
	s.do(Want{Pool: "worker", N: 1})
	s.up("worker", "w")
	s.do(Want{Pool: "worker"})
	s.do(Completed{"w", 143, ""})
	m := s.core.Memory()
	next := tell(t, Options{Pools: both(0)})
	next.do(Recalled{Memory: m})
	if again := next.core.Memory(); !m.Pools[1].Used || !again.Pools[1].Used {
		t.Errorf("%+v, then %+v", m, again)
	}
}
