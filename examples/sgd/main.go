// Command sgd fits a line through noisy points with an actor that holds its two weights:
// tasks ask it for them, find out on a share of the points of their own in which direction
// they should move, and tell it. None waits for the others.
//
//	sgd [--app APP] [--tasks N] [--points N] [--rounds N]
//
// It prints the line that it found.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// line is y = Slope·x + Offset, and as a move what is to be added to both.
type line struct{ Slope, Offset float64 }

// weights is the state of the actor.
type weights struct {
	line
	moves int
}

// keepEvery is how many moves a restarted actor may have lost.
const keepEvery = 100

var server = engine.DefineActor("sgd.weights", func(ctx context.Context, start line) (*weights, error) {
	kept, ok, err := engine.Restored[line](ctx) // when its worker was lost
	if err != nil {
		return nil, err
	}
	if ok {
		start = kept
	}
	return &weights{line: start}, nil
})

var (
	pull = engine.DefineMethod(server, "pull", func(_ context.Context, w *weights, _ struct{}) (line, error) {
		return w.line, nil
	}, engine.Repeatable())

	push = engine.DefineMethod(server, "push", func(ctx context.Context, w *weights, by line) (line, error) {
		w.Slope, w.Offset = w.Slope+by.Slope, w.Offset+by.Offset
		if w.moves++; w.moves%keepEvery == 0 {
			return w.line, engine.Checkpoint(ctx, w.line)
		}
		return w.line, nil
	})
)

// share is the work of one task: it knows the actor by its handle.
type share struct {
	Server         engine.Actor[*weights]
	Seed           uint64
	Points, Rounds int
}

// truth is the line that is to be found.
var truth = line{Slope: 3, Offset: -1}

var train = yarnd.Define("sgd.train", func(ctx context.Context, s share) (int, error) {
	client, err := engine.Inside(ctx)
	if err != nil {
		return 0, err
	}
	now, err := pull.Call(ctx, client, s.Server, struct{}{})
	if err != nil {
		return 0, err
	}
	r := rand.New(rand.NewPCG(s.Seed, 0))
	for range s.Rounds {
		if now, err = push.Call(ctx, client, s.Server, step(r, now, s.Points)); err != nil {
			return 0, err
		}
	}
	return s.Rounds, nil
})

// step returns how a line should move to be nearer to n points.
func step(r *rand.Rand, at line, n int) (by line) {
	const rate = 0.1
	for range n {
		x := 2*r.Float64() - 1
		y := truth.Slope*x + truth.Offset + r.NormFloat64()/10
		miss := y - at.Slope*x - at.Offset
		by.Slope += rate * miss * x / float64(n)
		by.Offset += rate * miss / float64(n)
	}
	return by
}

// fit has so many tasks work on one line.
func fit(ctx context.Context, c *engine.Client, tasks, points, rounds int) (line, error) {
	a, err := server.Start(ctx, c, line{})
	if err != nil {
		return line{}, err
	}
	work := func(yield func(share) bool) {
		for i := range tasks {
			if !yield(share{a, uint64(i), points, rounds}) {
				return
			}
		}
	}
	if _, err := train.Map(ctx, c, work).Gather(ctx); err != nil {
		return line{}, err
	}
	found, err := pull.Call(ctx, c, a, struct{}{})
	if err != nil {
		return line{}, err
	}
	return found, a.Stop(ctx, c)
}

func main() {
	yarnd.Main(func(ctx context.Context) error {
		flags := flag.NewFlagSet("sgd", flag.ContinueOnError)
		app := flags.String("app", "", "application to run on")
		tasks := flags.Int("tasks", 8, "tasks")
		points := flags.Int("points", 1000, "points in a step")
		rounds := flags.Int("rounds", 200, "steps of a task")
		if err := flags.Parse(os.Args[1:]); err != nil || *tasks < 1 || *points < 1 || *rounds < 1 {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: "sgd takes numbers above 0", Next: "See sgd --help"}
		}
		cluster, err := yarnd.Connect(ctx, *app)
		if err != nil {
			return err
		}
		defer cluster.Close()
		found, err := fit(ctx, cluster.Client, *tasks, *points, *rounds)
		if err != nil {
			return err
		}
		fmt.Printf("y = %.2fx %+.2f\n", found.Slope, found.Offset)
		return nil
	})
}
