package engine_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/engine/graph"
)

var ticks atomic.Int64

// tick tells in which order its calls ran. It is for workers within the test.
var tick = engine.Define("tick", func(context.Context, engine.Ref[int]) (int64, error) { return ticks.Add(1), nil })

// A task runs where its input lies, if there is room.
func TestHosts(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 4})
	client := c.Client()
	for range 3 {
		for _, host := range []string{"host3", "host1", "host4", "host2"} {
			info, err := about.Call(t.Context(), client, struct{}{}, engine.Hosts("elsewhere", host))
			if err != nil || info.Host != host {
				t.Errorf("ran on %s instead of %s, %v", info.Host, host, err)
			}
		}
	}
}

var at, most atomic.Int64

// crowd tells how many of its calls ran at the same time. It is for workers within the
// test.
var crowd = engine.Define("crowd", func(ctx context.Context, _ int) (int64, error) {
	n := at.Add(1)
	defer at.Add(-1)
	for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
	}
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
	return most.Load(), nil
})

// Of tasks that take a named resource, or say what memory they need, no more run at a
// time than a worker has room for, whatever slots it has.
func TestResources(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 8, Named: graph.Amounts{{Name: "gpu", Count: 2}}, TaskMemory: 1000})
	client := c.Client()
	for want, o := range map[int64]engine.TaskOption{
		1: engine.Resource("gpu", 2), 2: engine.Resource("gpu", 1), 3: engine.Memory(300),
	} {
		most.Store(0)
		got, err := crowd.Map(t.Context(), client, slices.Values(make([]int, 12)), o).Gather(deadline(t))
		if err != nil || slices.Max(got) > want {
			t.Errorf("%d ran at a time, of %d that may, %v", slices.Max(got), want, err)
		}
	}
	info, err := about.Call(t.Context(), client, struct{}{}, engine.OnlyHosts("host1", "elsewhere"))
	if err != nil || info.Host != "host1" {
		t.Errorf("ran on %s, %v", info.Host, err)
	}
}

// Of tasks that become ready together the one of the highest priority runs first.
func TestPriority(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 1})
	client, ctx := c.Client(), t.Context()
	g := gate{Dir: t.TempDir()}
	first := wait.Submit(ctx, client, g).Ref()
	var low []*engine.Future[int64]
	for range 5 {
		low = append(low, tick.Submit(ctx, client, first, engine.Priority(-1)))
	}
	high := tick.Submit(ctx, client, first, engine.Priority(10))
	mid := tick.Submit(ctx, client, first)
	if err := job(t, client).Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	order := []int64{}
	for _, f := range append([]*engine.Future[int64]{high, mid}, low...) {
		n, err := f.Result(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, n)
	}
	if order[0] > order[1] || order[1] > min(order[2], order[3], order[4], order[5], order[6]) {
		t.Errorf("high, mid and five low ones ran in the order %v", order)
	}
}

var used atomic.Int64

// occupy takes slots for a moment, and tells how many were taken meanwhile.
var occupy = engine.Define("occupy", func(_ context.Context, slots int64) (int64, error) {
	total := used.Add(slots)
	defer used.Add(-slots)
	time.Sleep(time.Millisecond) // it has work to do
	return max(total, used.Load()), nil
})

// A worker never runs more than its slots, however many a task takes.
func TestSlots(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 3})
	client := c.Client()
	var all []*engine.Future[int64]
	for i := range 100 {
		slots := 1 + i%3
		all = append(all, occupy.Submit(t.Context(), client, int64(slots), engine.Slots(slots)))
	}
	most := int64(0)
	for _, f := range all {
		n, err := f.Result(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	if most != 3 {
		t.Errorf("up to %d of 3 slots were taken", most)
	}
}

// A task runs only on workers of its pool.
func TestPool(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	client, ctx := c.Client(), t.Context()
	elsewhere := square.Submit(ctx, client, 2, engine.Pool("gpu"))
	want(t, square.Submit(ctx, client, 3, engine.Pool("worker")), 9)
	if elsewhere.Status() != engine.Pending {
		t.Errorf("status %v without a worker of the pool", elsewhere.Status())
	}
	if err := elsewhere.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	wantTaskError(t, elsewhere, engine.FailCancelled)
}

// What this program cannot use any more is gone after its consumers, and not before.
func TestLoose(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	client, ctx := c.Client(), t.Context()
	used := func(done, bytes uint64) func() bool {
		return func() bool {
			runtime.GC()
			workers, err := client.Workers(ctx)
			return err == nil && workers[0].Done == done && workers[0].MemoryUsed >= bytes && (bytes > 0 || workers[0].MemoryUsed == 0)
		}
	}
	in := blobOf{Fill: 1, Size: 1 << 20}
	one := blob.Submit(ctx, client, in, engine.Loose())
	loose := []engine.Ref[[]byte]{one.Ref()}
	for range 3 {
		loose = append(loose, blob.Submit(ctx, client, in, engine.Loose()).Ref())
	}
	refs, err := blob.Map(ctx, client, slices.Values([]blobOf{in, in}), engine.Loose()).Refs(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	loose = append(loose, refs...)
	want(t, weigh.Submit(ctx, client, loose), map[byte]int{1: 6 << 20})
	eventually(t, "all are done", used(7, 6<<20))
	// A consumer that comes late finds them.
	want(t, weigh.Submit(ctx, client, loose[:1]), map[byte]int{1: 1 << 20})
	want(t, weigh.Submit(ctx, client, refs[1:]), map[byte]int{1: 1 << 20})
	runtime.KeepAlive(loose)
	loose, refs = nil, nil
	eventually(t, "one is held", func() bool {
		workers, err := client.Workers(ctx)
		runtime.GC()
		return err == nil && workers[0].MemoryUsed >= 1<<20 && workers[0].MemoryUsed < 2<<20
	})
	want(t, weigh.Submit(ctx, client, []engine.Ref[[]byte]{one.Ref()}), map[byte]int{1: 1 << 20})
	one = nil
	eventually(t, "nothing is held", used(10, 0))
}

// A named job does not keep loose results when its client leaves.
func TestLooseEndsWithClient(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	first, second, ctx := c.Client(), c.Client(), t.Context()
	job, err := first.Job(ctx, "nightly")
	if err != nil {
		t.Fatal(err)
	}
	in := blobOf{Fill: 1, Size: 1 << 20}
	loose := blob.Submit(ctx, first, in, engine.InJob(job), engine.Loose())
	kept := blob.Submit(ctx, first, in, engine.InJob(job))
	<-loose.Done()
	<-kept.Done()
	must(t, first.Close())
	eventually(t, "one is held", func() bool {
		workers, err := second.Workers(ctx)
		return err == nil && workers[0].MemoryUsed >= 1<<20 && workers[0].MemoryUsed < 2<<20
	})
	runtime.KeepAlive(loose)
}
