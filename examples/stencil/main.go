// Command stencil lets heat spread along a rod: in each step, every cell becomes the mean
// of itself and its neighbours. The rod is cut into blocks; a block's next step needs the
// block and the two beside it, and nothing waits for a whole step to end.
//
//	stencil [--app APP] [--blocks N] [--cells N] [--steps N]
//
// It prints how warm the rod's quarters are.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// block is a part of the rod.
type block = []float64

// beside are a block and its neighbours. At an end of the rod there is a zero Ref.
type beside struct {
	Left, Block, Right yarnd.Ref[block]
}

var stepTask = yarnd.Define("stencil.step", func(_ context.Context, in beside) (block, error) {
	left, _ := in.Left.Get()
	right, _ := in.Right.Get()
	return step(left, in.Block.Value(), right), nil
})

// step returns b's next step. The rod's ends lose no heat.
func step(left, b, right block) block {
	next := make(block, len(b))
	for i, here := range b {
		before, behind := here, here
		switch {
		case i > 0:
			before = b[i-1]
		case len(left) > 0:
			before = left[len(left)-1]
		}
		switch {
		case i < len(b)-1:
			behind = b[i+1]
		case len(right) > 0:
			behind = right[0]
		}
		next[i] = (before + here + behind) / 3
	}
	return next
}

// rod returns the first step: the first block is warm.
func rod(blocks, cells int) []block {
	r := make([]block, blocks)
	for i := range r {
		r[i] = make(block, cells)
	}
	for i := range r[0] {
		r[0][i] = 1
	}
	return r
}

// spread runs the steps and returns the last one.
func spread(ctx context.Context, c *engine.Client, first []block, steps int) ([]block, error) {
	now := make([]*engine.Future[block], len(first))
	for i, b := range first {
		now[i] = engine.Scatter(ctx, c, b)
	}
	ref := func(i int) (r yarnd.Ref[block]) {
		if i >= 0 && i < len(now) {
			r = now[i].Ref()
		}
		return r
	}
	for range steps {
		next := make([]*engine.Future[block], len(now))
		for i := range now {
			next[i] = stepTask.Submit(ctx, c, beside{ref(i - 1), ref(i), ref(i + 1)})
		}
		for _, f := range now { // what the next step needs stays until it has it
			f.Release()
		}
		now = next
	}
	last := make([]block, len(now))
	for i, f := range now {
		var err error
		if last[i], err = f.Result(ctx); err != nil {
			return nil, err
		}
		f.Release()
	}
	return last, nil
}

func main() {
	yarnd.Main(func(ctx context.Context) error {
		flags := flag.NewFlagSet("stencil", flag.ContinueOnError)
		app := flags.String("app", "", "application to run on")
		blocks := flags.Int("blocks", 16, "blocks of the rod")
		cells := flags.Int("cells", 10_000, "cells of a block")
		steps := flags.Int("steps", 100, "steps")
		if err := flags.Parse(os.Args[1:]); err != nil || *blocks < 1 || *cells < 1 || *steps < 0 {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: "stencil takes numbers above 0", Next: "See stencil --help"}
		}
		cluster, err := yarnd.Connect(ctx, *app)
		if err != nil {
			return err
		}
		defer cluster.Close()
		last, err := spread(ctx, cluster.Client, rod(*blocks, *cells), *steps)
		if err != nil {
			return err
		}
		var warm [4]float64
		for i, b := range last {
			for _, v := range b {
				warm[4*i/len(last)] += v
			}
		}
		fmt.Printf("%.3f\n", warm)
		return nil
	})
}
