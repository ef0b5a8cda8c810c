package reconcile

import (
	"testing"
	"time"
)

// Containers that wait on their nodes hold nothing: they go at once, the youngest first, and the scheduler drains as many
// of the others as are too many then.
func TestWhatWaitsOnItsNodeGoesFirst(t *testing.T) {
	s := tell(t, Options{Pools: workers(6)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.wait("worker", "w1", "w2")
	s.up("worker", "c1", "c2", "c3")
	s.do(Allocated{"c4", "worker", "n"}) // its process is there before its node manager has said so
	s.do(Came{"c4"})
	s.step(Want{Pool: "worker", N: 5}, StopContainer{"w2"})
	s.step(Want{Pool: "worker", N: 3}, StopContainer{"w1"}, TellShrink{"worker", 3})
	if !s.core.Stopping("w1") || s.core.Stopping("c1") || s.core.Stopping("nobody") {
		t.Errorf("%+v", s.core.Containers())
	}
}

// The scheduler chooses among those that have joined it: it is told again when another one has, as long as they are too many.
func TestShrinkIsToldAgainWhenAnotherOneJoins(t *testing.T) {
	s := tell(t, Options{Pools: workers(3)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2", "c3")
	s.step(Heard{IDs: []string{"c1", "c2"}})
	s.step(Want{Pool: "worker", N: 1}, TellShrink{"worker", 1})
	s.step(Heard{IDs: []string{"c1", "c2"}})
	s.step(Heard{IDs: []string{"c1", "c2", "c3"}}, TellShrink{"worker", 1})
	s.step(Heard{IDs: []string{"c1", "c2", "c3"}})
	s.step(Want{Pool: "worker", N: 3}, TellShrink{"worker", 3}) // and it is taken back
}

// A scheduler that has taken over is told when its workers have come back, and any scheduler when one has that was away: it
// knows no more that there were too many.
func TestShrinkIsToldAgainWhenOneComesBack(t *testing.T) {
	s := tell(t, Options{Pools: workers(2), SilentGrace: time.Hour})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2")
	s.step(Heard{IDs: []string{"c1", "c2"}})
	s.step(Want{Pool: "worker", N: 1}, TellShrink{"worker", 1})
	s.step(SchedulerDetached{})
	s.step(SchedulerAttached{}, TellShrink{"worker", 1})
	s.step(Heard{}) // nobody is back
	s.step(Heard{IDs: []string{"c1"}, All: true}, TellShrink{"worker", 1})
	s.now += time.Second
	s.step(Heard{IDs: []string{"c1", "c2"}, All: true}, TellShrink{"worker", 1})
	s.now += time.Second
	s.step(Heard{IDs: []string{"c1"}, All: true})
	s.now += time.Second
	s.step(Heard{IDs: []string{"c1", "c2"}, All: true}, TellShrink{"worker", 1})
}

// Of a container of the attempt before nobody knows whether it has come up: it goes when the scheduler, which would
// have heard of it, has not.
func TestWhatWaitsSinceTheAttemptBefore(t *testing.T) {
	s := tell(t, Options{Pools: workers(4)})
	s.do(Recalled{Memory: Memory{Pools: []PoolMemory{{Name: "worker", Wanted: 2}}, Containers: []ContainerMemory{{ID: "w1", Pool: "worker", Node: "n"}}},
		Adopted: []Adoptee{{"w1", "worker", "n"}, {"w2", "worker", "n"}, {"c1", "worker", "n"}, {"c2", "worker", "n"}}})
	s.now += 20 * time.Second
	s.step(SchedulerAttached{}, TellShrink{"worker", 2})
	s.now += 44 * time.Second
	s.step(Heard{IDs: []string{"c1", "c2"}}, TellShrink{"worker", 2})
	s.now += time.Second
	s.step(Tick{}, StopContainer{"w2"}, StopContainer{"w1"})
}

// One that waits on its node is not drained before it leaves.
func TestRetireWhatWaitsOnItsNode(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1")
	s.wait("worker", "w1")
	s.step(Retire{IDs: []string{"w1"}, Replace: true}, StopContainer{"w1"}, Ask{"worker", 1})
}
