package engine

import (
	"context"
	"iter"
	"sync"
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

// fetched is a result that is on its way.
type fetched[T any] struct {
	value T
	err   error
	done  chan struct{} // nil: it is here
}

// results goes through a batch. Of the tasks that have ended, the next few results
// are fetched at once; nothing that is here waits for a task that has not ended.
func (b *Batch[T]) results(ctx context.Context, o order) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		fetch, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		var queue []*fetched[T]
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
			queue = queue[1:]
			if next.done != nil {
				<-next.done
			}
			if !yield(next.value, next.err) || ctx.Err() != nil && next.err != nil {
				return
			}
		}
	}
}

// start begins to fetch the result of task i, which has ended. Small ones are here
// already.
func (b *Batch[T]) start(ctx context.Context, i int, running *sync.WaitGroup) *fetched[T] {
	f := b.At(i)
	r := &fetched[T]{}
	if f.here() {
		r.value, r.err = f.Result(ctx)
		return r
	}
	r.done = make(chan struct{})
	running.Go(func() {
		defer close(r.done)
		r.value, r.err = f.Result(ctx)
	})
	return r
}

// here reports whether Result would return at once.
func (f *Future[T]) here() bool {
	if f.err != nil {
		return true
	}
	out := f.job.Peek(f.index)
	return out != nil && (out.Err != nil || out.Failure != nil || out.IsInline())
}
