package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestBatch(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		g := gate{Dir: t.TempDir()}
		// Task 0 waits for the gate, the others do not.
		b := waitFor.Map(ctx, client, func(yield func(gateAfter) bool) {
			open := gate{Dir: t.TempDir()}
			if err := open.open(); err != nil {
				t.Error(err)
			}
			for i := range 20 {
				in := gateAfter{Gate: open, After: engine.Value(i)}
				if i == 0 {
					in.Gate = g
				}
				if !yield(in) {
					return
				}
			}
		}, engine.ReadOnce(false))
		seen := map[int]bool{}
		for v, err := range b.Completed(deadline(t)) {
			if err != nil {
				t.Fatal(err)
			}
			seen[v] = true
			if len(seen) == 19 {
				if seen[0] {
					t.Error("the task that waits has ended")
				}
				if err := g.open(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(seen) != 20 {
			t.Errorf("%d results", len(seen))
		}
		last := -1
		for i := range b.InOrderOfEnding(deadline(t)) {
			last = i
		}
		if last != 0 {
			t.Errorf("task %d ended last", last)
		}
		n := 0
		for v, err := range b.All(deadline(t)) {
			if err != nil || v != n {
				t.Fatalf("result %d: %d, %v", n, v, err)
			}
			if n++; n == 5 {
				break
			}
		}

		// One input cannot be sent, one fails; the others are fine.
		knot := &cyclic{N: 1}
		knot.Next = knot
		mixed := node.Map(ctx, client, slices.Values([]cyclic{{N: 0}, *knot, {N: 2}}), engine.ReadOnce(false))
		var got []string
		for v, err := range mixed.All(deadline(t)) {
			got = append(got, fmt.Sprint(v, err != nil))
		}
		if !slices.Equal(got, []string{"0 false", "0 true", "2 false"}) {
			t.Errorf("mixed: %v", got)
		}
		if _, err := mixed.Gather(deadline(t)); err == nil || !strings.Contains(err.Error(), "cycle") {
			t.Errorf("gather: %v", err)
		}
	})
}

// Map pulls its inputs only as far ahead as its window, and stops with its context.
func TestMapPullsLazily(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := gate{Dir: t.TempDir()}
	pulled := make(chan int, 1000)
	b := wait.Map(ctx, c.Client(), func(yield func(gate) bool) {
		for i := range 1000 {
			pulled <- i
			if !yield(gate{Dir: g.Dir, N: i}) {
				return
			}
		}
	}, engine.Window(10))
	eventually(t, "ten are submitted", func() bool { return b.Len() == 10 })
	if n := len(pulled); n > 11 {
		t.Errorf("%d inputs were pulled with a window of 10", n)
	}
	cancel()
	if n, err := b.Submitted(deadline(t)); n != 10 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d submitted, %v", n, err)
	}
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	n := 0
	var end error
	for _, err := range b.All(deadline(t)) {
		if err != nil {
			end = err
			continue
		}
		n++
	}
	if n != 10 || !errors.Is(end, context.Canceled) {
		t.Errorf("%d results, then %v", n, end)
	}
}
