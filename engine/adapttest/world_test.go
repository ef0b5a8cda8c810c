package adapttest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
)

// watched holds a policy to its promises at each decision.
type watched struct {
	*Ours
	t *testing.T
}

func (p *watched) Decide(w *World) error {
	if err := p.Ours.Decide(w); err != nil {
		return err
	}
	have := w.Containers() + w.Asked()
	if have > w.Trace.Max {
		p.t.Errorf("at %v: %d containers and asks, at most %d are allowed", w.Now, have, w.Trace.Max)
	}
	if w.left > 0 && have == 0 {
		p.t.Errorf("at %v: %d tasks and nobody is asked for", w.Now, w.left)
	}
	if err := w.Core.Check(); err != nil {
		p.t.Errorf("at %v: %v", w.Now, err)
	}
	return nil
}

// anyTrace is a trace that somebody might come up with.
func anyTrace(r *rand.Rand) *Trace {
	t := &Trace{Name: "any", Max: 1 + r.IntN(30), Start: time.Duration(1+r.IntN(20)) * time.Second}
	at := time.Duration(0)
	for range 1 + r.IntN(8) {
		n := 1 + r.IntN(120)
		j := Job{At: at, Class: fmt.Sprint("c", r.IntN(3)), Took: about(r, n, time.Duration(1+r.IntN(20_000))*time.Millisecond)}
		if r.IntN(2) == 0 {
			for i := range n {
				var deps []uint32
				for k := 0; i > 0 && k < r.IntN(3); k++ {
					deps = append(deps, uint32(r.IntN(i)))
				}
				j.Deps = append(j.Deps, deps)
			}
		}
		t.Jobs = append(t.Jobs, j)
		at += time.Duration(r.IntN(300)) * time.Second
	}
	for cut := time.Duration(0); r.IntN(2) == 0 && len(t.Cuts) < 8; cut += time.Minute {
		t.Cuts = append(t.Cuts, Cut{cut + time.Duration(r.IntN(60))*time.Second, r.IntN(t.Max)}, Cut{cut + time.Minute, t.Max})
	}
	return t
}

// Whatever comes: within the limits, somebody for whatever can run, from no workers too,
// all of it ends, nobody goes by choice within a minute after it came, and no attempt is
// taken back from one that is to go.
func TestPromisesHoldWhateverComes(t *testing.T) {
	runs := 150
	if testing.Short() {
		runs = 30
	}
	for seed := range uint64(runs) {
		trace := anyTrace(rand.New(rand.NewPCG(seed, 7)))
		got, err := Run(trace, &watched{Ours: NewOurs(adapt.Config{}), t: t}, seed)
		switch {
		case err != nil:
			t.Fatalf("seed %d: %v", seed, err)
		case got.Flaps > 0:
			t.Errorf("seed %d: %d containers were given back within a minute", seed, got.Flaps)
		case got.Recomputed > 0:
			t.Errorf("seed %d: %d attempts were taken back from workers that were to go", seed, got.Recomputed)
		case t.Failed():
			t.Fatalf("seed %d", seed)
		}
	}
}

// The goals of the benchmark, as far as they are ours alone; gusts are what is bad at it.
func TestTracesNearTheOracle(t *testing.T) {
	for _, trace := range Traces(1, Quick) {
		o, err := NewOracle(&trace, 1)
		if err != nil {
			t.Fatal(err)
		}
		best, err := Run(&trace, o, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Run(&trace, NewOurs(adapt.Config{}), 1)
		if err != nil {
			t.Fatal(err)
		}
		slower, dearer := float64(got.Makespan)/float64(best.Makespan), float64(got.Containers)/float64(best.Containers)
		t.Logf("%-12s makespan %.2f, container-seconds %.2f of the oracle's", trace.Name, slower, dearer)
		if slower > 1.15 || dearer > 1.3 && trace.Name != "gusts" || got.Flaps > 0 || got.Recomputed > 0 {
			t.Errorf("%s: makespan %.2f and container-seconds %.2f of the oracle's, %d flaps, %d attempts taken back", trace.Name, slower, dearer, got.Flaps, got.Recomputed)
		}
	}
}

// The same trace and seed are the same run.
func TestRunsRepeat(t *testing.T) {
	trace := Traces(1, Quick)[5]
	var got [2]Result
	for i := range got {
		var err error
		if got[i], err = Run(&trace, NewOurs(adapt.Config{}), 3); err != nil {
			t.Fatal(err)
		}
	}
	if got[0] != got[1] {
		t.Errorf("%+v, then %+v", got[0], got[1])
	}
}
