package schedtest

import (
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

var (
	seed      = flag.Uint64("seed", 0, "replay one schedule")
	actions   = flag.Int("actions", 250, "steps of the adversary in one schedule")
	without   = flag.String("without", "", "features that the schedules do without")
	schedules = flag.Int("schedules", 3000, "schedules to run")
	from      = flag.Uint64("from", 1, "seed of the first")
)

func plan(seed uint64) Plan {
	p := Plan{Seed: seed, Actions: *actions}
	if *without != "" {
		p.Without = strings.Split(*without, ",")
	}
	return p
}

// TestSimulation runs many schedules, or, with -seed, one with its whole story.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		p := plan(*seed)
		p.Trace = true
		r := Run(p)
		if r.Err != nil {
			t.Fatalf("%s\n%v", strings.Join(r.Log, "\n"), r.Err)
		}
		return
	}
	const parts = 8
	var phantoms atomic.Int64
	t.Cleanup(func() {
		n := phantoms.Load()
		t.Logf("%d schedules, %d results were not where the core believed", *schedules, n)
		if n > int64(*schedules)/200 {
			t.Error("that is too many for a race that hardly ever happens")
		}
	})
	for part := range uint64(parts) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for n := part; n < uint64(*schedules); n += parts {
				p := plan(*from + n)
				r := Run(p)
				phantoms.Add(int64(r.Phantoms))
				if r.Err != nil {
					small := Shrink(p)
					t.Fatalf("%v\nshrunk: %v\nreplay: go test ./engine/schedtest -run Simulation %v", r.Err, Run(small).Err, small)
				}
			}
		})
	}
}

// TestReplay plays plans twice: a run is a function of its plan.
func TestReplay(t *testing.T) {
	for seed := range uint64(100) {
		if a, b := Run(plan(seed+1)), Run(plan(seed+1)); a.Hash != b.Hash || a.Tasks != b.Tasks {
			t.Fatalf("seed %d: two runs differ", seed+1)
		}
	}
}
