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
		if more := s.do(Heard{IDs: ids, All: true}); len(more) > 0 {
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
	s.heard(9*time.Second, "c1")
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
		if p := s.pool("worker"); p.Asked != 1 && p.Wanted-p.Running+p.Leaving != 1 {
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
	s.step(Tick{}, NoteSilent{"s", "the scheduler is out of reach for 45s, and another takes over what it kept in the journal"}, StopContainer{"s"}, Ask{"scheduler", 1})
	if p := s.pool("scheduler"); p.Failures != 0 {
		t.Errorf("%+v", p)
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
	if acts, _ := s.heard(time.Second); len(acts) != 3 || acts[2] != (Ask{"worker", 2}) {
		t.Fatal(acts)
	}
}
