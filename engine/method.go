package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// Errors of calls that callers ask for with errors.Is.
var (
	// ErrActorStopped: the actor was stopped, or its job was closed.
	ErrActorStopped = errors.New("the actor was stopped")
	// ErrActorFailed: the actor has ended, and is not restarted any more; a [*TaskError]
	// within tells why.
	ErrActorFailed = errors.New("the actor has failed")
	// ErrInterrupted: the call may have been done, or a part of it: the actor was
	// restarted while it was under way, or the connection broke as it was answered. Look
	// at what the actor's state says before you call again, or make the method
	// [Repeatable].
	ErrInterrupted = client.ErrInterrupted
	// ErrBusy: so much waits for the actor already that it takes no more: 10,000 calls,
	// or 16 MiB of them. Call again when some are answered.
	ErrBusy = client.ErrBusy
	// ErrSelfCall: a method calls the actor that it runs in, which would wait for itself.
	ErrSelfCall = client.ErrSelfCall
	// ErrTooLarge: a call's argument, an answer or a checkpoint is larger than 1 MiB. Large
	// arguments go by [Scatter], as Refs.
	ErrTooLarge = client.ErrTooLarge
)

// CallError is how a method failed: what it returned, or its panic. The actor lives on
// after an error, and is restarted after a panic. Its Error is one line; the verb %+v adds
// the stack.
type CallError struct {
	Actor   TaskID
	Method  string // with the name of the actor's kind: "counter.add"
	Message string
	Stack   string // of a panic; else ""
	Attempt int    // of the actor, from 1
	Host    string // on which it ran
	kind    FailKind
}

// Error returns one line.
func (e *CallError) Error() string {
	return fmt.Sprintf("%s of actor %s: %s", e.Method, e.Actor, e.Message)
}

// Panicked reports whether the method panicked.
func (e *CallError) Panicked() bool { return e.Stack != "" }

// Format adds the stack to %+v.
func (e *CallError) Format(s fmt.State, verb rune) {
	fmt.Fprint(s, e.Error())
	if verb == 'v' && s.Flag('+') && e.Stack != "" {
		fmt.Fprintf(s, "\n\n%s", strings.TrimRight(e.Stack, "\n"))
	}
}

// Is tells ErrMismatch: the actor's program has no such method, or another argument; and
// ErrTooLarge of an answer.
func (e *CallError) Is(target error) bool {
	return target == ErrMismatch && e.kind == FailSetup || target == ErrTooLarge && e.kind == FailMemory
}

// Method is something that actors whose state is of type S can be asked for. It is safe
// for concurrent use.
type Method[S, In, Out any] struct {
	actor, name string
	repeatable  bool
	in          *codec.Codec[In]
	out         *codec.Codec[Out]
}

// MethodOption changes how a method is called.
type MethodOption interface{ method(*methodSettings) }

type methodSettings struct{ repeatable bool }

type methodOption func(*methodSettings)

func (o methodOption) method(s *methodSettings) { o(s) }

// Repeatable says that a call may be done twice, for instance because it only looks at
// the state: one that is cut off is done again by the restarted actor, instead of being
// [ErrInterrupted].
func Repeatable() MethodOption {
	return methodOption(func(s *methodSettings) { s.repeatable = true })
}

// methodFunc is a method in the form in which an actor calls it.
type methodFunc[S any] func(ctx context.Context, state S, payload []byte) ([]byte, error)

// argError is about an argument that the method cannot take.
type argError struct{ error }

func (e argError) Unwrap() error { return e.error }

// DefineMethod gives a kind of actors a method, under a name. It belongs into a package
// variable, after that of its ActorType. An actor runs one method at a time, in the order
// in which the calls came, so that fn needs no locks.
//
// The context of fn ends when the actor is stopped, and when nobody waits for the answer
// any more. It holds what that of any task's function does, [Info] and [Inside]; the
// client of Inside is the same for all methods of the actor, and ends with it. While
// fn waits for tasks that it submits, no other method runs.
//
// In and Out are values as described in package codec. In may hold Refs: the actor
// fetches the values, and waits for them, before fn runs. A value is of at most 1 MiB.
//
// An error that fn returns is for its caller alone. When it panics its caller gets that
// as a [*CallError] with the stack, and the actor is restarted, as its state may be half
// changed; the other calls wait for the new one.
func DefineMethod[S, A, In, Out any](t *ActorType[S, A], name string, fn func(context.Context, S, In) (Out, error), o ...MethodOption) *Method[S, In, Out] {
	full := t.Name() + "." + name
	in, err := codec.For[In]()
	if err != nil {
		panic(fmt.Sprintf("engine: DefineMethod(%q): input %v", full, err))
	}
	out, err := codec.For[Out]()
	if err != nil {
		panic(fmt.Sprintf("engine: DefineMethod(%q): result %v", full, err))
	}
	if out.HasRefs() {
		panic(fmt.Sprintf("engine: DefineMethod(%q): the result type %s holds Refs, which only inputs can", full, out.Type()))
	}
	if fn == nil || name == "" {
		panic(fmt.Sprintf("engine: DefineMethod(%q): a name and a function are needed", full))
	}
	t.methods.add(full, name, func(ctx context.Context, state S, payload []byte) ([]byte, error) {
		v, err := in.Decode(payload, true)
		if err != nil {
			return nil, argError{fmt.Errorf("its argument: %w", err)}
		}
		if in.HasRefs() {
			if err := in.Resolve(&v, remote(ctx)); err != nil {
				return nil, fmt.Errorf("its argument: %w", err)
			}
		}
		result, err := fn(ctx, state, v)
		if err != nil {
			return nil, err
		}
		data, _, err := out.Append(nil, nil, result)
		if err != nil {
			return nil, fmt.Errorf("its result: %w", err)
		}
		return data, nil
	})
	var set methodSettings
	for _, opt := range o {
		opt.method(&set)
	}
	return &Method[S, In, Out]{actor: t.Name(), name: name, repeatable: set.repeatable, in: in, out: out}
}

func (m *methods[S]) add(full, name string, fn methodFunc[S]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName[name] != nil {
		panic(fmt.Sprintf("engine: DefineMethod(%q): the name is taken", full))
	}
	m.byName[name] = fn
}

func (m *methods[S]) find(name string) methodFunc[S] {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byName[name]
}

// remote fetches results that an argument's Refs name.
func remote(ctx context.Context) func(TaskID) ([]byte, error) {
	return func(t TaskID) ([]byte, error) {
		c, err := Inside(ctx)
		if err != nil {
			return nil, err
		}
		job := c.c.Foreign(t.Job)
		job.Hold(t.Index)
		defer job.Release(t.Index) // of what this client knows: the result is not ours
		data, _, err := job.Result(ctx, t.Index)
		return data, err
	}
}

// Answer is what a call gives, once it is there. It is safe for concurrent use.
type Answer[Out any] struct {
	asked *client.Asked
	err   error // it could not be sent
	of    *codec.Codec[Out]
	actor TaskID
	name  string // of the method, in full
	kind  string // of the actor
}

// Call calls the method and waits for its answer. When ctx ends the call is taken back: it
// is not done if it has not begun, else the method's context ends.
func (m *Method[S, In, Out]) Call(ctx context.Context, c *Client, a Actor[S], in In) (Out, error) {
	return m.Send(ctx, c, a, in).Result(ctx)
}

// Send calls the method without waiting for its answer, nor for anything else. When ctx
// ends before the answer is there the call is taken back, as that of Call. Futures whose
// Refs are in the argument must not be released before the answer.
func (m *Method[S, In, Out]) Send(ctx context.Context, c *Client, a Actor[S], in In) *Answer[Out] {
	w := &Answer[Out]{of: m.out, actor: a.Task, name: m.actor + "." + m.name, kind: m.actor}
	payload, _, err := m.in.Append(nil, nil, in)
	switch {
	case a.Task.Job == 0:
		w.err = fmt.Errorf("call %s: %w: the handle names no actor: use one that Start or Lookup returned", w.name, ErrNotFound)
	case err != nil:
		w.err = fmt.Errorf("call %s: %w", w.name, err)
	case len(payload) > client.MaxCall:
		w.err = fmt.Errorf("call %s: its argument is of %d bytes, %w: it may be of %d; bring the value to the cluster by Scatter, and give the actor its Ref", w.name, len(payload), ErrTooLarge, client.MaxCall)
	default:
		w.asked = a.ask(ctx, c, client.ActorCall{Actor: m.actor, Method: m.name, Payload: payload, Idempotent: m.repeatable})
	}
	return w
}

// Done returns a channel that is closed when the call is answered, or will not be.
func (w *Answer[Out]) Done() <-chan struct{} {
	if w.err != nil {
		return closed
	}
	return w.asked.Done()
}

// Result waits for the answer. Its error is a [*CallError] when the method failed,
// [ErrActorStopped] or [ErrActorFailed] when the actor has ended, [ErrInterrupted] when it
// is not known what came of the call. When ctx ends the wait ends, and the call goes on.
func (w *Answer[Out]) Result(ctx context.Context) (Out, error) {
	var zero Out
	if w.err != nil {
		return zero, w.err
	}
	data, ended, err := w.asked.Wait(ctx)
	if err != nil {
		return zero, w.public(err, ended)
	}
	return w.of.Decode(data, false)
}

// public gives an error its public form.
func (w *Answer[Out]) public(err error, ended bool) error {
	f, ok := errors.AsType[*graph.Failure](err)
	switch {
	case !ok:
		return fmt.Errorf("call %s of actor %s: %w", w.name, w.actor, err)
	case !ended:
		return &CallError{
			Actor: w.actor, Method: w.name, Message: f.Message, Stack: f.Stack,
			Attempt: int(f.Attempt), Host: f.Host, kind: f.Kind,
		}
	case f.Kind == FailCancelled:
		return fmt.Errorf("call %s of actor %s: %w", w.name, w.actor, ErrActorStopped)
	}
	return fmt.Errorf("call %s of actor %s: %w: %w", w.name, w.actor, ErrActorFailed, taskError(f, w.actor, w.kind))
}

func isGone(err error) bool { return errors.Is(err, ErrNotFound) || errors.Is(err, ErrJobClosed) }
