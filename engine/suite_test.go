package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
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

// Results are kept until they are released, and then their memory is free.
func TestReleaseFreesMemory(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		used := func() (sum uint64) {
			workers, err := client.Workers(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range workers {
				sum += w.MemoryUsed
			}
			return sum
		}
		var in []blobOf
		for i := range 8 {
			in = append(in, blobOf{Fill: byte(i), Size: 1 << 20})
		}
		b := blob.Map(ctx, client, slices.Values(in))
		got, err := b.Gather(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		for i, data := range got {
			if !bytes.Equal(data, bytes.Repeat([]byte{byte(i)}, 1<<20)) {
				t.Errorf("blob %d is wrong", i)
			}
		}
		eventually(t, "8 MiB are held", func() bool { return used() >= 8<<20 })
		b.Release()
		eventually(t, "all is freed", func() bool { return used() == 0 })
		if _, err := b.At(0).Result(deadline(t)); !errors.Is(err, engine.ErrReleased) {
			t.Errorf("a released result: %v", err)
		}
		if b.At(0).Status() != engine.Released {
			t.Errorf("status %v", b.At(0).Status())
		}
		n, err := square.Call(ctx, client, 12)
		if err != nil || n != 144 {
			t.Errorf("Call: %d, %v", n, err)
		}
	})
}

// Results go from worker to worker, and large ones from workers to the client.
func TestLargeResults(t *testing.T) {
	suite(t, enginetest.Options{Workers: 3, Slots: 1}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		const size = 3 << 20
		var in []blobOf
		for i := range 6 {
			in = append(in, blobOf{Fill: byte(i), Size: size})
		}
		b := blob.Map(ctx, client, slices.Values(in))
		refs, err := b.Refs(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		all := map[byte]int{0: size, 1: size, 2: size, 3: size, 4: size, 5: size}
		var sums []*engine.Future[map[byte]int]
		for range 3 {
			sums = append(sums, weigh.Submit(ctx, client, refs))
		}
		for _, f := range sums {
			got, err := f.Result(deadline(t))
			if err != nil || !maps.Equal(got, all) {
				t.Errorf("%v, %v", got, err)
			}
		}
		i := 0
		for data, err := range b.All(deadline(t)) {
			if err != nil || len(data) != size || data[size-1] != byte(i) {
				t.Errorf("blob %d: %d bytes, %v", i, len(data), err)
			}
			i++
		}
		if i != 6 {
			t.Errorf("%d blobs", i)
		}
	})
}

func TestScatter(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		big := engine.Scatter(ctx, client, bytes.Repeat([]byte{7}, 2<<20))
		small := engine.Scatter(ctx, client, []byte("x"))
		want(t, weigh.Submit(ctx, client, []engine.Ref[[]byte]{big.Ref(), small.Ref()}), map[byte]int{7: 2 << 20, 'x': 1})
		if data, err := big.Result(deadline(t)); err != nil || len(data) != 2<<20 {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		if data, err := small.Result(deadline(t)); err != nil || string(data) != "x" {
			t.Errorf("%q, %v", data, err)
		}
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

func TestCommands(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		echo := engine.Command([]string{"echo", "-n", "<{}>", "{}{}"})
		for i, item := range []string{"a b", "", "$HOME", "ü\xff"} {
			got, err := echo.Submit(ctx, client, item).Result(deadline(t))
			if err != nil || string(got.Stdout) != "<"+item+"> "+item+item || got.Exit != 0 {
				t.Errorf("%d: %+v, %v", i, got, err)
			}
		}
		sh := func(o ...engine.CommandOption) *engine.Task[string, engine.CommandResult] {
			return engine.Command([]string{"sh", "-c", "echo out; echo $NAME >&2; exit {}"}, o...)
		}
		e := wantTaskError(t, sh(engine.Env(map[string]string{"NAME": "a=b"})).Submit(ctx, client, "7"), engine.FailUser)
		if e.ExitCode != 7 || strings.TrimSpace(string(e.Output)) != "a=b" || e.Name != "sh" {
			t.Errorf("exit 7: %#v", e)
		}
		if got, err := sh(engine.OKExit(7)).Submit(ctx, client, "7").Result(deadline(t)); err != nil || got.Exit != 7 || string(got.Stdout) != "out\n" {
			t.Errorf("exit 7 that is fine: %+v, %v", got, err)
		}
		wantTaskError(t, sh(engine.OKExit(7)).Submit(ctx, client, "8"), engine.FailUser)
		if got, err := sh(engine.KeepExit()).Submit(ctx, client, "8").Result(deadline(t)); err != nil || got.Exit != 8 {
			t.Errorf("exit 8 that is kept: %+v, %v", got, err)
		}
		cat := engine.Command([]string{"cat"}, engine.Stdin())
		if got, err := cat.Submit(ctx, client, strings.Repeat("line\n", 20_000)).Result(deadline(t)); err != nil || len(got.Stdout) != 100_000 {
			t.Errorf("cat: %d bytes, %v", len(got.Stdout), err)
		}
		if e := wantTaskError(t, engine.Command([]string{"no-such-program"}).Submit(ctx, client, ""), engine.FailUser); !strings.Contains(e.Message, "no-such-program") {
			t.Errorf("no program: %v", e)
		}
		b := engine.Command([]string{"true"}).Map(ctx, client, func(yield func(string) bool) {
			for range 100 {
				if !yield("") {
					return
				}
			}
		})
		if got, err := b.Gather(deadline(t)); err != nil || len(got) != 100 {
			t.Errorf("%d times true: %v", len(got), err)
		}
	})
}

func TestPublish(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		first, second, ctx := c.Client(), c.Client(), t.Context()
		g := gate{Dir: t.TempDir(), N: 17}
		f := wait.Submit(ctx, first, g)
		if err := engine.Publish(ctx, first, "answer", f); err != nil {
			t.Fatal(err)
		}
		if err := engine.Publish(ctx, first, "answer", square.Submit(ctx, first, 1)); err == nil {
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
		})
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
		mixed := node.Map(ctx, client, slices.Values([]cyclic{{N: 0}, *knot, {N: 2}}))
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
