package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// story tells a core what happens and compares what it does.
type story struct {
	t    *testing.T
	core *Core
	now  time.Duration
}

func tell(t *testing.T, o Options) *story { return &story{t: t, core: New(o)} }

func (s *story) step(ev Event, want ...Action) {
	s.t.Helper()
	got := s.core.Step(s.now, ev)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("at %v after %T%+v (-want +got):\n%s", s.now, ev, ev, diff)
	}
}

// do steps without looking.
func (s *story) do(ev Event) []Action { return s.core.Step(s.now, ev) }

func workers(n int) []spec.Pool {
	return []spec.Pool{{Name: "worker", Role: spec.RoleWorker, Count: n}}
}

func both(n int) []spec.Pool {
	return append([]spec.Pool{{Name: "scheduler", Role: spec.RoleScheduler, Count: 1}}, workers(n)...)
}

func stopped(id, pool string, status int32) NoteExit {
	return NoteExit{id, pool, "node-of-" + id, StoppedByUs, status, ""}
}

// up brings n containers of a pool up, to their certificates.
func (s *story) up(pool string, ids ...string) {
	s.t.Helper()
	s.wait(pool, ids...)
	for _, id := range ids {
		s.do(Came{id})
	}
}

// wait brings n containers of a pool to their nodes, where they wait for room.
func (s *story) wait(pool string, ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		s.do(Allocated{id, pool, "node-of-" + id})
		s.do(Launched{id})
	}
}

func (s *story) pool(name string) PoolView {
	for _, p := range s.core.Pools() {
		if p.Name == name {
			return p
		}
	}
	s.t.Fatalf("no pool %s", name)
	return PoolView{}
}

func TestFirstSteps(t *testing.T) {
	s := tell(t, Options{Pools: both(2)})
	s.step(Tick{}, Ask{"scheduler", 1}, Ask{"worker", 2})
	s.step(Tick{})
	s.step(Allocated{"c2", "scheduler", "nm1"}, StartContainer{"c2", "scheduler", "nm1"})
	s.step(Allocated{"c2", "scheduler", "nm1"}) // told twice
	s.step(Allocated{"c3", "worker", "nm1"}, StartContainer{"c3", "worker", "nm1"})
	s.step(Allocated{"c4", "worker", "nm2"}, StartContainer{"c4", "worker", "nm2"})
	s.step(Allocated{"c5", "worker", "nm2"}, ReleaseContainer{"c5"}) // one too many
	s.step(Allocated{"c6", "nobody", "nm2"}, ReleaseContainer{"c6"})
	s.step(Launched{"c3"})
	s.step(Want{Pool: "worker", N: 4}, Ask{"worker", 2})
	s.step(Want{Pool: "worker", N: 3}, Ask{"worker", 1})
	want := PoolView{Name: "worker", Wanted: 3, Asked: 1, Starting: 1, Running: 1, Space: -1}
	if got := s.pool("worker"); got != want {
		t.Errorf("%+v", got)
	}
}

func TestAnAskWithoutAnswerIsRepeated(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.step(Tick{}, Ask{"worker", 2})
	s.now = 59 * time.Second
	s.step(Allocated{"c1", "worker", "n"}, StartContainer{"c1", "worker", "n"})
	s.now = 118 * time.Second
	s.step(Tick{})
	s.now = 119 * time.Second
	s.step(Tick{}, Ask{"worker", 1})
	s.step(Tick{})
}

// One after the other fails: delays grow, asks wait, and in the end the
// application fails and names the culprit.
func TestCrashLoop(t *testing.T) {
	s := tell(t, Options{Pools: workers(1), Seed: 7})
	s.do(Tick{})
	var delays []time.Duration
	for i := 1; i <= spec.DefaultMaxRestarts; i++ {
		id := fmt.Sprintf("c%d", i)
		s.up("worker", id)
		s.do(Completed{id, 3, "boom"})
		p := s.pool("worker")
		if p.Failures != i || p.Asked != 0 {
			t.Fatalf("after failure %d: %+v", i, p)
		}
		delays = append(delays, p.HeldFor)
		s.now += p.HeldFor - 1
		s.step(Tick{})
		s.now++
		s.step(Tick{}, Ask{"worker", 1})
	}
	for i, d := range delays {
		if low := time.Second << i; d < low || d > low*5/4 {
			t.Errorf("delay %d is %v, want %v and up to a quarter more", i, d, low)
		}
	}
	s.up("worker", "last")
	s.step(Completed{"last", 3, "boom"}, NoteExit{"last", "worker", "node-of-last", Exited, 3, "boom"}, Finish{Failed, "pool worker: 4 containers in a row did not stay up; the last, last on node-of-last, exited with code 3: boom", "last", ""})
	if !s.core.Ending() || !strings.Contains(s.core.Why(), "boom") {
		t.Errorf("ending %v, why %q", s.core.Ending(), s.core.Why())
	}
}

// Twenty that die together of one cause are one failure.
func TestARoundCountsOnce(t *testing.T) {
	s := tell(t, Options{Pools: workers(20)})
	s.do(Tick{})
	for i := range 20 {
		s.up("worker", fmt.Sprint("c", i))
	}
	for i := range 20 {
		s.do(Completed{fmt.Sprint("c", i), 1, ""})
	}
	if p := s.pool("worker"); p.Failures != 1 {
		t.Errorf("%+v", p)
	}
}

// A bad node among good ones slows replacements down, but ends nothing.
func TestOneBadNodeIsNoCrashLoop(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.up("worker", "good", "bad0")
	s.now += spec.DefaultHealthyAfter
	s.do(Tick{})
	last := time.Duration(0)
	for i := range 30 {
		s.do(Completed{fmt.Sprint("bad", i), 1, ""})
		p := s.pool("worker")
		if s.core.Ending() || (i > 0 && p.HeldFor < last) {
			t.Fatalf("failure %d: ending %v, held for %v after %v", i, s.core.Ending(), p.HeldFor, last)
		}
		if i > 0 { // the first had been well
			last = p.HeldFor
		}
		s.now += p.HeldFor
		s.step(Tick{}, Ask{"worker", 1})
		s.up("worker", fmt.Sprint("bad", i+1))
	}
	if last != time.Minute {
		t.Errorf("the last delay is %v", last)
	}
	s.now += spec.DefaultHealthyAfter
	s.do(Tick{})
	if p := s.pool("worker"); p.Failures != 0 {
		t.Errorf("a healthy stay did not end the series: %+v", p)
	}
}

func TestBlame(t *testing.T) {
	for status, blame := range map[int32]bool{
		0: true, 1: true, 137: true, 143: true, StatusMemory: true, StatusVMemory: true, StatusInvalid: true,
		StatusAborted: false, StatusDisks: false, StatusPreempted: false, StatusByRM: false, StatusByAM: false,
	} {
		s := tell(t, Options{Pools: workers(1)})
		s.do(Tick{})
		s.wait("worker", "c1")
		s.do(Completed{"c1", status, ""})
		if got := s.pool("worker").Failures == 1; got != blame {
			t.Errorf("status %d: counted %v, want %v", status, got, blame)
		}
	}
	s := tell(t, Options{Pools: workers(1)})
	s.do(Tick{})
	s.do(Allocated{"c1", "worker", "n"})
	s.do(LaunchFailed{ID: "c1", Why: "no route", Blameless: true})
	if p := s.pool("worker"); p.Failures != 0 || p.HeldFor != time.Second {
		t.Errorf("unreachable node: %+v", p)
	}
	s.now += time.Second
	s.step(Tick{}, Ask{"worker", 1})
	s.do(Allocated{"c2", "worker", "n"})
	s.do(LaunchFailed{ID: "c2", Why: "no such file"})
	if p := s.pool("worker"); p.Failures != 1 {
		t.Errorf("bad launch: %+v", p)
	}
}

// Who kills what has come up, again and again, makes no crash loop of it: the pool is asked
// for again after a second, however often. What ends by itself, or had not come up, is one.
func TestKilledFromOutsideIsNoCrashLoop(t *testing.T) {
	s := tell(t, Options{Pools: both(1)})
	s.do(Tick{})
	for i := range 30 {
		for _, pool := range []string{"scheduler", "worker"} {
			id := fmt.Sprint(pool, i)
			s.up(pool, id)
			s.do(Heard{IDs: []string{id}})
			s.do(Completed{id, []int32{137, 143, 0}[i%3], ""}) // 0: by SIGTERM
			if p := s.pool(pool); p.Failures != 0 || p.HeldFor != time.Second || s.core.Ending() {
				t.Fatalf("kill %d: %+v", i, p)
			}
		}
		s.now += time.Second
		s.do(Tick{})
	}
	for i, status := range []int32{137, 143, 0} { // a worker that has its certificate, and of which nobody has told yet
		id := fmt.Sprint("new", i)
		s.up("worker", id)
		s.do(Completed{id, status, ""})
		if p := s.pool("worker"); p.Failures != 0 || p.HeldFor != time.Second {
			t.Errorf("killed when it had come: %+v", p)
		}
		s.now += time.Second
		s.do(Tick{})
	}
	s.up("scheduler", "reading")
	s.do(Completed{"reading", 137, ""}) // its journal may be too large for it
	if p := s.pool("scheduler"); p.Failures != 1 {
		t.Errorf("a scheduler that never attached: %+v", p)
	}
	for i, tc := range []struct {
		heard  bool
		status int32
	}{{false, 137}, {true, 1}, {true, 134}, {true, 139}} {
		id := fmt.Sprint("crash", i)
		s.wait("worker", id)
		if tc.heard {
			s.do(Heard{IDs: []string{id}})
		}
		s.do(Completed{id, tc.status, ""})
		if p := s.pool("worker"); p.Failures != i+1 {
			t.Errorf("%+v: %+v", tc, p)
		}
		s.now += s.pool("worker").HeldFor
		s.do(Tick{})
	}
}

// A scheduler that is ended for its memory again and again, however long it takes to be so large, ends the application
// some time; one that lasts shows that its memory is enough. The next attempt goes on counting.
func TestSchedulerWithoutEnoughMemory(t *testing.T) {
	pools := both(1)
	pools[0].Resource.MemoryMiB = 512
	s := tell(t, Options{Pools: pools, LoneGrace: -1})
	s.do(Tick{})
	die := func(id string, after time.Duration) {
		s.up("scheduler", id)
		s.do(Heard{IDs: []string{id}})
		for end := s.now + after; s.now < end; {
			s.now = min(end, s.now+time.Minute)
			s.do(Tick{})
		}
		s.do(Completed{id, StatusMemory, ""})
		s.now += s.pool("scheduler").HeldFor
		s.do(Tick{})
	}
	for i := range 3 {
		die(fmt.Sprint("early", i), time.Duration(i)*2*time.Minute)
	}
	die("late", starvedTime+time.Minute) // it is enough after all
	for i := range 3 {
		die(fmt.Sprint("again", i), 2*time.Minute)
	}
	if s.core.Ending() {
		t.Fatal("ends too early")
	}
	next := tell(t, Options{Pools: pools, LoneGrace: -1})
	next.now = s.now
	next.do(Recalled{Memory: s.core.Memory()})
	s = next
	die("last", 2*time.Minute)
	m := s.core.Memory()
	if !s.core.Ending() || m.Stop.Status != Failed || !strings.Contains(m.Stop.Why, "the memory of the scheduler (512 MiB) is too little") || !strings.Contains(m.Stop.Why, "--scheduler-memory") {
		t.Errorf("%+v", m.Stop)
	}
}

func TestCauses(t *testing.T) {
	for _, tc := range []struct {
		status int32
		asked  bool
		cause  Cause
		text   string
	}{
		{0, false, Exited, "exited with code 0"},
		{3, false, Exited, "exited with code 3"},
		{137, false, Signalled, "was killed by signal 9"},
		{143, true, StoppedByUs, "stopped on request (143)"},
		{0, true, StoppedByUs, "stopped on request (0)"},
		{-104, false, OverMemory, "exceeded its memory (-104)"},
		{-104, true, OverMemory, "exceeded its memory (-104)"},
		{-103, false, OverVMemory, "exceeded its virtual memory (-103)"},
		{-102, true, Preempted, "preempted (-102)"},
		{-101, false, BadDisks, "the node's disks failed (-101)"},
		{-100, false, Lost, "the node was lost (-100)"},
		{-100, true, StoppedByUs, "stopped on request (-100)"},
		{-105, false, StoppedByUs, "stopped on request (-105)"},
		{-106, false, StoppedByRM, "stopped by the resource manager (-106)"},
		{-1000, false, Unstarted, "could not be started (-1000)"},
		{255, false, Exited, "exited with code 255"},
	} {
		got := CauseOf(tc.status, tc.asked)
		if got != tc.cause || got.Describe(tc.status) != tc.text {
			t.Errorf("%d (asked %v): %s, %q", tc.status, tc.asked, got, got.Describe(tc.status))
		}
	}
}

func TestShrinkAsksTheScheduler(t *testing.T) {
	s := tell(t, Options{Pools: workers(4)})
	s.do(Tick{})
	s.up("worker", "c1", "c2", "c3")
	s.do(Allocated{"c4", "worker", "n"})
	s.step(SchedulerAttached{})
	s.step(Heard{IDs: []string{"c1", "c2", "c3"}})
	s.step(Want{Pool: "worker", N: 1}, StopContainer{"c4"}, TellShrink{"worker", 1}) // what has not come up goes at once
	s.now += time.Hour
	s.step(Tick{}, ReleaseContainer{"c4"}, NoteExit{"c4", "worker", "n", StoppedByUs, StatusAborted, "its end was never reported"}, TellShrink{"worker", 1})
	s.step(Want{Pool: "worker", N: 2}, TellShrink{"worker", 2})
	s.step(Release{IDs: []string{"c1", "unknown"}}, StopContainer{"c1"})
	s.step(Completed{"c1", 143, ""}, NoteExit{"c1", "worker", "node-of-c1", StoppedByUs, 143, ""})
	s.step(Want{Pool: "worker", N: 3}, TellShrink{"worker", 3}, Ask{"worker", 1}) // taken back
}

func TestShrinkWithoutScheduler(t *testing.T) {
	s := tell(t, Options{Pools: workers(3)})
	s.do(Tick{})
	s.step(SchedulerAttached{})
	s.up("worker", "c1", "c2", "c3")
	s.now = time.Minute
	s.step(SchedulerDetached{})
	s.step(Want{Pool: "worker", N: 1})
	s.now += 2*time.Minute - 1
	s.step(Tick{})
	s.now++
	s.step(Tick{}, StopContainer{"c3"}, StopContainer{"c2"})
	s.step(Completed{"c3", 143, ""}, stopped("c3", "worker", 143))
	if p := s.pool("worker"); p.Failures != 0 || p.Asked != 0 {
		t.Errorf("%+v", p)
	}
}

func TestShrinkIsToldToTheNextScheduler(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2")
	s.step(Want{Pool: "worker", N: 1}, TellShrink{"worker", 1})
	s.step(SchedulerDetached{})
	s.step(SchedulerAttached{}, TellShrink{"worker", 1})
}

func TestReleasedAndKilledContainersAreReplacedWhileWanted(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.up("worker", "c1", "c2")
	s.step(Release{IDs: []string{"c1"}, Reason: "slow"}, StopContainer{"c1"}, Ask{"worker", 1})
	s.step(Kill{ID: "c2"}, StopContainer{"c2"}, Ask{"worker", 2})
	s.step(Kill{ID: "c2"})
	s.step(Kill{ID: "c9"})
}

func TestPreemption(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.do(SchedulerAttached{})
	s.up("worker", "c1", "c2")
	s.step(Preempt{IDs: []string{"c2", "c9"}}, TellDrain{[]string{"c2"}, takenBack}, Ask{"worker", 1})
	s.step(Preempt{IDs: []string{"c2"}, Strict: true}) // it is on its way
	s.step(Completed{"c2", StatusPreempted, ""}, NoteExit{"c2", "worker", "node-of-c2", Preempted, StatusPreempted, ""})
	s.now += time.Hour
	if acts := s.do(Tick{}); len(acts) != 1 || s.pool("worker").Failures != 0 {
		t.Errorf("%v, %+v", acts, s.pool("worker")) // the ask is repeated
	}
}

// A notice is for every scheduler, also for one that was not there when it came, and for the next attempt of the application
// master; and as it is the cluster that ends the container, nobody else does before it is drained.
func TestPreemptionWithoutAScheduler(t *testing.T) {
	s := tell(t, Options{Pools: both(2), LoneGrace: -1})
	s.do(Tick{})
	s.up("scheduler", "s")
	s.up("worker", "c1", "c2")
	s.step(Preempt{IDs: []string{"c2", "s"}}, Ask{"worker", 1})
	s.now += time.Hour
	s.do(Tick{})
	if s.core.Stopping("c2") {
		t.Fatal("it was stopped before the cluster took it")
	}
	s.step(SchedulerAttached{}, TellDrain{[]string{"c2"}, takenBack})
	s.step(SchedulerAttached{}, TellDrain{[]string{"c2"}, takenBack})
	next := tell(t, Options{Pools: both(2)})
	next.do(Recalled{Memory: s.core.Memory()})
	next.do(Heard{IDs: []string{"c1", "c2", "s"}})
	next.step(SchedulerAttached{}, TellDrain{[]string{"c2"}, takenBack})
	next.step(Release{IDs: []string{"c2"}}, StopContainer{"c2"})
}

func TestNextAttemptTakesOver(t *testing.T) {
	s := tell(t, Options{Pools: both(2)})
	s.step(Adopted{[]Adoptee{{"c2", "scheduler", "nm1"}, {"c3", "worker", "nm1"}, {"c4", "", "nm1"}, {"c5", "gone", "nm2"}}},
		StopContainer{"c4"}, StopContainer{"c5"}, Ask{"worker", 1})
	s.step(Adopted{[]Adoptee{{"c3", "worker", "nm1"}}}) // told again
	s.step(Allocated{"c3", "worker", "nm1"})
	s.step(Adopted{[]Adoptee{{"c6", "worker", "nm1"}}}, Ask{"worker", 0}) // a late one saves an ask
	if p := s.pool("worker"); p.Running != 2 {
		t.Errorf("%+v", p)
	}
}

func TestIdleTimeout(t *testing.T) {
	s := tell(t, Options{Pools: workers(1), IdleTimeout: time.Minute})
	s.do(Tick{})
	s.up("worker", "c1")
	s.now = 50 * time.Second
	s.step(Presence{Clients: 1})
	s.now = 10 * time.Minute
	s.step(Tick{}) // a client is there
	s.step(Presence{Busy: true})
	s.now = 20 * time.Minute
	s.step(Presence{}) // the work is done, and the client left
	s.now = 21*time.Minute - 1
	s.step(Tick{})
	s.now++
	s.step(Tick{}, StopContainer{"c1"})
	s.step(Completed{"c1", 143, ""}, stopped("c1", "worker", 143), Finish{Status: Succeeded, Why: "idle for 1m0s"})
}

func TestStopInOrder(t *testing.T) {
	s := tell(t, Options{Pools: both(2)})
	s.do(Tick{})
	s.up("scheduler", "s")
	s.up("worker", "w1", "w2")
	s.do(SchedulerAttached{})
	s.step(Stop{Status: Succeeded, Why: "asked to"}, TellStop{"asked to"}, StopContainer{"w1"}, StopContainer{"w2"})
	s.step(Want{Pool: "worker", N: 9})
	s.step(Completed{"w1", 0, ""}, NoteExit{"w1", "worker", "node-of-w1", StoppedByUs, 0, ""})
	s.step(Completed{"w2", 143, ""}, NoteExit{"w2", "worker", "node-of-w2", StoppedByUs, 143, ""}, StopContainer{"s"})
	s.step(Stop{Status: Failed, Why: "another reason"})
	s.step(Completed{"s", 0, ""}, stopped("s", "scheduler", 0), Finish{Status: Succeeded, Why: "asked to"})
	s.step(Tick{})
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	s := tell(t, Options{Pools: both(1)})
	s.do(Tick{})
	s.up("scheduler", "s")
	s.up("worker", "w")
	s.step(Stop{Status: Killed, Why: "k"}, StopContainer{"w"})
	s.now += 5 * time.Second
	s.step(Tick{}, StopContainer{"s"})
	s.now += 10 * time.Second
	s.step(Tick{}, ReleaseContainer{"s"}, ReleaseContainer{"w"}, Finish{Status: Killed, Why: "k"})
}

func TestQuickStop(t *testing.T) {
	s := tell(t, Options{Pools: both(1)})
	s.do(Tick{})
	s.up("scheduler", "s")
	s.up("worker", "w")
	s.step(Stop{Status: Succeeded, Why: "bye"}, StopContainer{"w"})
	s.step(Stop{Status: Killed, Why: "hurry", Quick: true}, StopContainer{"s"})
	s.step(Completed{"s", 0, ""}, stopped("s", "scheduler", 0))
	s.step(Completed{"w", 0, ""}, stopped("w", "worker", 0), Finish{Status: Succeeded, Why: "bye"})
}

func TestContainersThatComeWhileStopping(t *testing.T) {
	s := tell(t, Options{Pools: workers(2)})
	s.do(Tick{})
	s.up("worker", "w1")
	s.step(Stop{Status: Succeeded, Why: "x"}, StopContainer{"w1"}, Ask{"worker", 0})
	s.step(Allocated{"w2", "worker", "n"}, ReleaseContainer{"w2"})
	s.step(Adopted{[]Adoptee{{"w3", "worker", "n"}}}, StopContainer{"w3"})
	s.step(Completed{"w1", 0, ""}, stopped("w1", "worker", 0), Finish{Status: Succeeded, Why: "x"})
}

func TestTimeNeverGoesBack(t *testing.T) {
	s := tell(t, Options{Pools: workers(1)})
	s.now = time.Hour
	s.do(Tick{})
	s.up("worker", "c1")
	s.do(Completed{"c1", 1, ""})
	held := s.pool("worker").HeldFor
	s.now = 0
	s.step(Tick{})
	if got := s.pool("worker").HeldFor; got != held {
		t.Errorf("held for %v, then %v", held, got)
	}
}
