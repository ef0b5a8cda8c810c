package reconcile

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// heard steps once a second with what the scheduler says, and returns what was to be done, with the time of the first action.
func (s *story) heard(d time.Duration, ids ...string) (acts []Action, first time.Duration) {
	for end := s.now + d; s.now < end; {
		s.now += time.Second
		if more := append(s.do(Heard{IDs: ids, All: true}), s.do(Tick{})...); len(more) > 0 {
			if acts = append(acts, more...); first == 0 {
				first = s.now
			}
		}
	}
	return acts, first
}

// silence is a cluster of two workers of which the second is heard of no more after a minute.
func silence(t *testing.T) *story {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2")
	s.heard(time.Minute, "c1", "c2")
	s.heard(10*time.Second, "c1")
	s.now += time.Second
	s.step(Heard{IDs: []string{"c1"}, All: true},
		NoteSilent{"c2", "the scheduler does not know it; another takes its place, and it is stopped in 2m0s unless it comes back"}, Ask{"worker", 1})
	return s
}

// A worker that the scheduler has lost is replaced at once, and stopped when it does not come back; the cluster says nothing
// of it for ten minutes.
func TestLostWorkerIsReplaced(t *testing.T) {
	s := silence(t)
	s.up("worker", "c3")
	began := s.now
	acts, first := s.heard(2*time.Minute, "c1", "c3")
	if len(acts) != 1 || acts[0] != (StopContainer{"c2"}) || first != began+2*time.Minute {
		t.Fatalf("%v, after %v", acts, first-began)
	}
	s.heard(10*time.Minute, "c1", "c3")
	if p := s.pool("worker"); p.Running != 2 || p.Asked != 0 || p.Leaving != 0 || p.Failures != 0 || len(s.core.Containers()) != 2 {
		t.Errorf("%+v, %v", p, s.core.Containers())
	}
}

// One that comes back is taken; if another has come in its place, the scheduler chooses which of them leaves.
func TestLostWorkerComesBack(t *testing.T) {
	s := silence(t)
	s.step(Heard{IDs: []string{"c1", "c2"}, All: true}, NoteBack{"c2"}, Ask{"worker", 0})
	s = silence(t)
	s.up("worker", "c3")
	s.step(Heard{IDs: []string{"c1", "c3", "c2"}, All: true}, NoteBack{"c2"}, TellShrink{"worker", 2})
	s.step(Release{IDs: []string{"c1"}}, StopContainer{"c1"})
}

// One that leaves, or whose end is told, counts once.
func TestLostWorkerThatLeaves(t *testing.T) {
	for what, ev := range map[string]Event{
		"retired": Retire{IDs: []string{"c2"}, Replace: true}, "preempted": Preempt{IDs: []string{"c2"}},
		"killed": Kill{"c2"}, "ended": Completed{"c2", StatusAborted, ""},
	} {
		s := silence(t)
		s.do(ev)
		s.do(Heard{IDs: []string{"c1", "c2"}, All: true}) // perhaps it is back
		if p := s.pool("worker"); p.Asked != 1 {
			t.Errorf("%s: %+v", what, p)
		}
		s.do(Completed{"c2", StatusAborted, ""})
		if p := s.pool("worker"); p.Asked != 1 || p.Leaving != 0 || p.Running != 1 {
			t.Errorf("%s, and ended: %+v", what, p)
		}
	}
}

// Nobody is taken for lost because the scheduler says nothing, has not come up, or has just taken over.
func TestWhoIsNotLost(t *testing.T) {
	s := tell(t, Options{Pools: workers(3)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2")
	s.wait("worker", "c3")
	s.heard(time.Minute, "c1", "c2")
	s.now += time.Hour
	s.step(Tick{}) // no word from it
	s.step(Heard{IDs: []string{"c1", "c2"}, All: true})
	s.step(SchedulerDetached{})
	s.now += time.Hour
	s.step(Tick{})
	s.step(SchedulerAttached{})
	if acts, first := s.heard(50*time.Second, "c1"); len(acts) != 2 || first-s.now != -5*time.Second {
		t.Errorf("%v, %v", acts, first-s.now)
	}
	s.now += time.Hour                                   // the scheduler hung; in its first report but one is missing
	s.step(Heard{IDs: nil, All: true}, Ask{"worker", 1}) // which is repeated, and no more
}

// A scheduler that was there and is out of reach is replaced: its node may be lost. One that never was is starting, and reads
// what it has to.
func TestLostSchedulerIsReplaced(t *testing.T) {
	s := tell(t, Options{Pools: both(0)})
	s.do(Tick{})
	s.up("scheduler", "s")
	s.now = time.Hour
	s.step(Tick{})
	s.step(Heard{IDs: []string{"s"}})
	s.step(SchedulerAttached{})
	s.now += time.Hour
	s.step(SchedulerDetached{})
	s.now += 44 * time.Second
	s.step(Tick{})
	s.step(SchedulerAttached{})
	s.step(SchedulerDetached{})
	s.now += 44 * time.Second
	s.step(SchedulerDetached{}) // we served nobody for a while
	s.now += 44 * time.Second
	s.step(Tick{})
	s.now += time.Second
	s.step(Cluster{Nodes: 3}) // what is told as we serve again comes first
	lone := NoteSilent{"s", "the scheduler is out of reach for 45s; another takes over what it kept in the journal"}
	s.step(Tick{}, lone, Ask{"scheduler", 1})
	s.now += time.Hour
	s.step(Tick{}, Ask{"scheduler", 1}) // it works on as long as there is no other
	s.step(Heard{IDs: []string{"s"}}, NoteBack{"s"}, Ask{"scheduler", 0})
	s.step(SchedulerAttached{})
	s.step(SchedulerDetached{})
	s.now += 45 * time.Second
	s.step(Tick{}, lone, Ask{"scheduler", 1})
	s.up("scheduler", "s2")
	s.step(Heard{IDs: []string{"s2"}})
	s.step(SchedulerAttached{}, StopContainer{"s"})
	if p := s.pool("scheduler"); p.Failures != 0 || p.Asked != 0 || p.Leaving != 0 {
		t.Errorf("%+v", p)
	}
}

// One of the attempt before that has not been heard of by this one may be reading what it has to, unless it was there.
func TestSchedulerOfTheAttemptBeforeIsLost(t *testing.T) {
	for _, served := range []bool{false, true} {
		s := tell(t, Options{Pools: both(0)})
		s.do(Recalled{Memory: Memory{Containers: []ContainerMemory{{ID: "s", Pool: "scheduler", Node: "n", Served: served}}}, Adopted: []Adoptee{{"s", "scheduler", "n"}}})
		s.now = time.Hour
		if acts := s.do(Tick{}); (len(acts) > 0) != served {
			t.Errorf("served %v: %v", served, acts)
		}
	}
}

// Where most workers fall silent on several nodes they live, and it is the scheduler that is cut off. In the end the cluster
// would have told if they did not.
func TestSchedulerThatHearsNobody(t *testing.T) {
	s := tell(t, Options{Pools: workers(4)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2", "c3", "c4")
	s.heard(time.Minute, "c1", "c2", "c3", "c4")
	acts, _ := s.heard(5*time.Minute, "c1")
	if len(acts) != 1 || acts[0] != (NoteBlind{3, 4}) {
		t.Fatal(acts)
	}
	if acts, _ := s.heard(time.Minute, "c1", "c2", "c3", "c4"); len(acts) != 0 {
		t.Fatal(acts)
	}
	if acts, _ := s.heard(9*time.Minute, "c1"); len(acts) != 1 {
		t.Fatal(acts)
	}
	if acts, _ := s.heard(2*time.Minute, "c1"); len(acts) != 4 || acts[3] != (Ask{"worker", 3}) {
		t.Fatal(acts)
	}
}

// All workers of one node are lost with it, however many they are.
func TestOneNodeIsLost(t *testing.T) {
	s := tell(t, Options{Pools: workers(3)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	for _, id := range []string{"c1", "c2"} {
		s.do(Allocated{id, "worker", "n"})
		s.do(Launched{id})
		s.do(Came{id})
	}
	s.up("worker", "c3")
	s.heard(time.Minute, "c1", "c2", "c3")
	if acts, _ := s.heard(30*time.Second, "c3"); len(acts) != 3 || acts[2] != (Ask{"worker", 2}) {
		t.Fatal(acts)
	}
}

// Without a journal the next one would know nothing: what is out of reach may come back.
func TestLostSchedulerWithoutAJournal(t *testing.T) {
	s := tell(t, Options{Pools: both(0), LoneGrace: -1})
	s.do(Tick{})
	s.up("scheduler", "s")
	s.step(Heard{IDs: []string{"s"}})
	s.step(SchedulerAttached{})
	s.step(SchedulerDetached{})
	s.now += 24 * time.Hour
	s.step(Tick{})
}

// A worker that got its certificate, or was of the attempt before, and never joins, is on a node that is gone; one that is
// opportunistic may wait there.
func TestWorkerThatNeverJoinsIsReplaced(t *testing.T) {
	pools := append(workers(2), spec.Pool{Name: "spare", Role: spec.RoleWorker, Count: 1, Opportunistic: true})
	s := tell(t, Options{Pools: pools})
	s.do(Recalled{Adopted: []Adoptee{{"w", "worker", "n"}, {"o", "spare", "n"}}})
	s.do(SchedulerAttached{})
	s.up("worker", "c")
	if acts, _ := s.heard(2*time.Minute - time.Second); len(acts) != 0 {
		t.Fatal(acts)
	}
	if acts, _ := s.heard(2 * time.Second); len(acts) != 3 || acts[2] != (Ask{"worker", 2}) {
		t.Fatal(acts)
	}
	s.up("worker", "c5", "c6")            // these do not join either: it is not the workers
	acts, _ := s.heard(610 * time.Second) // nobody else is heard of
	if len(acts) != 2 || acts[0] != (StopContainer{"w"}) || acts[1] != (StopContainer{"c"}) {
		t.Fatal(acts)
	}
	s.step(Completed{"w", 143, ""}, NoteExit{"w", "worker", "n", StoppedByUs, 143, ""})
	s.step(Completed{"c", 143, ""}, stopped("c", "worker", 143))
	s.step(Heard{IDs: []string{"c5"}, All: true}, // it is, after all
		NoteSilent{"c6", "the scheduler does not know it; another takes its place, and it is stopped in 2m0s unless it comes back"}, Ask{"worker", 1})
}

// Nobody is stopped while the scheduler hears of nobody else, until the cluster would have told of a lost node.
func TestNobodyElseIsHeardOf(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	for _, id := range []string{"c1", "c2"} { // on one node
		s.do(Allocated{id, "worker", "n"})
		s.do(Launched{id})
		s.do(Came{id})
	}
	s.heard(time.Minute, "c1", "c2")
	s.heard(10 * time.Minute)
	if s.core.Stopping("c1") || s.core.Stopping("c2") || s.pool("worker").Asked != 2 {
		t.Fatalf("%+v", s.core.Containers())
	}
	s.heard(time.Minute)
	if !s.core.Stopping("c1") || !s.core.Stopping("c2") {
		t.Errorf("%+v", s.core.Containers())
	}
}

// Workers that come meanwhile do not show that a scheduler hears those of before.
func TestNewcomersEndNoBlindness(t *testing.T) {
	s := tell(t, Options{Pools: workers(4)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2", "c3", "c4")
	s.heard(time.Minute, "c1", "c2", "c3", "c4")
	s.heard(time.Minute, "c1")
	s.do(Want{Pool: "worker", N: 7})
	s.up("worker", "c5", "c6", "c7")
	if acts, _ := s.heard(5*time.Minute, "c1", "c5", "c6", "c7"); len(acts) != 0 {
		t.Errorf("%#v", acts)
	}
}

// A scheduler that comes back when the next one has its certificate is fenced, or about to be.
func TestSchedulerComesBackTooLate(t *testing.T) {
	s := tell(t, Options{Pools: both(0)})
	s.do(Tick{})
	s.up("scheduler", "s")
	s.do(Heard{IDs: []string{"s"}})
	s.do(SchedulerAttached{})
	s.do(SchedulerDetached{})
	s.now += 45 * time.Second
	s.do(Tick{})
	s.up("scheduler", "s2")
	s.step(Heard{IDs: []string{"s"}}, NoteBack{"s"}, StopContainer{"s"})
}

// What never joined is stopped when it is too many.
func TestShrinkOfWhatNeverJoined(t *testing.T) {
	s := tell(t, Options{Pools: workers(1), SilentEnd: time.Hour})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c")
	s.heard(59 * time.Minute)
	s.step(Want{Pool: "worker", N: 0}, TellShrink{"worker", 0})
	s.now += time.Minute
	s.step(Tick{}, StopContainer{"c"})
}

// That a container was known is for the next attempt.
func TestServedIsRemembered(t *testing.T) {
	s := tell(t, Options{Pools: workers(1)})
	s.do(Tick{})
	s.up("worker", "c")
	before := s.core.Served()
	s.do(Heard{IDs: []string{"c"}})
	s.do(Heard{IDs: []string{"c"}})
	if m := s.core.Memory().Containers; len(m) != 1 || !m[0].Served || s.core.Served() != before+1 {
		t.Errorf("%+v, %d", m, s.core.Served())
	}
}
