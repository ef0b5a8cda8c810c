package schedtest

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/sched"
)

var (
	seed      = flag.Uint64("seed", 0, "replay one schedule")
	actions   = flag.Int("actions", 320, "actions of the adversary in one schedule")
	without   = flag.String("without", "", "features that the schedules do without")
	schedules = flag.Int("schedules", 3000, "schedules to run: make test asks for 100,000")
	from      = flag.Uint64("from", 1, "seed of the first")
	progress  = flag.Duration("progress", 0, "say how far the run is, so often")
	shrink    = flag.Bool("shrink", true, "make a script of a schedule that fails")
	shrunk    = flag.String("shrunk", "", "file for the smallest script that fails")
)

func plan(seed uint64) Plan {
	p := Plan{Seed: seed, Actions: *actions}
	if *without != "" {
		p.Without = strings.Split(*without, ",")
	}
	return p
}

// campaign is many schedules.
type campaign struct {
	sync.Mutex
	left, next int
	all        Distribution
	cover      Coverage
	phantoms   int
	failed     *Result
	plan       Plan
}

// take hands out the seed of the next schedule.
func (c *campaign) take() (uint64, bool) {
	c.Lock()
	defer c.Unlock()
	if c.left == 0 || c.failed != nil {
		return 0, false
	}
	c.left--
	c.next++
	return *from + uint64(c.next) - 1, true
}

func (c *campaign) add(p Plan, r *Result) {
	c.Lock()
	defer c.Unlock()
	c.all.Add(r.Stats)
	c.cover.Add(r.Cover)
	c.phantoms += r.Phantoms
	if r.Err != nil && c.failed == nil {
		c.failed, c.plan = r, p
	}
}

// TestSimulation runs many schedules, or, with -seed, one with its whole story.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		p := plan(*seed)
		p.Trace = true
		if r := Run(p); r.Err != nil {
			t.Fatalf("%s\n%v", strings.Join(r.Log, "\n"), r.Err)
		}
		return
	}
	n := *schedules
	if testing.Short() {
		n = min(n, 2000)
	}
	c := &campaign{left: n}
	if *progress > 0 {
		stop := c.tell(n)
		defer stop()
	}
	const parts = 4
	t.Run("schedules", func(t *testing.T) {
		for part := range parts {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for s, ok := c.take(); ok; s, ok = c.take() {
					p := plan(s)
					r := Run(p)
					c.add(p, &r)
				}
			})
		}
	})
	t.Logf("%d schedules; %d results were not where the core believed\n%v\n\n%v", c.next, c.phantoms, &c.all, &c.cover)
	if c.failed != nil {
		c.report(t)
		return
	}
	c.judge(t, n)
}

// judge sees that the schedules were worth it.
func (c *campaign) judge(t *testing.T, n int) {
	c.cover.check(t, n >= 50_000 && *without == "")
	if n >= 1000 && c.all.Events() < 200 {
		t.Errorf("half of the schedules have fewer than %d events: 200 are wanted", c.all.Events())
	}
	if c.all.LeastFaults() < 1 {
		t.Error("a schedule had no fault")
	}
	if c.phantoms > 10+n/200 {
		t.Errorf("%d results were not where the core believed: too many for a race that hardly ever happens", c.phantoms)
	}
}

// report tells of the schedule that failed, and makes a script of it.
func (c *campaign) report(t *testing.T) {
	t.Errorf("schedule %d: %v\nreplay: go test ./engine/schedtest -run Simulation %v", c.next, c.failed.Err, c.plan)
	if !*shrink {
		return
	}
	r := Replay(c.failed.Actions, false)
	if r.Err == nil {
		t.Error("it goes well when its actions are done again: the schedule depends on something else")
		return
	}
	small := Shrink(c.failed.Actions, r.Err)
	err := Replay(small, false).Err
	text := fmt.Sprintf("# %v\n%s", strings.ReplaceAll(fmt.Sprint(err), "\n", " "), FormatScript(small))
	t.Logf("%d of %d actions are enough:\n%s", len(small), len(c.failed.Actions), text)
	if *shrunk != "" {
		if err := os.WriteFile(*shrunk, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// tell says now and then how far the run is.
func (c *campaign) tell(n int) (stop func()) {
	ticker, done := time.NewTicker(*progress), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				c.Lock()
				fmt.Fprintf(os.Stderr, "%d of %d schedules\n", c.next, n)
				c.Unlock()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
	}
}

// TestReplay plays plans twice: a run is a function of its plan, and so is all of the
// core's state after each of its turns.
func TestReplay(t *testing.T) {
	for s := range uint64(100) {
		p := plan(s + 1)
		p.Hash = true
		if a, b := Run(p), Run(p); a.Hash != b.Hash || a.Stats != b.Stats {
			t.Fatalf("seed %d: two runs differ", p.Seed)
		}
	}
}

// TestShrink makes a schedule smaller in which something happens: that a result is
// missed where it was thought to be.
func TestShrink(t *testing.T) {
	for s := uint64(1); ; s++ {
		r := Run(plan(s))
		if r.Cover[kindMissing][sched.StateDone] == 0 {
			continue
		}
		before := len(r.Actions)
		keeps := func(a []Action) bool { return Replay(a, false).Cover[kindMissing][sched.StateDone] > 0 }
		r.Actions = reduce(r.Actions, keeps)
		if len(r.Actions) > before/5 {
			t.Errorf("a schedule in which a result is missed has still %d of %d actions:\n%s", len(r.Actions), before, FormatScript(r.Actions))
		}
		return
	}
}
