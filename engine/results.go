package engine

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/yarnd/yarnd/engine/client"
)

// ahead is how many large results are fetched at once while a batch is gone through.
const ahead = 8

// order says in which order tasks of a batch are gone through.
type order struct {
	// ready returns the k-th task if it has ended.
	ready func(k int) (i int, ok bool)
	// wait waits for that; more is false when there are no more tasks.
	wait func(ctx context.Context, k int) (more bool, err error)
}

// fetched is a result, which may be on its way.
type fetched[T any] struct {
	i     int
	value T
	err   error
	later *later[T] // nil: it is here
}

// later gets value and err before done is closed.
type later[T any] struct {
	value T
	err   error
	done  chan struct{}
}

// results goes through a batch. Of the tasks that have ended, the next few results
// are fetched at once; nothing that is here waits for a task that has not ended. What
// was read is let go of so many at once; 0 keeps it.
func (b *Batch[T]) results(ctx context.Context, o order, atOnce int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		fetch, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		var queue []fetched[T]
		var read []int // and not let go of yet
		defer func() { b.letGo(read) }()
		for k := 0; ; {
			for len(queue) < ahead {
				i, ok := o.ready(k)
				if !ok {
					break
				}
				queue = append(queue, b.start(fetch, i, &running))
				k++
			}
			if len(queue) == 0 {
				more, err := o.wait(ctx, k)
				if err != nil {
					yield(zero, err)
					return
				}
				if !more {
					if b.err != nil { // it does not change any more
						yield(zero, b.err)
					}
					return
				}
				continue
			}
			next := queue[0]
			queue = slices.Delete(queue, 0, 1)
			if next.later != nil {
				<-next.later.done
				next.value, next.err = next.later.value, next.later.err
			}
			more := yield(next.value, next.err)
			if next.err == nil && atOnce > 0 {
				if read = append(read, next.i); len(read) == atOnce {
					b.letGo(read)
					read = read[:0]
				}
			}
			if !more || ctx.Err() != nil && next.err != nil {
				return
			}
		}
	}
}

// start begins to fetch the result of task i, which has ended. Small ones are here
// already.
func (b *Batch[T]) start(ctx context.Context, i int, running *sync.WaitGroup) fetched[T] {
	f := b.future(i)
	r := fetched[T]{i: i}
	if out, ok := f.peek(); ok && (f.rare != nil || out.Err != nil || out.Failure != nil || out.IsInline()) {
		if f.rare == nil && out.Err == nil && out.Failure == nil {
			r.value, r.err = f.kind.codec.Decode(out.Inline, false)
		} else {
			r.value, r.err = f.Result(ctx)
		}
		return r
	}
	l := &later[T]{done: make(chan struct{})}
	r.later = l
	running.Go(func() {
		defer close(l.done)
		l.value, l.err = f.Result(ctx)
	})
	return r
}

// peek returns the task's outcome if it has one; ok is true as well if it could not be
// submitted.
func (f *Future[T]) peek() (out client.Outcome, ok bool) {
	if f.err() != nil {
		return out, true
	}
	return f.job.Peek(f.index)
}

// letGoAtOnce is how many results that were read are released together.
const letGoAtOnce = 1024

// letGo releases results that were read, unless they are to be kept.
func (b *Batch[T]) letGo(read []int) {
	b.mu.Lock()
	var indices []uint32
	if b.readOnce {
		for _, i := range read {
			if _, given := b.given[i]; !given {
				f := b.at(i)
				indices = append(indices, f.index)
			}
		}
	}
	b.mu.Unlock()
	if len(indices) > 0 {
		b.job.Release(indices...)
	}
}
