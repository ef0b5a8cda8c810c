package reconcile

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"

	"github.com/google/go-cmp/cmp"
)

// before is what an attempt left that had a scheduler and three workers, one of which was
// told to end.
func before() Memory {
	return Memory{
		Pools: []PoolMemory{{"scheduler", 1, 0, 2, true}, {"worker", 4, 1, 0, true}},
		Containers: []ContainerMemory{{ID: "s", Pool: "scheduler", Node: "n1", Well: true}, {ID: "w1", Pool: "worker", Node: "n1", Well: true},
			{ID: "w2", Pool: "worker", Node: "n2"}, {ID: "w3", Pool: "worker", Node: "n3", Stopping: true}, {ID: "x", Pool: "unknown"}},
	}
}

// recalled is a core that begins with that, when the cluster has told of s and w1.
func recalled(t *testing.T) *story {
	t.Helper()
	s := tell(t, Options{Pools: both(2)})
	s.step(Recalled{before(), []Adoptee{{"s", "scheduler", "n1"}, {"w1", "worker", "n1"}}}, Ask{"worker", 2}) // w3 counts for nothing
	if p := s.pool("worker"); p.Wanted != 4 || p.Running != 1 || p.Missing != 1 || p.Stopped != 1 || p.Failures != 1 {
		t.Errorf("%+v", p)
	}
	return s
}

// What the cluster tells of late is waited for: nothing is asked for in its place.
func TestLateContainersAreWaitedFor(t *testing.T) {
	s := recalled(t)
	s.now = 14 * time.Second
	s.step(Tick{})
	s.step(Adopted{[]Adoptee{{"w2", "worker", "n2"}, {"w3", "worker", "n3"}}}, StopContainer{"w3"}) // the first order may have reached nobody
	s.step(Adopted{[]Adoptee{{"w2", "worker", "n2"}, {"w3", "worker", "n3"}}})
	s.step(Completed{"w3", 143, ""}, NoteExit{"w3", "worker", "n3", StoppedByUs, 143, ""})
	if p := s.pool("worker"); p.Running != 2 || p.Missing+p.Stopped != 0 || p.Asked != 2 {
		t.Errorf("%+v", p)
	}
}

// But not for ever. Should it come after all, one too many is found by shrinking.
func TestWhatNeverComesIsReplaced(t *testing.T) {
	s := recalled(t)
	s.do(Completed{"w3", 143, ""})
	s.up("worker", "w4", "w5")
	s.now = 14 * time.Second
	s.step(Tick{})
	s.now = 15 * time.Second
	lost := NoteExit{"w2", "worker", "n2", Lost, StatusAborted, "an earlier attempt had it, and the cluster told this one nothing of it for 15s"}
	s.step(Tick{}, ReleaseContainer{"w2"}, lost, Ask{"worker", 1})
	s.up("worker", "w6")
	s.step(SchedulerAttached{})
	s.step(Adopted{[]Adoptee{{"w2", "worker", "n2"}}}, TellShrink{"worker", 4})
	s.step(Release{IDs: []string{"w2"}}, StopContainer{"w2"})
}

// What only the scheduler knows is lost when it knows no more: the cluster took it back, and
// tells nobody.
func TestWhatOnlyTheSchedulerKnew(t *testing.T) {
	s := tell(t, Options{Pools: both(2), AdoptGrace: time.Hour, SoleGrace: time.Hour, LoneGrace: -1})
	m := before()
	m.Pools[1].Wanted, m.Containers = 2, m.Containers[:3]
	s.step(Recalled{Memory: m})
	s.step(Heard{IDs: []string{"s"}})
	s.step(SchedulerAttached{})
	s.step(Heard{IDs: []string{"s", "w1", "w2"}})
	s.step(Adopted{[]Adoptee{{"s", "scheduler", "n1"}, {"w1", "worker", "n1"}}})
	s.now = 30 * time.Second
	s.step(SchedulerDetached{})
	s.now = 80 * time.Second // without a scheduler nobody could hear of it
	s.step(Tick{})
	s.step(SchedulerAttached{})
	s.now = 124 * time.Second
	s.step(Heard{IDs: []string{"s", "w1"}})
	lost := NoteExit{"w2", "worker", "n2", Lost, StatusAborted, "nothing was heard of it for 45s, and the cluster told this attempt nothing of it"}
	s.now = 125 * time.Second
	s.step(Heard{IDs: []string{"s", "w1"}}, ReleaseContainer{"w2"}, lost, Ask{"worker", 1})
	s.now = 59 * time.Minute // of w1 the cluster would tell; the ask is repeated
	s.step(Tick{}, Ask{"worker", 1})
}

// Nor is a scheduler awaited for ever that the cluster took back.
func TestASchedulerOfWhichOnlyItselfTold(t *testing.T) {
	s := tell(t, Options{Pools: both(0)})
	m := before()
	m.Pools[1].Wanted, m.Containers = 0, m.Containers[:1]
	s.step(Recalled{Memory: m})
	s.step(Heard{IDs: []string{"s"}})
	s.step(SchedulerAttached{})
	s.step(SchedulerDetached{})
	s.now = 44 * time.Second
	s.step(Tick{})
	s.now = 45 * time.Second
	s.step(Tick{}, ReleaseContainer{"s"}, NoteExit{"s", "scheduler", "n1", Lost, StatusAborted, "nothing was heard of it for 45s, and the cluster told this attempt nothing of it"}, Ask{"scheduler", 1})
}

// Beside a driver that is missing no second may run for longer; a second scheduler fences
// the first.
func TestADriverIsWaitedForLonger(t *testing.T) {
	s := tell(t, Options{Pools: append(both(0), spec.Pool{Name: "driver", Role: spec.RoleDriver, Count: 1})})
	m := before()
	m.Pools[1].Wanted, m.Containers = 0, m.Containers[:1]
	m.Pools = append(m.Pools, m.Pools[0])
	m.Pools[2].Name = "driver"
	d := m.Containers[0]
	d.ID, d.Pool = "d", "driver"
	m.Containers = append(m.Containers, d)
	s.step(Recalled{Memory: m})
	s.now = 15 * time.Second
	s.step(Tick{}, ReleaseContainer{"s"}, NoteExit{"s", "scheduler", "n1", Lost, StatusAborted, "an earlier attempt had it, and the cluster told this one nothing of it for 15s"}, Ask{"scheduler", 1})
	s.up("scheduler", "s2")
	s.now = 119 * time.Second
	s.step(Tick{})
	s.now = 120 * time.Second
	s.step(Tick{}, ReleaseContainer{"d"}, NoteExit{"d", "driver", "n1", Lost, StatusAborted, "an earlier attempt had it, and the cluster told this one nothing of it for 2m0s"}, Ask{"driver", 1})
}

// One that is missing can have ended, or been told to end by the resource manager alone.
func TestWhatIsMissingEnds(t *testing.T) {
	s := recalled(t)
	s.step(SchedulerAttached{})
	s.step(Completed{"w2", 1, "oh"}, NoteExit{"w2", "worker", "n2", Exited, 1, "oh"})
	s.step(Adopted{[]Adoptee{{"w2", "worker", "n2"}}}) // old news
	s = recalled(t)
	s.step(Kill{"w2"}, ReleaseContainer{"w2"}, Ask{"worker", 3})
}

// The end goes on where it was, and what was to leave leaves.
func TestWhatHadBegunGoesOn(t *testing.T) {
	m := before()
	m.Stop = &Stop{Status: Killed, Why: "so"}
	s := tell(t, Options{Pools: both(2)})
	s.step(Recalled{m, []Adoptee{{"s", "scheduler", "n1"}, {"w1", "worker", "n1"}}}, ReleaseContainer{"w1"}, ReleaseContainer{"w2"}, StopContainer{"w1"})
	s.step(Adopted{[]Adoptee{{"new", "worker", "n1"}}}, StopContainer{"new"})
	for _, id := range []string{"w1", "w2"} {
		s.do(Completed{id, 143, ""})
	}
	s.step(Completed{"w3", 143, ""}, NoteExit{"w3", "worker", "n3", StoppedByUs, 143, ""}, StopContainer{"s"})
	s.step(Completed{"s", 143, ""}, stoppedOn("s", "scheduler", "n1"), Finish{Status: Killed, Why: "so"})

	m = before()
	m.Containers[1].Leaving = "retired"
	s = tell(t, Options{Pools: both(2)})
	s.do(Recalled{m, []Adoptee{{"s", "scheduler", "n1"}, {"w1", "worker", "n1"}}})
	s.step(SchedulerAttached{}, TellDrain{[]string{"w1"}, "retired"})
}

func stoppedOn(id, pool, node string) NoteExit {
	return NoteExit{id, pool, node, StoppedByUs, 143, ""}
}

// What is remembered is what was: a core that recalls it remembers the same.
func TestMemoryIsWhole(t *testing.T) {
	s := recalled(t)
	s.do(Adopted{[]Adoptee{{"w2", "worker", "n2"}}})
	s.do(Allocated{"w4", "worker", "n4"}) // not started: the cluster takes it back
	s.do(Retire{IDs: []string{"w2"}, Replace: true, Reason: "old"})
	s.do(Want{Pool: "worker", N: 9})
	first := s.core.Memory()
	again := New(Options{Pools: both(2)})
	again.Step(0, Recalled{Memory: first})
	if diff := cmp.Diff(first, again.Memory()); diff != "" {
		t.Error(diff)
	}
	if n := len(first.Containers); n != 4 || first.Pools[1].Wanted != 9 {
		t.Errorf("%+v", first)
	}
}
