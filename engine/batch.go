package engine

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// Batch is the tasks of one Map or MapRange, numbered from 0 in the order of the inputs.
// It is safe for concurrent use.
//
// In the unnamed job a Batch is read once: All, Completed and Gather let go of each
// result that they have given, some at a time, so that a Map over millions of inputs
// keeps no more than [Window] anywhere. Results of which At or Refs gave a Future or a
// Ref before are kept, and so are failures, for Retry; what was not reached is kept as
// well. Reading a result again is an [ErrReleased]. [ReadOnce] has it otherwise, and
// in a job with a name results are kept unless it says so.
type Batch[T any] struct {
	kind *kind[T]
	job  *client.Job
	keep *codec.Hold // of a loose one

	mu       sync.Mutex
	n        int // tasks so far
	tasks    *tasks
	errs     map[int]error // of those that could not be submitted
	ended    graph.Log     // tasks in the order of ending
	over     bool          // no more tasks will come
	err      error         // why they stopped coming before the inputs did
	readOnce bool
	given    map[int]struct{} // tasks of which there are Futures
	// changed is closed at the next change of any of this; nil when nobody waits.
	changed chan struct{}
}

// tasks are some of a job.
type tasks struct {
	job   *client.Job
	spans []span // in order
}

// span is a run of tasks that follow one another in batch and job.
type span struct {
	at    int // in the batch
	index uint32
	n     int
}

func (t *tasks) runs() []graph.Run {
	out := make([]graph.Run, len(t.spans))
	for k, s := range t.spans {
		out[k] = graph.Run{Job: t.job.ID(), First: s.index, N: uint32(s.n)}
	}
	return out
}

// keep returns what is to be reachable as long as the tasks are of use here. When it
// is not any more they are released.
func keep(t *tasks) *codec.Hold {
	h := new(codec.Hold)
	runtime.AddCleanup(h, func(t *tasks) { t.job.ReleaseRuns(t.runs()...) }, t)
	return h
}

// begin prepares for tasks of a job.
func (b *Batch[T]) begin(s *submission) {
	b.job, b.tasks, b.readOnce = s.job, &tasks{job: s.job}, s.readOnce
	if s.loose {
		b.keep = keep(b.tasks)
	}
}

// notify wakes who waits. Called with b.mu.
func (b *Batch[T]) notify() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// wait is await of who has nothing else to do.
func (b *Batch[T]) wait(ctx context.Context, ok func() bool) error {
	b.mu.Lock()
	there, job := ok(), b.job
	b.mu.Unlock()
	if there || job == nil {
		return b.await(ctx, ok)
	}
	defer job.Client().Wait()()
	return b.await(ctx, ok)
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
func (b *Batch[T]) Ended(tags []uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range tags {
		b.ended.Add(i)
	}
	b.notify()
}

// EndedRun is Ended for the tasks of a range.
func (b *Batch[T]) EndedRun(first, n uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended.AddRun(first, n)
	b.notify()
}

// room reports whether another task may be submitted. Called with b.mu.
func (b *Batch[T]) room(window int) bool { return b.n-b.ended.Len() < window }

// add counts a task that was submitted, and reports whether there is room for more.
func (b *Batch[T]) add(index uint32, window int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tasks
	if k := len(t.spans) - 1; k >= 0 && t.spans[k].at+t.spans[k].n == b.n && t.spans[k].index+uint32(t.spans[k].n) == index {
		t.spans[k].n++
	} else {
		t.spans = append(t.spans, span{at: b.n, index: index, n: 1})
	}
	b.n++
	b.notify()
	return b.room(window)
}

// reject counts a task that could not be submitted.
func (b *Batch[T]) reject(err error, window int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.errs == nil {
		b.errs = map[int]error{}
	}
	b.errs[b.n] = err
	b.ended.Add(uint32(b.n))
	b.n++
	b.notify()
	return b.room(window)
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

// At returns the future of task i, of those that there are: its result is kept until
// it is released. It panics beyond.
func (b *Batch[T]) At(i int) *Future[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < 0 || i >= b.n {
		panic("engine: Batch.At beyond the tasks submitted so far")
	}
	if b.readOnce {
		if b.given == nil {
			b.given = map[int]struct{}{}
		}
		b.given[i] = struct{}{}
	}
	f := b.at(i)
	if b.keep != nil && f.rare == nil {
		f.rare = &rare{keep: b.keep}
	}
	return &f
}

// future returns the future of task i for use here.
func (b *Batch[T]) future(i int) Future[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at(i)
}

// at does it. Called with b.mu.
func (b *Batch[T]) at(i int) Future[T] {
	f := Future[T]{job: b.job, kind: b.kind}
	if err := b.errs[i]; err != nil {
		f.rare = &rare{err: err}
		return f
	}
	k, found := slices.BinarySearchFunc(b.tasks.spans, i, func(s span, i int) int { return s.at - i })
	if !found {
		k--
	}
	f.index = b.tasks.spans[k].index + uint32(i-b.tasks.spans[k].at)
	return f
}

// Submitted waits until the inputs are exhausted and all tasks are with the
// scheduler, and returns how many there are. From then on a named job goes on
// without this program.
func (b *Batch[T]) Submitted(ctx context.Context) (int, error) {
	if err := b.wait(ctx, func() bool { return b.over }); err != nil {
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
	if k >= b.ended.Len() || int(b.ended.At(k)) >= b.n {
		return 0, false
	}
	return int(b.ended.At(k)), true
}

func (b *Batch[T]) waitEnded(ctx context.Context, k int) (more bool, err error) {
	err = b.wait(ctx, func() bool {
		_, more = b.endedLocked(k)
		return more || (b.over && k >= b.n)
	})
	return more, err
}

// All yields the results in the order of the inputs, as they come. The error beside
// each is that task's; the others follow. If ctx ends, or the inputs could not all be
// submitted, that error is the last.
func (b *Batch[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return b.results(ctx, b.inOrder(), letGoAtOnce)
}

// inOrder goes through the tasks in the order of the inputs.
func (b *Batch[T]) inOrder() order {
	return order{
		ready: func(k int) (int, bool) {
			if k >= b.Len() {
				return 0, false
			}
			f := b.future(k)
			_, ended := f.peek()
			return k, ended
		},
		wait: func(ctx context.Context, k int) (bool, error) {
			if err := b.wait(ctx, func() bool { return b.over || k < b.n }); err != nil || k >= b.Len() {
				return false, err
			}
			f := b.future(k)
			if _, ended := f.peek(); !ended {
				defer b.job.Client().Wait()()
			}
			select {
			case <-f.Done():
				return true, nil
			case <-ctx.Done():
				return false, context.Cause(ctx)
			}
		},
	}
}

// Completed yields the results in the order in which the tasks end; otherwise like
// All. To know which task a result is of, use InOrderOfEnding.
func (b *Batch[T]) Completed(ctx context.Context) iter.Seq2[T, error] {
	return b.results(ctx, order{ready: b.endedAt, wait: b.waitEnded}, letGoAtOnce)
}

// Gather waits for all tasks and returns their results in the order of the inputs.
// The first error, in that order, is returned instead as soon as it is known, and all
// results are kept.
func (b *Batch[T]) Gather(ctx context.Context) ([]T, error) {
	var out []T
	for v, err := range b.results(ctx, b.inOrder(), 0) {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	read := make([]int, len(out))
	for i := range read {
		read[i] = i
	}
	b.letGo(read)
	return out, nil
}

// Refs waits until all tasks are submitted, not until they end, and returns the
// promises of their results, all of which are kept from then on.
func (b *Batch[T]) Refs(ctx context.Context) ([]Ref[T], error) {
	if err := b.wait(ctx, func() bool { return b.over }); err != nil {
		return nil, err
	}
	if b.err != nil {
		return nil, b.err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readOnce = false
	refs := make([]Ref[T], b.n)
	for i := range refs {
		f := b.at(i)
		if b.keep != nil && f.rare == nil {
			f.rare = &rare{keep: b.keep}
		}
		refs[i] = f.Ref()
	}
	return refs, nil
}

// runs returns where the tasks submitted so far are in the job.
func (b *Batch[T]) runs() []graph.Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tasks == nil {
		return nil
	}
	return b.tasks.runs()
}

// Cancel ends the tasks submitted so far that have not ended, and what depends on
// them.
func (b *Batch[T]) Cancel(ctx context.Context) error {
	if runs := b.runs(); len(runs) > 0 {
		return b.job.CancelRuns(ctx, runs...)
	}
	return nil
}

// Release lets go of all tasks submitted so far: see Future.Release.
func (b *Batch[T]) Release() {
	if runs := b.runs(); len(runs) > 0 {
		b.job.ReleaseRuns(runs...)
	}
}
