package server

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

func ranged(job, first, n uint32) *wire.Request {
	r := &graph.Range{Run: graph.Run{Job: graph.JobID(job), First: first, N: n}, Payload: []byte("p"), Base: -3}
	return &wire.Request{Body: &wire.Request_SubmitRange{SubmitRange: wire.RangeToWire(r)}}
}

func cancelRun(job, first, n uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Cancel{Cancel: &wire.Cancel{Job: job, From: []uint32{first}, Count: []uint32{n}}}}
}

func releaseRun(job, first, n uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Release{Release: &wire.Release{Job: job, From: []uint32{first}, Count: []uint32{n}}}}
}

func getTask(job, index uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_GetTask{GetTask: &wire.GetTask{Job: job, Index: index}}}
}

// Each task of a range comes with its own number behind what all begin with, and ends
// like any other.
func TestRange(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	const n = 10_000
	cl.tasks(job, 0, 2)
	cl.call(ranged(job, 2, n))
	cl.call(ranged(job, 2, n)) // the acknowledgement was lost
	cl.refused(ranged(job, 2, n+1), wire.Conflict)
	cl.refused(ranged(job, n+2, 0), wire.Invalid)
	undeclared := ranged(job, n+2, 1)
	undeclared.GetSubmitRange().Class = 1
	cl.refused(undeclared, wire.Invalid)
	cl.tasks(job, n+2, 1)
	f, actor := &graph.Class{Name: "f", Kind: graph.KindGo}, &graph.Class{Name: "a", Kind: graph.KindGo, Actor: true}
	cl.call(classes(job, f, actor))
	ofActors := ranged(job, n+3, 1)
	ofActors.GetSubmitRange().Class = 1
	cl.refused(ofActors, wire.Invalid)

	var mu sync.Mutex
	wrong := 0
	c.autoWorker("w", 2, func(a wire.Assignment) []byte {
		want := codec.AppendInt([]byte("p"), int64(a.Task.Index)-2-3)
		if i := a.Task.Index; (i >= 2 && i < n+2) && string(a.Payload) != string(want) {
			mu.Lock()
			wrong++
			mu.Unlock()
		}
		return a.Payload
	})
	seen := map[uint32]bool{}
	for _, o := range cl.outcomes(watch, n+3) {
		seen[o.Task.Index] = o.Failure == nil
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != n+3 || wrong > 0 {
		t.Errorf("%d outcomes, %d payloads are wrong", len(seen), wrong)
	}
	for o := range cl.call(locate(job, n)).GetEnded().Outcomes {
		if want := codec.AppendInt([]byte("p"), n-2-3); string(o.Inline) != string(want) {
			t.Errorf("outcome %+v", o)
		}
	}
	if d := cl.call(getTask(job, n)).GetTask(); d.State != "done" || d.Class != "f" {
		t.Errorf("task %v", d)
	}
}

// A range costs next to nothing before its tasks begin, also when it is cancelled,
// released, or its job closed.
func TestRangeIsSmall(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	const n = 1 << 30
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	cl.call(ranged(job, 0, n))
	if info := cl.call(openByID(job)).GetJob(); info.Tasks != n || info.Ready != n {
		t.Errorf("job %v", info)
	}
	if rows := cl.call(&wire.Request{Body: &wire.Request_ListTasks{ListTasks: &wire.ListTasks{Job: job, From: n - 3}}}).GetTasks(); len(rows.Index) != 3 || rows.State[0] != "ready" {
		t.Errorf("tasks %v", rows)
	}
	cl.call(cancelRun(job, n-10_000, 10_000))
	for _, o := range cl.outcomes(watch, 10_000) {
		if f := o.Failure; o.Task.Index < n-10_000 || f == nil || f.Kind != graph.FailCancelled || !strings.Contains(f.Message, "cancelled") {
			t.Fatalf("outcome %+v", o)
		}
	}
	if d := cl.call(getTask(job, n-5_000)).GetTask(); d.State != "cancelled" || d.Failure == nil || d.EndedMs == 0 {
		t.Errorf("task %v", d)
	}
	_, again := cl.start(watchFrom(job, 5_000))
	if first := cl.outcomes(again, 5_000)[0]; first.Task.Index != n-5_000 {
		t.Errorf("position 5,000 is %v", first.Task)
	}
	cl.start(releaseRun(job, 0, n/2))
	if info := cl.call(openByID(job)).GetJob(); info.Ready != n/2-10_000 || info.Done != n/2 || info.Cancelled != 10_000 {
		t.Errorf("job %v", info)
	}
	if after := heap(); after > before+100<<20 {
		t.Errorf("the heap grew by %d MiB", (after-before)>>20)
	}
	cl.call(closeJob(job))
	cl.refused(openByID(job), wire.NotFound)
}

// What would make rows of too many tasks is refused where memory is bounded.
func TestRangeMemory(t *testing.T) {
	c := start(t, Options{Memory: 512 << 20})
	cl := c.client("alice", "")
	job := cl.newJob("")
	const n = 1 << 26 // rows of all would take gigabytes
	cl.call(ranged(job, 0, n))
	b := batch(job, n, 1)
	var apart []uint32
	for i := uint32(0); i < n; i += 4096 {
		b.Deps = append(b.Deps, task(job, i))
		apart = append(apart, i)
	}
	b.DepEnd = []uint32{uint32(len(b.Deps))}
	cl.refused(submit(b), wire.TooLarge)
	cl.refused(cancel(job, apart...), wire.TooLarge)
	cl.refused(&wire.Request{Body: &wire.Request_Release{Release: &wire.Release{Job: job, Index: apart}}}, wire.TooLarge)
	b.Deps, b.DepEnd = b.Deps[:4], []uint32{4}
	cl.call(submit(b))
	cl.call(cancel(job, apart[:4]...))
	if info := cl.call(openByID(job)).GetJob(); info.Cancelled != 4 || info.Failed != 1 {
		t.Errorf("job %v", info)
	}
}
