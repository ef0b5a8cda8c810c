package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

type level int8

// roman encodes itself as text.
type roman int

func (r roman) MarshalText() ([]byte, error) { return json.Marshal(int(r)) }

var (
	twice    = engine.Define("test.twice", func(_ context.Context, n level) (int, error) { return 2 * int(n), nil })
	huge     = engine.Define("test.huge", func(_ context.Context, n uint64) (uint64, error) { return n, nil })
	romans   = engine.Define("test.romans", func(_ context.Context, r roman) (int, error) { return int(r), nil })
	forever  = engine.Define("test.forever", func(ctx context.Context, n int) (int, error) { <-ctx.Done(); return n, ctx.Err() })
	failOdds = engine.Define("test.failOdds", func(_ context.Context, n int) (int, error) {
		if n%2 != 0 {
			return 0, errors.New("odd")
		}
		return n, nil
	})
)

// TestMapRange maps ranges of integers as Map would, in both orders, and each of those
// that can be has its inputs as they are encoded otherwise.
func TestMapRange(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), deadline(t)
		const lo, hi = -5_000, 15_000
		b := engine.MapRange(ctx, client, square, lo, hi)
		if b.Len() != hi-lo {
			t.Fatalf("%d tasks", b.Len())
		}
		n := lo
		for v, err := range b.All(ctx) {
			if err != nil || v != n*n {
				t.Fatalf("%d² is %d, %v", n, v, err)
			}
			n++
		}
		if n != hi {
			t.Fatalf("the results end before that of %d", n)
		}
		if _, err := b.At(0).Result(ctx); !errors.Is(err, engine.ErrReleased) {
			t.Errorf("a result that was read once: %v", err)
		}
		b = engine.MapRange(ctx, client, square, lo, hi)
		seen := make([]bool, hi-lo)
		for i := range b.InOrderOfEnding(ctx) {
			seen[i] = true
		}
		if slices.Contains(seen, false) {
			t.Error("a task never ended")
		}
		all, err := b.Gather(ctx)
		if err != nil || len(all) != hi-lo || all[0] != lo*lo || all[hi-lo-1] != (hi-1)*(hi-1) {
			t.Errorf("%d results, %v", len(all), err)
		}
		small, err := engine.MapRange(ctx, client, twice, -128, 127).Gather(ctx)
		if err != nil || len(small) != 255 || small[0] != -256 || small[254] != 252 {
			t.Errorf("%v, %v", small, err)
		}
		large, err := engine.MapRange(ctx, client, huge, math.MaxInt64-2, math.MaxInt64).Gather(ctx)
		if err != nil || !slices.Equal(large, []uint64{math.MaxInt64 - 2, math.MaxInt64 - 1}) {
			t.Errorf("%v, %v", large, err)
		}
		none, err := engine.MapRange(ctx, client, square, 5, 5).Gather(ctx)
		if err != nil || len(none) != 0 {
			t.Errorf("%v, %v", none, err)
		}
	})
}

// TestMapRangeAmongOthers has tasks depend on those of a range, and failures where they
// are due.
func TestMapRangeAmongOthers(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), deadline(t)
		b := engine.MapRange(ctx, client, failOdds, 0, 10_000, engine.ReadOnce(false))
		next := square.Submit(ctx, client, 3)
		want(t, add.Submit(ctx, client, pair{b.At(9_998).Ref(), b.At(2).Ref()}), 10_000)
		wantTaskError(t, add.Submit(ctx, client, pair{b.At(9_998).Ref(), b.At(9_999).Ref()}), engine.FailUpstream)
		want(t, next, 9)
		failed, n := 0, 0
		for v, err := range b.All(ctx) {
			switch {
			case err != nil:
				failed++
			case v != n:
				t.Fatalf("result %d is %d", n, v)
			}
			n++
		}
		if n != 10_000 || failed != 5_000 {
			t.Errorf("%d results, of which %d are failures", n, failed)
		}
	})
}

// TestMapRangeEndsEarly cancels, releases and leaves behind most of ranges that would
// take for ever.
func TestMapRangeEndsEarly(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), deadline(t)
		const n = 100_000
		b := engine.MapRange(ctx, client, forever, 0, n)
		if err := b.Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		cancelled := 0
		for _, err := range b.Completed(ctx) {
			if errors.Is(err, engine.ErrCancelled) {
				cancelled++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if cancelled < n-1_000 {
			t.Errorf("%d of %d tasks are cancelled", cancelled, n)
		}
		b = engine.MapRange(ctx, client, forever, 0, n)
		last := b.At(n - 1)
		b.Release()
		if _, err := last.Result(ctx); !errors.Is(err, engine.ErrReleased) {
			t.Errorf("the last result: %v", err)
		}
		ended := 0
		for range b.InOrderOfEnding(ctx) {
			ended++
		}
		if ended != n {
			t.Errorf("of %d tasks that were released %d have ended", n, ended)
		}
		eventually(t, "nothing is left to do", func() bool {
			job, err := client.Unnamed(ctx)
			if err != nil {
				t.Fatal(err)
			}
			info, err := job.Info(ctx)
			return err == nil && info.Ready+info.Running+info.Waiting == 0
		})
		rest := engine.MapRange(ctx, client, forever, 0, 1<<31-1)
		unread := rest.At(1 << 30)
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := unread.Result(ctx); !errors.Is(err, engine.ErrJobClosed) {
			t.Errorf("a result after Close: %v", err)
		}
	})
}

// TestMapRangeRefused is about what cannot be a range.
func TestMapRangeRefused(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	client, ctx := c.Client(), deadline(t)
	for says, b := range map[string]interface {
		Submitted(context.Context) (int, error)
	}{
		"preferred hosts": engine.MapRange(ctx, client, square, 0, 5, engine.Hosts("nm1")),
		"2³²-1 tasks":     engine.MapRange(ctx, client, square, 0, 1<<32),
		"above 2⁶³-1":     engine.MapRange(ctx, client, huge, math.MaxInt64-1, math.MaxInt64+2),
		"use Map":         engine.MapRange(ctx, client, romans, 0, 5),
	} {
		if _, err := b.Submitted(ctx); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want an error about %q", err, says)
		}
	}
	full := engine.MapRange(ctx, client, forever, 0, 1<<32-1)
	if n, err := full.Submitted(ctx); err != nil || n != 1<<32-1 {
		t.Fatalf("%d tasks: %v", n, err)
	}
	if _, err := engine.MapRange(ctx, client, square, 0, 5).Submitted(ctx); err == nil || !strings.Contains(err.Error(), "a job has at most 2³²-1 tasks") {
		t.Errorf("five more tasks: %v", err)
	}
}
