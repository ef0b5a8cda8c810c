package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// residentSpec is the Spec of the class of an actor that keeps its slots.
var residentSpec = []byte("resident")

const (
	// linger is how long an actor keeps its slots after a call, for the next one: to give
	// them up and to have them again costs more than a small call does.
	linger = 2 * time.Millisecond
	// aheadTime is how long calls may take that are sent to an actor ahead of their turn: as
	// many are, 64 at most. If its process dies they are all cut off; so they go back when a
	// method takes longer.
	aheadTime = 2 * time.Millisecond
	maxAhead  = 64
)

// actor is the run of one.
type actor[S any] struct {
	name    string
	call    *executor.Call
	client  *client.Client
	state   S
	methods *methods[S]
	calls   *client.Serving
	pace    time.Duration // what a call takes, about
	wait    *time.Timer   // of linger
	slow    *time.Timer   // of aheadTime, while a method runs
}

// live makes an actor's state and serves its calls until it ends.
func live[S any](ctx context.Context, call *executor.Call, m *methods[S], create func(context.Context) (S, error)) error {
	c, err := Inside(ctx)
	if err != nil {
		return err
	}
	a := &actor[S]{name: call.Name, call: call, client: c.c, methods: m, pace: aheadTime, wait: time.NewTimer(time.Hour)}
	defer a.wait.Stop()
	if a.state, err = create(ctx); err != nil {
		return err
	}
	if a.calls, err = c.c.Serve(); err != nil {
		return err
	}
	a.slow = time.AfterFunc(time.Hour, a.calls.Slow)
	defer a.slow.Stop()
	broken, err := a.serve(ctx)
	if end, ok := any(a.state).(io.Closer); ok && !broken {
		if closing := end.Close(); closing != nil {
			err = fmt.Errorf("%w; its Close: %w", err, closing)
		}
	}
	return err
}

// serve answers calls until the actor has to end, and returns why, and whether its state
// is not to be trusted.
func (a *actor[S]) serve(ctx context.Context) (broken bool, _ error) {
	for {
		within, cancel := context.WithCancelCause(ctx)
		d, err := a.next(ctx, func() { cancel(errNobody) })
		if err != nil {
			cancel(err)
			return false, err
		}
		start := time.Now()
		a.slow.Reset(aheadTime)
		data, failure := a.run(within, d)
		a.slow.Stop()
		cancel(nil)
		if failure != nil && failure.Stack != "" {
			a.calls.Last(ctx, failure)
			return true, &graph.Failure{Kind: FailUser, Message: a.name + "." + d.Method + ": " + failure.Message, Stack: failure.Stack}
		}
		a.pace += (time.Since(start) - a.pace) / 4
		a.calls.Answer(data, failure, int(min(aheadTime/max(a.pace, 1), maxAhead)))
	}
}

var errNobody = errors.New("nobody waits for the answer any more")

// next waits for a call. stop is called when nobody waits for that one any more.
func (a *actor[S]) next(ctx context.Context, stop func()) (*wire.Delivered, error) {
	if d, err := a.poll(ctx, stop); d != nil || err != nil {
		return d, err
	}
	if string(a.call.Spec) != string(residentSpec) {
		a.wait.Reset(linger)
		select {
		case <-a.calls.News():
			return a.next(ctx, stop)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-a.wait.C:
		}
		defer a.client.Wait()()
	}
	for {
		select {
		case <-a.calls.News():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if d, err := a.poll(ctx, stop); d != nil || err != nil {
			return d, err
		}
	}
}

// poll returns a call that is here.
func (a *actor[S]) poll(ctx context.Context, stop func()) (*wire.Delivered, error) {
	d, err := a.calls.Next(stop)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, client.ErrLeave):
		a.calls.Last(ctx, nil)
		return nil, &graph.Failure{Kind: graph.FailMoved, Message: err.Error()}
	}
	return d, err
}

// run runs a method.
func (a *actor[S]) run(ctx context.Context, d *wire.Delivered) (data []byte, f *graph.Failure) {
	failure := func(k FailKind, format string, args ...any) *graph.Failure {
		return &graph.Failure{Kind: k, Message: fmt.Sprintf(format, args...), Task: a.call.Task, Attempt: a.call.Attempt, Host: a.call.Host}
	}
	defer func() {
		if what := recover(); what != nil {
			data, f = nil, failure(FailUser, "panic: %v", what)
			f.Stack = string(debug.Stack())
		}
	}()
	fn := a.methods.find(d.Method)
	if fn == nil {
		return nil, failure(FailSetup, "%s has no method %q in the program that the actor runs: use the same version on both sides", a.name, d.Method)
	}
	data, err := fn(ctx, a.state, d.Payload)
	switch _, arg := errors.AsType[argError](err); {
	case arg:
		return nil, failure(FailSetup, "%v", err)
	case err != nil:
		return nil, failure(FailUser, "%v", err)
	case len(data) > client.MaxCall:
		return nil, failure(FailMemory, "the answer is of %d bytes, and may be of %d: keep it in a job with a name, give it a name by Publish, and answer with that", len(data), client.MaxCall)
	}
	return data, nil
}

// Checkpoint keeps a value of at most 1 MiB for the restart of the actor within whose
// method, or function, it is called: there [Restored] gives it to the function that makes
// the new state. It is kept by the scheduler when Checkpoint returns, before the method
// answers: a call that is cut off between the two has been done as far as the checkpoint
// says. The last one counts. It goes when the actor ends.
func Checkpoint[T any](ctx context.Context, v T) error {
	of, err := codec.For[T]()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if of.HasRefs() {
		return fmt.Errorf("checkpoint: type %s holds Refs, which may not live as long", of.Type())
	}
	data, _, err := of.Append(nil, nil, v)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if len(data) > client.MaxCall {
		return fmt.Errorf("checkpoint of %d bytes: %w: it may be of %d; keep what is larger in files, and their names in the checkpoint", len(data), ErrTooLarge, client.MaxCall)
	}
	c, err := Inside(ctx)
	if err != nil {
		return err
	}
	return c.c.Checkpoint(ctx, data)
}

// Restored returns the value of the last [Checkpoint] of the actor whose function gets
// ctx; ok is false when there was none. The error is [ErrMismatch] when it is of another
// type.
func Restored[T any](ctx context.Context) (v T, ok bool, err error) {
	of, err := codec.For[T]()
	if err != nil {
		return v, false, fmt.Errorf("restore: %w", err)
	}
	c, err := Inside(ctx)
	if err != nil {
		return v, false, err
	}
	data, ok, err := c.c.Restored(ctx)
	if err != nil || !ok {
		return v, false, err
	}
	if v, err = of.Decode(data, true); err != nil {
		return v, false, fmt.Errorf("restore: %w", err)
	}
	return v, true, nil
}
