package engine

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
)

// Batch is the tasks of one Map, numbered from 0 in the order of the inputs. It is
// safe for concurrent use.
type Batch[T any] struct {
	name  string
	codec *codec.Codec[T]
	job   *client.Job

	mu    sync.Mutex
	n     int           // tasks so far
	spans []span        // where they are in the job, in order
	errs  map[int]error // of those that could not be submitted
	ended []uint32      // tasks in the order of ending
	over  bool          // no more tasks will come
	err   error         // why they stopped coming before the inputs did
	// changed is closed at the next change of any of this; nil when nobody waits.
	changed chan struct{}
}

// span is a run of tasks that follow one another in batch and job.
type span struct {
	at    int // in the batch
	index uint32
	n     int
}

func newBatch[T any](name string, c *codec.Codec[T]) *Batch[T] {
	return &Batch[T]{name: name, codec: c}
}

// notify wakes who waits. Called with b.mu.
func (b *Batch[T]) notify() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// await waits until ok, which is called with b.mu.
func (b *Batch[T]) await(ctx context.Context, ok func() bool) error {
	for {
		b.mu.Lock()
		if ok() {
			b.mu.Unlock()
			return nil
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Ended is a client.Sink. A task counts as ended once, also when it is retried later.
func (b *Batch[T]) Ended(tag uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = append(b.ended, tag)
	b.notify()
}

// submitter submits one input as the task of that number.
type submitter func(tag uint32) (index uint32, err error)

// pull submits what comes, with at most window tasks that have not ended.
func (b *Batch[T]) pull(ctx context.Context, window int, inputs iter.Seq[submitter]) error {
	for submit := range inputs {
		if err := b.await(ctx, func() bool { return b.n-len(b.ended) < window }); err != nil {
			return err
		}
		index, err := submit(uint32(b.n)) // n changes here only
		if one, ok := errors.AsType[encodeError](err); ok {
			b.reject(one.error)
			continue
		}
		if err != nil {
			return err
		}
		b.add(index)
	}
	return nil
}

func (b *Batch[T]) add(index uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := len(b.spans) - 1; k >= 0 && b.spans[k].at+b.spans[k].n == b.n && b.spans[k].index+uint32(b.spans[k].n) == index {
		b.spans[k].n++
	} else {
		b.spans = append(b.spans, span{at: b.n, index: index, n: 1})
	}
	b.n++
	b.notify()
}

// reject counts a task that could not be submitted.
func (b *Batch[T]) reject(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.errs == nil {
		b.errs = map[int]error{}
	}
	b.errs[b.n] = err
	b.ended = append(b.ended, uint32(b.n))
	b.n++
	b.notify()
}

func (b *Batch[T]) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over, b.err = true, err
	b.notify()
}

// Len returns how many tasks there are so far.
func (b *Batch[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// At returns the future of task i, of those that there are. It panics beyond.
func (b *Batch[T]) At(i int) *Future[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < 0 || i >= b.n {
		panic("engine: Batch.At beyond the tasks submitted so far")
	}
	f := &Future[T]{job: b.job, codec: b.codec, name: b.name, err: b.errs[i]}
	if f.err == nil {
		k, found := slices.BinarySearchFunc(b.spans, i, func(s span, i int) int { return s.at - i })
		if !found {
			k--
		}
		f.index = b.spans[k].index + uint32(i-b.spans[k].at)
	}
	return f
}

// Submitted waits until the inputs are exhausted and all tasks are with the
// scheduler, and returns how many there are. From then on a named job goes on
// without this program.
func (b *Batch[T]) Submitted(ctx context.Context) (int, error) {
	if err := b.await(ctx, func() bool { return b.over }); err != nil {
		return b.Len(), err
	}
	if b.err != nil || b.job == nil {
		return b.Len(), b.err
	}
	return b.Len(), b.job.Flush(ctx)
}

// InOrderOfEnding yields the numbers of the tasks in the order in which they end, as they end.
// It stops early when ctx ends.
func (b *Batch[T]) InOrderOfEnding(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		for k := 0; ; k++ {
			more, err := b.waitEnded(ctx, k)
			if err != nil || !more {
				return
			}
			i, _ := b.endedAt(k)
			if !yield(i) {
				return
			}
		}
	}
}

// endedAt returns which task was the k-th to end, if that is known.
func (b *Batch[T]) endedAt(k int) (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endedLocked(k)
}

func (b *Batch[T]) endedLocked(k int) (int, bool) {
	// A task may end before it is counted here.
	if k >= len(b.ended) || int(b.ended[k]) >= b.n {
		return 0, false
	}
	return int(b.ended[k]), true
}

func (b *Batch[T]) waitEnded(ctx context.Context, k int) (more bool, err error) {
	err = b.await(ctx, func() bool {
		_, more = b.endedLocked(k)
		return more || (b.over && k >= b.n)
	})
	return more, err
}

// All yields the results in the order of the inputs, as they come. The error beside
// each is that task's; the others follow. If ctx ends, or the inputs could not all be
// submitted, that error is the last.
func (b *Batch[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return b.results(ctx, order{
		ready: func(k int) (int, bool) {
			return k, k < b.Len() && b.At(k).Status() != Pending
		},
		wait: func(ctx context.Context, k int) (bool, error) {
			if err := b.await(ctx, func() bool { return b.over || k < b.n }); err != nil || k >= b.Len() {
				return false, err
			}
			select {
			case <-b.At(k).Done():
				return true, nil
			case <-ctx.Done():
				return false, context.Cause(ctx)
			}
		},
	})
}

// Completed yields the results in the order in which the tasks end; otherwise like
// All. To know which task a result is of, use InOrderOfEnding.
func (b *Batch[T]) Completed(ctx context.Context) iter.Seq2[T, error] {
	return b.results(ctx, order{ready: b.endedAt, wait: b.waitEnded})
}

// Gather waits for all tasks and returns their results in the order of the inputs.
// The first error, in that order, is returned instead as soon as it is known.
func (b *Batch[T]) Gather(ctx context.Context) ([]T, error) {
	var out []T
	for v, err := range b.All(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Refs waits until all tasks are submitted, not until they end, and returns the
// promises of their results.
func (b *Batch[T]) Refs(ctx context.Context) ([]Ref[T], error) {
	if err := b.await(ctx, func() bool { return b.over }); err != nil {
		return nil, err
	}
	if b.err != nil {
		return nil, b.err
	}
	refs := make([]Ref[T], b.Len())
	for i := range refs {
		refs[i] = b.At(i).Ref()
	}
	return refs, nil
}

// indices returns where the tasks submitted so far are in the job.
func (b *Batch[T]) indices() []uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]uint32, 0, b.n)
	for _, s := range b.spans {
		for i := range s.n {
			out = append(out, s.index+uint32(i))
		}
	}
	return out
}

// Cancel ends the tasks submitted so far that have not ended, and what depends on
// them.
func (b *Batch[T]) Cancel(ctx context.Context) error {
	if indices := b.indices(); len(indices) > 0 {
		return b.job.Cancel(ctx, indices...)
	}
	return nil
}

// Release lets go of all tasks submitted so far: see Future.Release.
func (b *Batch[T]) Release() {
	if indices := b.indices(); len(indices) > 0 {
		b.job.Release(indices...)
	}
}
