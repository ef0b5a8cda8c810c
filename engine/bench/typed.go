package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/executor"
)

// typedWork is the input of the benchmark's task as a program has it.
type typedWork struct {
	ID, US, Bytes uint64
	Deps          []engine.Ref[[]byte]
}

var (
	typedTask = engine.Define("bench-typed", runTypedTask)
	rangeTask = engine.Define("bench-range", func(_ context.Context, id uint64) ([]byte, error) {
		w := work{id: id}
		return w.run(nil), nil
	})
	trueTask = engine.Command([]string{"true"})
)

func runTypedTask(_ context.Context, in typedWork) ([]byte, error) {
	w := work{id: in.ID, us: in.US, bytes: in.Bytes}
	inputs := make([]uint64, len(in.Deps))
	for i, d := range in.Deps {
		v, err := valueOf(d.Value())
		if err != nil {
			return nil, err
		}
		inputs[i] = v
	}
	return w.run(inputs), nil
}

// runTyped runs a graph through the public package: by MapRange if that is asked for, by
// Map when no task needs another, otherwise by a Submit for each.
func (d *driver) runTyped(ctx context.Context) (*run, error) {
	job, err := d.typed.Unnamed(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{Tasks: d.w.source.len()}
	began := time.Now()
	var results iter.Seq2[[]byte, error]
	switch {
	case d.o.api == apiRange:
		results = engine.MapRange(ctx, d.typed, rangeTask, 0, uint64(r.Tasks)).Completed(ctx)
	case d.needsNothing():
		results = typedTask.Map(ctx, d.typed, d.inputs()).Completed(ctx)
	default:
		results = d.submitTyped(ctx)
	}
	for data, err := range results {
		if err != nil {
			return nil, err
		}
		v, err := valueOf(data)
		if err != nil {
			return nil, err
		}
		r.Sum += v
	}
	r.Wall = time.Since(began).Seconds()
	return r, job.Close(ctx)
}

func (d *driver) needsNothing() bool {
	for _, last := range d.uses {
		if last != 0 {
			return false
		}
	}
	return true
}

func (d *driver) inputs() iter.Seq[typedWork] {
	return func(yield func(typedWork) bool) {
		for i := range d.w.source.len() {
			t := d.w.source.at(i)
			if !yield(typedWork{ID: t.id, US: uint64(t.us), Bytes: t.bytes}) {
				return
			}
		}
	}
}

// submitTyped submits all tasks, and then yields the results that no task needs.
func (d *driver) submitTyped(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		src := d.w.source
		held := make([]*engine.Future[[]byte], src.len())
		var deps []uint32
		for i := range held {
			t := src.at(i)
			in := typedWork{ID: t.id, US: uint64(t.us), Bytes: t.bytes}
			deps = src.deps(i, deps[:0])
			for _, k := range deps {
				in.Deps = append(in.Deps, held[k].Ref())
			}
			held[i] = typedTask.Submit(ctx, d.typed, in)
			for _, k := range deps { // perhaps named twice
				if d.uses[k] == uint32(i) && held[k] != nil {
					held[k].Release()
					held[k] = nil
				}
			}
		}
		for _, f := range held {
			if f != nil && !yield(f.Result(ctx)) {
				return
			}
		}
	}
}

// commands runs the command true n times.
func (d *driver) commands(ctx context.Context, n int) (*run, error) {
	job, err := d.typed.Unnamed(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	items := func(yield func(string) bool) {
		for range n {
			if !yield("") {
				return
			}
		}
	}
	got := 0
	for res, err := range trueTask.Map(ctx, d.typed, items).Completed(ctx) {
		if err != nil {
			return nil, err
		}
		if err := exited(res); err != nil {
			return nil, err
		}
		got++
	}
	if got != n {
		return nil, fmt.Errorf("%d of %d commands ended", got, n)
	}
	return &run{Tasks: n, Wall: time.Since(began).Seconds()}, job.Close(ctx)
}

func exited(r executor.CommandResult) error {
	if r.Exit != 0 {
		return fmt.Errorf("the command true ended with %d", r.Exit)
	}
	return nil
}

// futures submits tasks and holds their futures until all have ended; what this
// process has grown by then is what they take.
func (d *driver) futures(ctx context.Context) (*run, error) {
	job, err := d.typed.Unnamed(ctx)
	if err != nil {
		return nil, err
	}
	heap, rss, err := memoryHere()
	if err != nil {
		return nil, err
	}
	n := d.o.tasks
	began := time.Now()
	held := make([]*engine.Future[[]byte], n)
	for i := range held {
		held[i] = typedTask.Submit(ctx, d.typed, typedWork{ID: uint64(i), Bytes: valueLen})
	}
	sum := uint64(0)
	for _, f := range held {
		data, err := f.Result(ctx)
		if err != nil {
			return nil, err
		}
		v, err := valueOf(data)
		if err != nil {
			return nil, err
		}
		sum += v
	}
	r := &run{Tasks: n, Wall: time.Since(began).Seconds(), Sum: sum}
	heapNow, rssNow, err := memoryHere()
	if err != nil {
		return nil, err
	}
	runtime.KeepAlive(held)
	r.HeapPerFuture = (heapNow - heap) / float64(n)
	r.RSSPerFuture = (rssNow - rss) / float64(n)
	return r, job.Close(ctx)
}

// memoryHere returns the bytes of this process's heap that are in use, after a
// collection, and its resident memory.
func memoryHere() (heap, rss float64, err error) {
	runtime.GC()
	runtime.GC() // what the first one's finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	resident, err := memoryOf(os.Getpid(), "VmRSS:")
	return float64(m.HeapAlloc), float64(resident), err
}
