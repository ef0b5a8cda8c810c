// Command montecarlo estimates π by throwing points at a square: many independent tasks,
// and a tree of tasks that adds up what they found.
//
//	montecarlo [--app APP] [--tasks N] [--points N] [--seed N]
//
// Each task has random numbers of its own, which the seed and its number determine, so the
// same arguments print the same on any cluster.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

type throw struct {
	Seed, Task, Points uint64
}

// hits says how many of the points lie in the quarter of a circle.
type hits struct {
	In, Points uint64
}

var (
	throwTask = yarnd.Define("montecarlo.throw", func(ctx context.Context, in throw) (h hits, err error) {
		r := rand.New(rand.NewPCG(in.Seed, in.Task))
		for ; h.Points < in.Points; h.Points++ {
			if h.Points%(1<<16) == 0 && ctx.Err() != nil {
				return h, context.Cause(ctx)
			}
			if x, y := r.Float64(), r.Float64(); x*x+y*y < 1 {
				h.In++
			}
		}
		return h, nil
	})
	addHits = engine.DefineReduce("montecarlo.add", func(_ context.Context, a, b hits) (hits, error) {
		return hits{a.In + b.In, a.Points + b.Points}, nil
	})
)

// estimate returns π, and its standard error.
func (h hits) estimate() (pi, deviation float64) {
	p := float64(h.In) / float64(h.Points)
	return 4 * p, 4 * math.Sqrt(p*(1-p)/float64(h.Points))
}

func main() {
	yarnd.Main(func(ctx context.Context) error {
		flags := flag.NewFlagSet("montecarlo", flag.ContinueOnError)
		app := flags.String("app", "", "application to run on")
		tasks := flags.Uint64("tasks", 100, "tasks that throw")
		points := flags.Uint64("points", 1_000_000, "points of each")
		seed := flags.Uint64("seed", 1, "of the random numbers")
		if err := flags.Parse(os.Args[1:]); err != nil || *tasks < 1 || *points < 1 {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: "montecarlo takes numbers above 0", Next: "See montecarlo --help"}
		}
		cluster, err := yarnd.Connect(ctx, *app)
		if err != nil {
			return err
		}
		defer cluster.Close()
		h, err := run(ctx, cluster.Client, *seed, *tasks, *points)
		if err != nil {
			return err
		}
		pi, deviation := h.estimate()
		fmt.Printf("%d points: %.6f ± %.6f\n", h.Points, pi, deviation)
		return nil
	})
}

func run(ctx context.Context, c *engine.Client, seed, tasks, points uint64) (hits, error) {
	batch := throwTask.Map(ctx, c, func(yield func(throw) bool) {
		for i := range tasks {
			if !yield(throw{seed, i, points}) {
				return
			}
		}
	})
	defer batch.Release()
	refs, err := batch.Refs(ctx)
	if err != nil {
		return hits{}, err
	}
	total := addHits.Tree(ctx, c, refs, 0)
	defer total.Release()
	return total.Result(ctx)
}
