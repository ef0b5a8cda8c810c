package engine

import (
	"context"
	"errors"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// Future is the result of a task, once it is there. It is safe for concurrent use,
// and small: a program may hold a million.
type Future[T any] struct {
	job   *client.Job // nil only with an error
	kind  *kind[T]
	index uint32
	rare  *rare // nil for most
}

// kind is what the futures of a task have in common.
type kind[T any] struct {
	codec *codec.Codec[T]
	name  string // "" for a future that was found again
}

// rare is what few futures have.
type rare struct {
	err  error       // it could not be submitted
	keep *codec.Hold // of a loose one
}

// err returns why the task could not be submitted.
func (f *Future[T]) err() error {
	if f.rare == nil {
		return nil
	}
	return f.rare.err
}

// Status is how far a task has come, as this client knows.
type Status uint8

const (
	Pending   Status = iota // submitted, not ended
	Done                    // there is a result
	Failed                  // Result tells why
	Cancelled               // by a client
	Released                // its result was let go of
)

var statusNames = [...]string{"pending", "done", "failed", "cancelled", "released"}

// String returns the status in one word.
func (s Status) String() string { return statusNames[s] }

// ID returns the task's id; its Job is 0 for one that could not be submitted. Within
// a named job, the index finds the future again: see [JobFuture].
func (f *Future[T]) ID() TaskID {
	if f.err() != nil {
		return TaskID{}
	}
	return TaskID{Job: f.job.ID(), Index: f.index}
}

// Name returns the name of the task's function or command; "" for a future that was
// found again.
func (f *Future[T]) Name() string { return f.kind.name }

// Result waits for the task and returns its result; without one, a [*TaskError] says
// why. It may be asked many times; a large result is fetched each time. When ctx
// ends, the wait ends and the task goes on.
//
// An answer that was given stays what it is. When a failed task is retried, by this
// program or another, a later Result waits for the new outcome, as soon as this client
// has heard of the retry; after Retry it has. Status and Done go back with it.
func (f *Future[T]) Result(ctx context.Context) (T, error) {
	var zero T
	if err := f.err(); err != nil {
		return zero, err
	}
	data, own, err := f.job.Result(ctx, f.index)
	if err != nil {
		return zero, f.public(err)
	}
	return f.kind.codec.Decode(data, own)
}

// public gives a failure its public form.
func (f *Future[T]) public(err error) error {
	if failure, ok := errors.AsType[*graph.Failure](err); ok {
		return taskError(failure, f.ID(), f.kind.name)
	}
	return err
}

var closed = func() <-chan struct{} { ch := make(chan struct{}); close(ch); return ch }()

// Done returns a channel that is closed when the task has ended, whichever way.
func (f *Future[T]) Done() <-chan struct{} {
	if f.err() != nil {
		return closed
	}
	return f.job.Done(f.index)
}

// OnDone has fn called once with what Result gives, when the task has ended, or soon if
// it has. fn runs on a goroutine of its own, and several may run at once: it may wait
// and may use the client. When the client ends before, fn gets that error.
func (f *Future[T]) OnDone(fn func(T, error)) {
	run := func() { fn(f.Result(context.Background())) } // Close ends the wait
	if f.err() != nil {
		go run()
		return
	}
	f.job.Notify(f.index, &callback{run}, 0)
}

// callback is a client.Sink that runs something once.
type callback struct{ run func() }

// Ended is called by the client's reader, which must not wait.
func (c *callback) Ended([]uint32) { go c.run() }

// Status tells how far the task has come. It does not ask the scheduler.
func (f *Future[T]) Status() Status {
	if f.err() != nil {
		return Failed
	}
	switch out, ok := f.job.Peek(f.index); {
	case !ok:
		return Pending
	case errors.Is(out.Err, ErrReleased):
		return Released
	case out.Failure != nil && out.Failure.Kind == FailCancelled:
		return Cancelled
	case out.Failure != nil || out.Err != nil:
		return Failed
	}
	return Done
}

// Cancel ends the task if it has not ended, and all tasks that depend on it. Their
// results are errors that are [ErrCancelled].
func (f *Future[T]) Cancel(ctx context.Context) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.job.Cancel(ctx, f.index)
}

// Retry has the task, which failed, run again, with all attempts that it is allowed:
// with it the failed tasks that it depends on, and those that failed because of these.
// A task that has not failed, was cancelled, or was let go of is an [ErrState].
func (f *Future[T]) Retry(ctx context.Context) error {
	if err := f.err(); err != nil {
		return err
	}
	_, err := f.job.Retry(ctx, f.index)
	return err
}

// Release lets go of the task: its result is freed unless another task, or a
// published name, still needs it; a task that nobody needs is not run. Who waits for
// the result gets [ErrReleased].
func (f *Future[T]) Release() {
	if f.err() == nil {
		f.job.Release(f.index)
	}
}

// Ref returns the promise of the result, for the inputs of other tasks.
func (f *Future[T]) Ref() Ref[T] {
	switch {
	case f.rare == nil:
		return codec.RefTo[T](f.ID())
	case f.rare.err != nil:
		return codec.RefErr[T](f.rare.err)
	}
	return codec.RefHeld[T](f.ID(), f.rare.keep)
}

// Ref is a value or the promise of one: see [codec.Ref]. As a part of a task's
// input, however deep, it is an edge of the graph.
type Ref[T any] = codec.Ref[T]

// Value returns a Ref that carries v itself.
func Value[T any](v T) Ref[T] { return codec.RefOf(v) }
