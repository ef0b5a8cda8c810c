package adapt

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// story is a pool of workers of one slot, told second by second.
type story struct {
	t    *testing.T
	core *Core
	view View
}

func tell(t *testing.T, cfg Config, least, most int) *story {
	return &story{t: t, core: New(cfg), view: View{Pools: []Pool{{Name: "worker", Min: least, Max: most, Slots: 1, Headroom: -1}}}}
}

func (s *story) pool() *Pool { return &s.view.Pools[0] }

// work sets what remains to be done.
func (s *story) work(ready, given, waiting int, took time.Duration) *graph.Demand {
	s.view.Work = []graph.Demand{{Job: 1, Name: "inc", Slots: 1, Ready: ready, Given: given, Waiting: waiting, Took: took}}
	return &s.view.Work[0]
}

// after lets time pass, a decision a second, and returns the last.
func (s *story) after(d time.Duration) (last Decision) {
	s.t.Helper()
	for end := s.view.Now + d; ; s.view.Now += time.Second {
		last = s.core.Decide(s.view)[0]
		if last.Want < s.pool().Min || last.Want > s.pool().Max {
			s.t.Fatalf("at %v: %d wanted, outside of %d to %d", s.view.Now, last.Want, s.pool().Min, s.pool().Max)
		}
		if s.view.Now >= end {
			return last
		}
	}
}

func (s *story) want(d Decision, n int, kind Kind, words string) {
	s.t.Helper()
	if d.Want != n || kind != "" && d.Kind != kind || !strings.Contains(d.Reason, words) {
		s.t.Errorf("at %v: %s to %d because %q; want %s to %d because of %q", s.view.Now, d.Kind, d.Want, d.Reason, kind, n, words)
	}
}

// come has workers join, all of them busy.
func (s *story) come(live int) { s.pool().Live, s.pool().Busy = live, float64(live) }

// No more is asked for than there is room for, one in any case; and that is said.
func TestRoomInTheQueue(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.work(1000, 0, 0, 3*time.Second)
	s.pool().Headroom = 7
	d := s.after(0)
	s.want(d, 7, Raise, "; 200 would be of use, but there is room for 7 more only")
	if d.Bound != Room {
		t.Errorf("bound by %q", d.Bound)
	}
	s.pool().Starting, s.pool().Headroom = 7, 0
	s.want(s.after(0), 8, Raise, "but there is no room: one is asked for, no more")
	if d = s.after(time.Second); d.Want != 8 || d.Kind != Hold || d.Bound != Room {
		t.Errorf("%+v", d)
	}
	s.pool().Headroom = 50
	s.want(s.after(0), 57, Raise, "room for 50 more only")
	s.pool().Headroom = -1
	s.want(s.after(0), 100, Raise, "the maximum is 100")
}

func TestAskedForAtOnceWhenKnown(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.work(1000, 0, 0, 3*time.Second)
	// 3,000 s of work, the goal is three times a delay of 5 s.
	s.want(s.after(0), 100, Raise, "1000 tasks can run, 50m0s of one worker's time; there is no worker, 200 meet the goal of 15s; 200 would be of use, the maximum is 100")
}

func TestUnknownIsTriedByTwiceAsMany(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.work(1000, 0, 0, 0)
	for _, n := range []int{1, 2, 4, 8} {
		s.want(s.after(0), n, Raise, "nobody knows yet how long 1000 tasks take")
		s.view.Now += time.Second
	}
	s.come(3)
	s.work(700, 3, 0, 10*time.Millisecond)
	s.want(s.after(0), 3, Withdraw, "5 workers that did not come yet are not needed any more")
}

// Nobody knows how long a task takes that has not ended; but at least as long as the
// first one of its kind has run.
func TestLongTasksAreKnownToBeLong(t *testing.T) {
	s := tell(t, Config{Step: time.Hour}, 0, 100)
	s.come(1)
	s.pool().Wanted = 1
	s.work(99, 1, 0, 0)
	if d := s.after(3 * time.Second); d.Want < 15 || d.Want > 25 { // 100 × 3 s, goal 15 s
		t.Errorf("%d wanted after 3 s: %s", d.Want, d.Reason)
	}
	if d := s.after(15 * time.Second); d.Want != 100 {
		t.Errorf("%d wanted after 18 s: %s", d.Want, d.Reason)
	}
}

func TestNeverMoreThanCanWork(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.come(1)
	s.pool().Wanted = 1
	w := s.work(0, 1, 5000, 4*time.Second) // a chain
	w.Path = 20000 * time.Second
	s.want(s.after(time.Minute), 1, Hold, "more than 1 could not work at once")
	w = s.work(0, 1, 5000, 4*time.Second) // one that 5,000 wait for
	w.Soon, w.SoonIn = 5000, 4*time.Second
	s.want(s.after(0), 100, Raise, "")
	w.SoonIn = time.Hour // too early to ask
	s.view.Now += 2 * time.Minute
	s.want(s.after(0), 1, Withdraw, "")
}

// A long chain takes its time: what lies beside it may take as long.
func TestLongChainNeedsNoHurry(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	w := s.work(1000, 0, 0, time.Second)
	w.Path = 500 * time.Second
	s.want(s.after(0), 2, Raise, "2 meet the goal of 8m20s")
}

func TestPendingCountsAndDelayStretchesTheGoal(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.work(60, 0, 0, 5*time.Second)
	s.want(s.after(0), 20, Raise, "20 meet the goal of 15s")
	s.want(s.after(19*time.Second), 20, Hold, "20 workers come, which takes 5s")
	s.come(20)
	d := s.after(time.Second)
	if d.Inputs.Delay != 19*time.Second && d.Inputs.Delay != 20*time.Second || d.Inputs.Goal < 57*time.Second {
		t.Errorf("delay %v, goal %v after workers came in 20 s", d.Inputs.Delay, d.Inputs.Goal)
	}
}

func TestFewerOnlyAfterAMinute(t *testing.T) {
	s := tell(t, Config{}, 1, 100)
	s.work(300, 0, 0, 5*time.Second)
	s.want(s.after(time.Second), 100, Raise, "")
	s.view.Now += 5 * time.Second
	s.come(100)
	s.want(s.after(15*time.Second), 100, Hold, "")
	s.view.Work = nil
	s.pool().Busy = 0
	s.want(s.after(40*time.Second), 100, Hold, "fewer only when that lasts 1m0s")
	d := s.after(30 * time.Second)
	s.want(d, 1, Hold, "")
	s.pool().Live = 1
	s.want(s.after(5*time.Minute), 1, Hold, "nothing to do")
}

// Work that comes and goes within a minute moves nothing.
func TestGapsMoveNothing(t *testing.T) {
	s := tell(t, Config{}, 0, 10)
	s.work(1000, 0, 0, time.Second)
	s.after(0)
	s.view.Now += 4 * time.Second
	s.come(10)
	for range 20 {
		s.work(1000, 10, 0, time.Second)
		s.want(s.after(20*time.Second), 10, Hold, "")
		s.view.Work, s.pool().Busy = nil, 0
		s.want(s.after(50*time.Second), 10, Hold, "")
		s.view.Now += time.Second
		s.pool().Busy = 10
	}
}

// What comes all the time is kept up with, however far the goal is; what came at once is
// no stream.
func TestStreamIsKeptUpWith(t *testing.T) {
	s := tell(t, Config{Delay: 40 * time.Second}, 0, 100)
	s.come(5)
	s.pool().Wanted = 5
	s.work(100, 5, 0, time.Second) // at once
	s.want(s.after(3*time.Second), 5, Hold, "")
	for range 30 { // 8 tasks of 1 s a second, of which 5 are done
		s.view.Work[0].Ready += 3
		s.view.Now += time.Second
		s.after(0)
	}
	if d := s.after(0); d.Want < 8 || d.Want > 10 || !strings.Contains(d.Reason, "8.0 of them are kept busy by what comes all the time") && d.Kind == Raise {
		t.Errorf("%s to %d because %q", d.Kind, d.Want, d.Reason)
	}
	s.want(s.after(0), 8, "", "")
}

// Workers that are half busy all the time are too many, and only half of them go.
func TestWhatIsBusyStays(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.come(20)
	s.pool().Wanted, s.pool().Busy = 20, 9.5
	s.work(0, 10, 0, 100*time.Millisecond) // enough for the goal: 1
	s.want(s.after(time.Minute), 10, Lower, "no more than 10 were needed during 1m0s, 9.5 were busy")
}

func TestResultsNeedRoom(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.come(10)
	s.pool().Wanted, s.pool().Busy = 10, 0
	s.pool().Memory, s.pool().Bytes = 100, 300
	s.want(s.after(2*time.Minute), 5, "", "") // 300 / 60
	s.pool().Live = 5
	s.pool().Bytes = 600
	s.want(s.after(time.Second), 10, "", "")
}

// While the cluster gives nothing, no more is asked for than it has heard of already.
func TestUnmetAsksAreNotRaised(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.work(100, 0, 0, 5*time.Second)
	s.want(s.after(0), 34, Raise, "")
	s.after(40 * time.Second)
	s.work(1000, 0, 0, 5*time.Second)
	s.want(s.after(0), 34, Hold, "334 would be of use, but the cluster has given nothing for 40s")
	for _, n := range []int{2, 4} { // it gives again, and is trusted step by step
		s.come(n)
		s.want(s.after(0), 34, Hold, "")
		s.view.Now += time.Second
	}
	s.come(34)
	s.want(s.after(0), 100, Raise, "")
}

func TestStopsAfterFailedStarts(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.work(1000, 0, 0, 0)
	s.want(s.after(0), 1, Raise, "")
	s.pool().Failures = 3
	s.want(s.after(0), 0, Withdraw, "3 starts in a row failed: no more are asked for")
	s.view.Now += time.Second
	s.want(s.after(time.Minute), 0, Hold, "3 starts in a row failed: no more are asked for")
	s.pool().Failures, s.pool().Round = 0, 1 // somebody set the limits anew
	if d := s.after(10 * time.Second); d.Want < 50 {
		t.Errorf("%d wanted after the failures were forgiven: %s", d.Want, d.Reason)
	}
}

func TestLimitsMoveAtOnce(t *testing.T) {
	s := tell(t, Config{}, 5, 10)
	s.want(s.after(0), 5, Limit, "the limits are 5 to 10")
	s.pool().Min, s.pool().Max = 0, 3
	s.want(s.after(0), 3, Limit, "the limits are 0 to 3")
}

// A new core, of a scheduler that was started again, begins with what there is.
func TestNewCoreKeepsWhatThereIs(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.come(20)
	s.pool().Wanted, s.pool().Busy = 20, 0
	s.want(s.after(50*time.Second), 20, Hold, "")
	s.want(s.after(20*time.Second), 0, "", "")
}

func TestPoolsAreChosenByWhatTasksAskFor(t *testing.T) {
	gpu := graph.Amounts{{Name: "yarn.io/gpu", Count: 2}}
	pools := []Pool{
		{Name: "gpu", Max: 10, Headroom: -1, Slots: 8, TaskMemory: 64 << 30, Named: gpu},
		{Name: "big", Max: 10, Headroom: -1, Slots: 8, TaskMemory: 64 << 30},
		{Name: "small", Max: 10, Headroom: -1, Slots: 2, TaskMemory: 1 << 30},
		{Name: "closed", Max: 0, Headroom: -1, Slots: 1, TaskMemory: 1 << 30},
	}
	for _, c := range []struct {
		what string
		work graph.Demand
		pool string // "" is none
		per  float64
	}{
		{"anything", graph.Demand{Slots: 1}, "small", 2},
		{"two slots", graph.Demand{Slots: 2}, "small", 1},
		{"four slots", graph.Demand{Slots: 4}, "big", 2},
		{"much memory", graph.Demand{Slots: 1, Memory: 20 << 30}, "big", 3},
		{"a little memory", graph.Demand{Slots: 1, Memory: 700 << 20}, "small", 1},
		{"a GPU", graph.Demand{Slots: 1, Named: graph.Amounts{{Name: "yarn.io/gpu", Count: 1}}}, "gpu", 2},
		{"three GPUs", graph.Demand{Slots: 1, Named: graph.Amounts{{Name: "yarn.io/gpu", Count: 3}}}, "", 0},
		{"a pool by name", graph.Demand{Slots: 1, Pool: "gpu"}, "gpu", 8},
		{"a pool that there is not", graph.Demand{Slots: 1, Pool: "no"}, "", 0},
		{"nine slots", graph.Demand{Slots: 9}, "", 0},
	} {
		at, per := plainest(&c.work, pools)
		got := ""
		if at >= 0 {
			got = pools[at].Name
		}
		if got != c.pool || per != c.per {
			t.Errorf("%s: %v tasks at once on %q, want %v on %q", c.what, per, got, c.per, c.pool)
		}
	}
	c := New(Config{})
	out := c.Decide(View{Pools: pools, Work: []graph.Demand{
		{Class: 0, Slots: 1, Ready: 100, Took: time.Minute}, {Class: 1, Slots: 1, Ready: 3, Took: time.Minute, Named: gpu},
	}})
	for i, want := range []int{3, 0, 10, 0} {
		if out[i].Want != want {
			t.Errorf("pool %s wants %d (%s), not %d", out[i].Pool, out[i].Want, out[i].Reason, want)
		}
	}
}

// Twenty tasks took a moment. The next ones do not end, so it takes more workers than the mean says.
func TestMeanIsNotBelievedForEver(t *testing.T) {
	s := tell(t, Config{}, 0, 20)
	w := s.work(39, 1, 0, 10*time.Millisecond)
	s.pool().Wanted = 1
	s.come(1)
	w.Running, w.Ended = 1, 20
	s.want(s.after(0), 1, Hold, "")
	s.want(s.after(time.Minute), 20, "", "40 tasks can run")
	// Where some end all the time, the mean is right.
	s = tell(t, Config{}, 0, 20)
	w = s.work(39, 1, 0, 10*time.Millisecond)
	s.pool().Wanted = 1
	s.come(1)
	w.Running = 1
	for range 60 {
		w.Ended++
		s.view.Now += time.Second
		s.want(s.after(0), 1, Hold, "")
	}
	// What waits behind other work, and does not run, says nothing.
	w.Running = 0
	s.want(s.after(time.Minute), 1, Hold, "")
}

// When a container was asked for that was there before this core was is not known: how soon
// its worker comes does not tell how long a start takes.
func TestTakeoverTeachesNoDelay(t *testing.T) {
	s := tell(t, Config{}, 0, 200)
	s.pool().Wanted, s.pool().Starting = 12, 10 // two were asked for, and are not allocated
	s.work(3000, 0, 0, time.Second)
	d := s.after(2 * time.Second)
	s.come(10) // back from before
	s.pool().Starting = 0
	if d = s.after(time.Second); d.Inputs.Delay != 5*time.Second {
		t.Errorf("workers that came back teach a delay of %v", d.Inputs.Delay)
	}
	s.view.Now += 20 * time.Second // what this core asked for itself teaches
	s.pool().Live, s.pool().Busy = d.Want, float64(d.Want)
	if d = s.after(0); d.Inputs.Delay < 20*time.Second {
		t.Errorf("a start of 20 s teaches a delay of %v", d.Inputs.Delay)
	}
}

// A worker that the scheduler has lost, and whose container is there, may come back: that is
// no start either.
func TestReturnTeachesNoDelay(t *testing.T) {
	s := tell(t, Config{}, 0, 100)
	s.pool().Wanted = 4
	s.come(4)
	s.work(40, 4, 0, time.Second)
	s.after(0)
	s.come(3)
	s.pool().Starting = 1
	s.after(time.Second)
	s.come(4)
	s.pool().Starting = 0
	if d := s.after(0); d.Inputs.Delay != 5*time.Second {
		t.Errorf("a worker that came back teaches a delay of %v", d.Inputs.Delay)
	}
}
