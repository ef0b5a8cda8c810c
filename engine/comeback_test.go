package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestPublish(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		first, second, ctx := c.Client(), c.Client(), t.Context()
		g := gate{Dir: t.TempDir(), N: 17}
		f := wait.Submit(ctx, first, g)
		if err := engine.Publish(ctx, first, "answer", f); err != nil {
			t.Fatal(err)
		}
		if err := engine.Publish(ctx, first, "answer", square.Submit(ctx, first, 1)); err == nil || !strings.Contains(err.Error(), `Client.Unpublish(ctx, "answer")`) {
			t.Error("a name was given twice")
		}
		if _, err := engine.Lookup[string](ctx, second, "answer"); !errors.Is(err, engine.ErrMismatch) || !strings.Contains(err.Error(), "int") {
			t.Errorf("an int as a string: %v", err)
		}
		if _, err := engine.Lookup[int](ctx, second, "question"); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("no such name: %v", err)
		}
		same, err := engine.Lookup[int64](ctx, second, "answer")
		if err != nil {
			t.Fatal(err)
		}
		after := inc.Submit(ctx, second, f.Ref())
		if err := g.open(); err != nil {
			t.Fatal(err)
		}
		want(t, same, 17)
		want(t, after, 18)
		f.Release() // the name still holds it
		again, err := engine.Lookup[int](ctx, second, "answer")
		if err != nil {
			t.Fatal(err)
		}
		want(t, again, 17)
		names, err := second.Names(ctx)
		if err != nil || len(names) != 1 || names[0].Name != "answer" || names[0].Type != "int" {
			t.Errorf("%+v, %v", names, err)
		}
		if err := second.Unpublish(ctx, "answer"); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Lookup[int](ctx, second, "answer"); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("a name that was taken back: %v", err)
		}
	})
}

// A program leaves while its named job runs; another one comes back to it.
func TestComeBack(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		ctx := t.Context()
		first := c.Client()
		nightly, err := first.Job(ctx, "nightly")
		if err != nil {
			t.Fatal(err)
		}
		g := gate{Dir: t.TempDir(), N: 5}
		held := wait.Submit(ctx, first, g, engine.InJob(nightly))
		refs, err := square.Map(ctx, first, count(100), engine.InJob(nightly)).Refs(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		total := sum.Submit(ctx, first, append(refs, held.Ref()), engine.InJob(nightly))
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := total.Result(deadline(t)); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if err := g.open(); err != nil {
			t.Fatal(err)
		}

		second := c.Client()
		again, err := second.AttachJob(ctx, "nightly")
		if err != nil {
			t.Fatal(err)
		}
		want(t, engine.JobFuture[int](again, total.ID().Index), 328350+5)
		want(t, engine.JobFuture[int](again, 7), 6*6)
		info, err := again.Info(ctx)
		if err != nil || info.Tasks != 102 || info.Done != 102 || info.Name != "nightly" {
			t.Errorf("%+v, %v", info, err)
		}
		if err := again.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := second.AttachJob(ctx, "nightly"); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("a closed job: %v", err)
		}
	})
}

// The client's connection breaks many times while a graph is submitted and runs.
func TestReconnect(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		ctx := t.Context()
		p := enginetest.StartProxy(t, c.Addr())
		client := c.ClientWith(engine.Options{Scheduler: p.Endpoint})
		ref := engine.Value(0)
		var last *engine.Future[int]
		for i := range 500 {
			last = inc.Submit(ctx, client, ref)
			ref = last.Ref()
			if i%50 == 49 {
				p.Cut()
			}
		}
		want(t, last, 500)
	})
}
