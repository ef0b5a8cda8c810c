package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/shuffle"
)

// leafIn is what a leaf has to do: to mark that it ran, to take its time.
type leafIn struct {
	Marks  string
	Index  int
	Micros int
}

// drawn is a number that is another one whenever it is drawn.
var drawn = engine.Define("drawn", func(_ context.Context, in leafIn) (uint64, error) {
	if err := mark(in); err != nil {
		return 0, err
	}
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	return binary.LittleEndian.Uint64(b[:]), nil
})

// leaf is a number of which anybody knows what it is.
var leaf = engine.Define("leaf", func(_ context.Context, in leafIn) (uint64, error) { return valueOf(in.Index), mark(in) })

// fields are a result of 64 KiB, which stays with its worker.
var fields = engine.Define("fields", func(_ context.Context, in leafIn) ([]byte, error) {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte(in.Index + i)
	}
	return b, mark(in)
})

// sum adds up.
var sum = engine.Define("sum", func(_ context.Context, in []engine.Ref[uint64]) (total uint64, err error) {
	for _, r := range in {
		v, _ := r.Get()
		total += v
	}
	return total, nil
})

// digits counts how often each last digit comes in runs of numbers.
var digits = shuffle.Define("digits", shuffle.Spec[int64, int64]{
	Key: shuffle.Int64, Value: shuffle.Int64, Combine: func(a, b int64) int64 { return a + b },
}, func(_ context.Context, from int, out *shuffle.Emitter[int64, int64]) error {
	for i := from; i < from+1000; i++ {
		if err := out.Emit(int64(i%10), 1); err != nil {
			return err
		}
	}
	return nil
}, func(_ context.Context, p shuffle.Part[struct{}], groups *shuffle.Groups[int64, int64]) (map[int64]int64, error) {
	counts := map[int64]int64{}
	for digit, n := range groups.Combined() {
		counts[digit] += n
	}
	return counts, groups.Err()
})

func valueOf(i int) uint64 { return uint64(i)*0x9e3779b97f4a7c15 ^ uint64(i)>>3 }

// mark notes that a task runs, and lets it take its time.
func mark(in leafIn) error {
	f, err := os.OpenFile(in.Marks, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	time.Sleep(time.Duration(in.Micros) * time.Microsecond)
	_, err = f.Write([]byte{'x'})
	return err
}

// jobs is the work that goes on while faults are done.
type jobs struct {
	w    *world
	wg   sync.WaitGroup
	over atomic.Bool // the present round is the last one

	mu            sync.Mutex
	err           error
	rounds        int
	tasks         int64 // acknowledged, of those that leave marks
	lost, changed int
}

func (w *world) startWork(ctx context.Context) *jobs {
	j := &jobs{w: w}
	for _, kind := range []func(context.Context, int) error{j.told, j.graph, j.large, j.shuffled} {
		j.wg.Go(func() {
			for n := 0; !j.over.Load(); n++ {
				if err := kind(ctx, n); err != nil {
					j.mu.Lock()
					j.err = errors.Join(j.err, err)
					j.mu.Unlock()
					return
				}
				j.mu.Lock()
				j.rounds++
				j.mu.Unlock()
			}
		})
	}
	return j
}

func (j *jobs) last() { j.over.Store(true) }

func (j *jobs) wait() error {
	j.wg.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// count hands over what came of the work.
func (j *jobs) count(t *table, w *world) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t.rounds, t.tasks, t.lost, t.changed = j.rounds, j.tasks, j.lost, j.changed
	if info, err := os.Stat(w.marks); err == nil {
		t.runs = info.Size()
	}
}

func (j *jobs) acknowledged(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tasks += int64(n)
}

// lose counts that what was acknowledged has no result, unless the run was interrupted.
func (j *jobs) lose(ctx context.Context, what string, err error) error {
	if ctx.Err() == nil {
		j.mu.Lock()
		j.lost++
		j.mu.Unlock()
	}
	return fmt.Errorf("%s: %w", what, err)
}

// differs counts that a result is not what it must be.
func (j *jobs) differs() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changed++
}

// inputs are n leaves.
func (j *jobs) inputs(n, micros int) func(func(leafIn) bool) {
	return func(yield func(leafIn) bool) {
		for i := range n {
			if !yield(leafIn{j.w.marks, i, micros}) {
				return
			}
		}
	}
}

// told has numbers drawn in a named job, reads them, and reads them once more by another
// client when more faults have been done: they must be the same.
func (j *jobs) told(ctx context.Context, round int) error {
	const n = 500
	job, err := j.w.app.Job(ctx, fmt.Sprint("told-", round))
	if err != nil {
		return err
	}
	b := drawn.Map(ctx, j.w.app.Client, j.inputs(n, 20_000), engine.InJob(job))
	if _, err := b.Submitted(ctx); err != nil {
		return err
	}
	j.acknowledged(n)
	first, err := b.Gather(ctx)
	if err != nil {
		return j.lose(ctx, "numbers drawn", err)
	}
	names := make([]string, 10)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", job.Name(), i)
		if err := engine.Publish(ctx, j.w.app.Client, names[i], b.At(i*n/len(names))); err != nil {
			return err
		}
	}
	report, err := j.w.edge.Find(ctx, j.w.id)
	if err != nil {
		return err
	}
	other, err := yarnd.Attach(ctx, j.w.edge, report, true)
	if err != nil {
		return err
	}
	defer other.Close()
	for i, name := range names {
		f, err := engine.Lookup[uint64](ctx, other.Client, name)
		if err != nil {
			return j.lose(ctx, "the name of a number that was told", err)
		}
		v, err := f.Result(ctx)
		if err != nil {
			return j.lose(ctx, "a number that was told", err)
		}
		if v != first[i*n/len(names)] {
			j.differs()
		}
		if err := other.Unpublish(ctx, name); err != nil {
			return err
		}
	}
	return job.Close(ctx)
}

// graph adds up a large tree, whose sum is known.
func (j *jobs) graph(ctx context.Context, _ int) error {
	n, want := j.w.o.tasks, uint64(0)
	for i := range n {
		want += valueOf(i)
	}
	b := leaf.Map(ctx, j.w.app.Client, j.inputs(n, 0))
	level, err := b.Refs(ctx)
	if err != nil {
		return err
	}
	j.acknowledged(n)
	defer b.Release()
	for len(level) > 1 {
		up := sum.Map(ctx, j.w.app.Client, slices.Chunk(level, 10))
		defer up.Release()
		if level, err = up.Refs(ctx); err != nil {
			return err
		}
		if len(level) > 1 {
			continue
		}
		got, err := up.At(0).Result(ctx)
		if err != nil {
			return j.lose(ctx, fmt.Sprintf("the sum of %d numbers", n), err)
		}
		if got != want {
			j.differs()
		}
	}
	return nil
}

// large has results that stay with workers, and reads them.
func (j *jobs) large(ctx context.Context, _ int) error {
	const n = 300
	b := fields.Map(ctx, j.w.app.Client, j.inputs(n, 10_000))
	if _, err := b.Submitted(ctx); err != nil {
		return err
	}
	j.acknowledged(n)
	all, err := b.Gather(ctx)
	if err != nil {
		return j.lose(ctx, "large results", err)
	}
	for i, data := range all {
		if len(data) != 64<<10 || data[0] != byte(i) || data[777] != byte(i+777) {
			j.differs()
		}
	}
	b.Release()
	return nil
}

// shuffled counts digits by a shuffle.
func (j *jobs) shuffled(ctx context.Context, _ int) error {
	const maps = 40
	from := make([]int, maps)
	for i := range from {
		from[i] = i * 1000
	}
	run := digits.Run(ctx, j.w.app.Client, from, struct{}{}, shuffle.Hash(4))
	defer run.Release()
	parts, err := run.Results(ctx)
	if err != nil {
		return j.lose(ctx, "shuffle", err)
	}
	seen := 0
	for _, counts := range parts {
		for _, c := range counts {
			seen++
			if c != maps*100 {
				j.differs()
			}
		}
	}
	if seen != 10 {
		j.differs()
	}
	return nil
}
