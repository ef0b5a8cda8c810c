package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

const patience = 60 * time.Second

// suite runs a test on a cluster within this process, and on one of worker and
// executor processes.
func suite(t *testing.T, o enginetest.Options, test func(*testing.T, *enginetest.Cluster)) {
	for name, processes := range map[string]bool{"here": false, "processes": true} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Processes = processes
			if o.Workers == 0 {
				o.Workers = 2
			}
			test(t, enginetest.Start(t, o))
		})
	}
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func want[T any](t testing.TB, f *engine.Future[T], value T) {
	t.Helper()
	if got, err := f.Result(deadline(t)); err != nil || fmt.Sprint(got) != fmt.Sprint(value) {
		t.Fatalf("%s %s: %.80v, %+v; want %.80v", f.Name(), f.ID(), got, err, value)
	}
}

func wantTaskError[T any](t testing.TB, f *engine.Future[T], kind engine.FailKind) *engine.TaskError {
	t.Helper()
	v, err := f.Result(deadline(t))
	te, ok := errors.AsType[*engine.TaskError](err)
	if !ok || te.Kind != kind {
		t.Fatalf("%s %s: %.80v, %v; want a failure of kind %v", f.Name(), f.ID(), v, err, kind)
	}
	return te
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond) // between looks at a condition
	}
}

func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestMapGather(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		const n = 10_000
		b := square.Map(t.Context(), c.Client(), count(n))
		got, err := b.Gather(deadline(t))
		if err != nil || len(got) != n {
			t.Fatalf("%d results, %v", len(got), err)
		}
		for i, v := range got {
			if v != i*i {
				t.Fatalf("the square of %d is %d", i, v)
			}
		}
	})
}

func TestGraphs(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		// A chain.
		link := square.Submit(ctx, client, 0).Ref()
		var last *engine.Future[int]
		for range 200 {
			last = inc.Submit(ctx, client, link)
			link = last.Ref()
		}
		want(t, last, 200)
		// A tree over a map.
		layer, err := square.Map(ctx, client, count(256)).Refs(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		var root *engine.Future[int]
		for len(layer) > 1 {
			var above []engine.Ref[int]
			for p := range slices.Chunk(layer, 2) {
				root = add.Submit(ctx, client, pair{p[0], p[1]})
				above = append(above, root.Ref())
			}
			layer = above
		}
		total := 0
		for i := range 256 {
			total += i * i
		}
		want(t, root, total)
		// A diamond, whose last task has values beside promises.
		top := square.Submit(ctx, client, 5)
		left, right := inc.Submit(ctx, client, top.Ref()), add.Submit(ctx, client, pair{top.Ref(), engine.Value(100)})
		want(t, sum.Submit(ctx, client, []engine.Ref[int]{left.Ref(), right.Ref(), engine.Value(1), left.Ref()}), 26+125+1+26)
	})
}

func TestErrors(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		bad := fail.Submit(ctx, client, "no such file")
		e := wantTaskError(t, bad, engine.FailUser)
		if e.Name != "fail" || !strings.Contains(e.Message, "no such file") || e.Attempt != 1 || !strings.HasPrefix(e.Host, "host") || e.Task != bad.ID() {
			t.Errorf("error: %#v", e)
		}
		if s := e.Error(); !strings.Contains(s, "task fail (") || !strings.Contains(s, "failed on host") || !strings.Contains(s, "no such file") {
			t.Errorf("message: %s", s)
		}
		e = wantTaskError(t, crash.Submit(ctx, client, "oh no"), engine.FailUser)
		if !strings.Contains(e.Message, "oh no") || !strings.Contains(e.Stack, "deepPanic") || !strings.Contains(fmt.Sprintf("%+v", e), "deepPanic") {
			t.Errorf("panic: %#v", e)
		}
		if strings.Contains(e.Error(), "\n") {
			t.Errorf("more than a line: %s", e)
		}
		e = wantTaskError(t, inc.Submit(ctx, client, inc.Submit(ctx, client, bad.Ref()).Ref()), engine.FailUpstream)
		if e.Task != bad.ID() {
			t.Errorf("the first failure was of %s, not %s", bad.ID(), e.Task)
		}
		if bad.Status() != engine.Failed {
			t.Errorf("status %v", bad.Status())
		}
		// A type that is not the sender's.
		wrong := engine.JobFuture[string](job(t, client), square.Submit(ctx, client, 3).ID().Index)
		if _, err := wrong.Result(deadline(t)); !errors.Is(err, engine.ErrMismatch) || !strings.Contains(err.Error(), "string") {
			t.Errorf("a number as a string: %v", err)
		}
		want(t, square.Submit(ctx, client, 4), 16) // the cluster goes on
	})
}

func job(t testing.TB, c *engine.Client) *engine.Job {
	t.Helper()
	j, err := c.Unnamed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestRetries(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		want(t, flaky.Submit(ctx, client, 3, engine.Retries(2)), 3)
		e := wantTaskError(t, flaky.Submit(ctx, client, 3, engine.Retries(1)), engine.FailUser)
		if e.Attempt != 2 || !strings.Contains(e.Error(), "in attempt 2") {
			t.Errorf("error: %v", e)
		}
		wantTaskError(t, flaky.Submit(ctx, client, 2), engine.FailUser)
	})
}

func TestCancel(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		g := gate{Dir: t.TempDir()}
		f := wait.Submit(ctx, client, g)
		after := inc.Submit(ctx, client, f.Ref())
		eventually(t, "it runs", func() bool { return g.arrived() == 1 })
		if f.Status() != engine.Pending {
			t.Errorf("status %v", f.Status())
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := f.Result(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait that ends: %v", err)
		}
		if err := f.Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Result(deadline(t)); !errors.Is(err, engine.ErrCancelled) {
			t.Errorf("cancelled: %v", err)
		}
		if _, err := after.Result(deadline(t)); err == nil {
			t.Error("what depends on a cancelled task has a result")
		}
		if f.Status() != engine.Cancelled {
			t.Errorf("status %v", f.Status())
		}
		want(t, square.Submit(ctx, client, 4), 16)
	})
}

func TestTimeLimit(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client := c.Client()
		wantTaskError(t, wait.Submit(t.Context(), client, gate{Dir: t.TempDir()}, engine.TimeLimit(100*time.Millisecond)), engine.FailTime)
		want(t, square.Submit(t.Context(), client, 4), 16)
	})
}

func TestInfo(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		f := about.Submit(t.Context(), c.Client(), struct{}{})
		info, err := f.Result(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		if info.Name != "about" || info.Task != f.ID() || info.Attempt != 1 || !strings.HasPrefix(info.Host, "host") || !strings.HasPrefix(info.Worker, "container_") {
			t.Errorf("%+v", info)
		}
	})
}

func TestLists(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 1})
	client, ctx := c.Client(), t.Context()
	g := gate{Dir: t.TempDir()}
	f := wait.Submit(ctx, client, g)
	bad := fail.Submit(ctx, client, "no")
	after := inc.Submit(ctx, client, f.Ref())
	eventually(t, "the first one runs", func() bool { return g.arrived() == 1 })
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	want(t, after, 1)
	wantTaskError(t, bad, engine.FailUser)
	rows, err := job(t, client).Tasks(ctx, 0, 10, "")
	if err != nil || len(rows) != 3 || rows[1].State != "failed" || rows[2].Class != "inc" || rows[2].State != "done" {
		t.Errorf("%+v, %v", rows, err)
	}
	rows, err = job(t, client).Tasks(ctx, 1, 10, "done")
	if err != nil || len(rows) != 1 || rows[0].Task != after.ID() {
		t.Errorf("done from 1: %+v, %v", rows, err)
	}
	many := square.Map(ctx, client, count(10_000), engine.ReadOnce(false)) // more than a page
	if _, err := many.Gather(deadline(t)); err != nil {
		t.Fatal(err)
	}
	rows, err = job(t, client).Tasks(ctx, 2, 9_000, "done")
	if err != nil || len(rows) != 9_000 || rows[8_999].Task.Index != 9_001 {
		t.Errorf("%d rows in pages, %v", len(rows), err)
	}
	jobs, err := client.Jobs(ctx)
	if err != nil || len(jobs) != 1 || jobs[0].Tasks != 10_003 || jobs[0].Failed != 1 || jobs[0].Owner != "tester" {
		t.Errorf("%+v, %v", jobs, err)
	}
	if names := engine.Names(); !slices.IsSorted(names) || !slices.Contains(names, "square") {
		t.Errorf("names of functions: %v", names)
	}
}
