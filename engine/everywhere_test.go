package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

var whereAmI = engine.Define("whereAmI", func(ctx context.Context, not string) (string, error) {
	info, _ := engine.Info(ctx)
	if info.Worker == not {
		return "", errors.New("not here")
	}
	return info.Worker, nil
})

// A task runs once on each worker, and tells what it did there.
func TestOnAll(t *testing.T) {
	suite(t, enginetest.Options{Workers: 3, Slots: 1}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), deadline(t)
		got, err := whereAmI.OnAll(ctx, client, "")
		if err != nil || len(got) != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, w := range got {
			if w.Err != nil || w.Value != w.Worker {
				t.Errorf("%+v", w)
			}
		}
		not := got[1].Worker
		got, err = whereAmI.OnAll(ctx, client, not)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range got {
			if te, failed := errors.AsType[*engine.TaskError](w.Err); failed != (w.Worker == not) || failed && te.Kind != engine.FailUser {
				t.Errorf("%+v", w)
			}
		}
		got, err = whereAmI.OnAll(ctx, client, "", engine.Pool("elsewhere"))
		if err != nil || len(got) != 3 || got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "may run it") {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A callback is called once, whether the task has ended or not, also beside a batch.
func TestOnDone(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	client, ctx := c.Client(), t.Context()
	g := gate{Dir: t.TempDir()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	calls := map[string]int{}
	call := func(name string) func(int, error) {
		wg.Add(1)
		return func(_ int, err error) {
			defer wg.Done()
			if err != nil {
				name += " failed"
			}
			mu.Lock()
			defer mu.Unlock()
			calls[name]++
		}
	}
	b := waitFor.Map(ctx, client, func(yield func(gateAfter) bool) { yield(gateAfter{Gate: g, After: engine.Value(1)}) })
	if _, err := b.Submitted(deadline(t)); err != nil {
		t.Fatal(err)
	}
	b.At(0).OnDone(call("first"))
	b.At(0).OnDone(call("second"))
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Gather(deadline(t)); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	b.At(0).OnDone(call("late"))
	released := square.Submit(ctx, client, 1)
	released.Release()
	released.OnDone(call("released"))
	wg.Wait()
	if len(calls) != 4 || calls["first"] != 1 || calls["second"] != 1 || calls["late"] != 1 || calls["released failed"] != 1 {
		t.Errorf("called %v", calls)
	}
}

func TestProgress(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	var out strings.Builder
	square.Map(t.Context(), c.Client(), count(100)).Progress(deadline(t), &out)
	if !strings.HasPrefix(out.String(), "square: 100 of 100, ") || !strings.HasSuffix(out.String(), "/s\n") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("wrote %q", out.String())
	}
}
