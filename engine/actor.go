package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
)

// ActorType is a kind of actors: a value of type S that lives on a worker, and methods
// that change it and look at it, one at a time. It is safe for concurrent use.
type ActorType[S, In any] struct {
	task    *Task[In, struct{}]
	methods methods[S]
}

// methods are those of an ActorType, by name. They are all there before one is called.
type methods[S any] struct {
	mu     sync.RWMutex
	byName map[string]methodFunc[S]
}

// Actor is one that was started: where it is reached. It is a value like any other: a
// task or a method may get it as a part of its input, and call the actor by a client of
// its own ([Inside]).
type Actor[S any] struct {
	Task TaskID // it is a task, too
}

// defaultRestarts is how often an actor begins anew, without Restarts.
const defaultRestarts = 3

// DefineActor makes a kind of actors under a name, as Define does for functions: create
// makes the state of one, on the worker on which it is to live. It belongs into a package
// variable, and so do its methods:
//
//	var counter = engine.DefineActor("counter", func(_ context.Context, start int) (*int, error) { return &start, nil })
//	var add = engine.DefineMethod(counter, "add", func(_ context.Context, n *int, by int) (int, error) {
//		*n += by
//		return *n, nil
//	})
//
// The state lives for as long as the process that it is in. When that is lost, or a
// method panics, the actor is restarted: create makes a new state, from the same input
// and, if there is one, the last [Checkpoint]. It is restarted as well, elsewhere, when
// its worker is to leave. If S is an io.Closer, Close is called when the actor ends or
// moves in an orderly way, not after a panic.
//
// The context of create ends with the actor. In may hold Refs. DefineActor panics as
// Define does.
func DefineActor[S, In any](name string, create func(context.Context, In) (S, error), o ...TaskOption) *ActorType[S, In] {
	if create == nil {
		panic(fmt.Sprintf("engine: DefineActor(%q): no function", name))
	}
	in, err := codec.For[In]()
	if err != nil {
		panic(fmt.Sprintf("engine: DefineActor(%q): input %v", name, err))
	}
	out, err := codec.For[struct{}]()
	if err != nil {
		panic(fmt.Sprintf("engine: DefineActor(%q): %v", name, err))
	}
	t := &ActorType[S, In]{methods: methods[S]{byName: map[string]methodFunc[S]{}}}
	registry.add(name, func(ctx context.Context, call *executor.Call) ([]byte, error) {
		v, err := decodeInput(name, in, call)
		if err != nil {
			return nil, err
		}
		ctx, leave := enter(ctx, name, call)
		defer leave()
		return nil, live(ctx, call, &t.methods, func(ctx context.Context) (S, error) { return create(ctx, v) })
	})
	t.task = &Task[In, struct{}]{
		class: graph.Class{Name: name, Kind: graph.KindGo, Actor: true}, in: in.Append, out: &kind[struct{}]{out, name},
	}
	Restarts(defaultRestarts).class(&t.task.class)
	for _, opt := range o {
		opt.class(&t.task.class)
	}
	if t.task.class.Idempotent {
		panic(fmt.Sprintf("engine: DefineActor(%q): an actor cannot be Idempotent, as there is one of it at a time", name))
	}
	return t
}

// Restarts allows n restarts of an actor after panics, and n after deaths of its process
// for which it can be to blame; without it three of each. What befalls it otherwise, such
// as the loss of its worker or a worker that leaves, is made up for besides.
func Restarts(n int) TaskOption {
	return classOption(func(c *graph.Class) { c.Retries, c.Deaths = clamp(n), clamp(max(n, 0)+1) })
}

// Resident has an actor keep its slots while nobody calls it. Without it they are others'
// then, and a call waits until there are free ones, which it gets before what has not
// begun: on a worker that is busy with long tasks that may take a while.
func Resident() TaskOption {
	return classOption(func(c *graph.Class) { c.Spec = residentSpec })
}

// Name returns the name of this kind of actors.
func (t *ActorType[S, In]) Name() string { return t.task.Name() }

// Start starts an actor. It belongs to a job, like any task: to the client's unnamed one,
// with which it ends, or to that of [InJob], where it lives until [Actor.Stop] or
// [Job.Close]. Start waits until the scheduler knows the actor, not until it lives: an
// error of its function, like its later end, is told to those who call.
func (t *ActorType[S, In]) Start(ctx context.Context, c *Client, in In, o ...SubmitOption) (Actor[S], error) {
	s, err := t.task.prepare(ctx, c, o)
	if err != nil {
		return Actor[S]{}, fmt.Errorf("start actor %s: %w", t.Name(), err)
	}
	if s.loose || s.twice {
		return Actor[S]{}, fmt.Errorf("start actor %s: an actor can be neither Loose nor Idempotent", t.Name())
	}
	index, err := t.task.submit(ctx, &s, in, nil, 0)
	if err == nil {
		err = s.job.Flush(ctx)
	}
	if err != nil {
		return Actor[S]{}, fmt.Errorf("start actor %s: %w", t.Name(), err)
	}
	return Actor[S]{Task: TaskID{Job: s.job.ID(), Index: index}}, nil
}

// Stop ends the actor: the context of a method that runs ends, and who waits for an
// answer gets [ErrActorStopped]. It does not wait for that method. Stopping what has
// ended is no error. A client within a task may stop the actors of its own jobs.
func (a Actor[S]) Stop(ctx context.Context, c *Client) error {
	_, err := c.c.CancelTasks(ctx, a.Task.Job, a.Task.Index)
	if err != nil && !isGone(err) {
		return fmt.Errorf("stop actor %s: %w", a.Task, err)
	}
	return nil
}

// Publish gives an actor a name, under which every client of the cluster finds it by
// Lookup. A published actor lives on when its job is closed, until Client.Unpublish or
// Stop.
func (t *ActorType[S, In]) Publish(ctx context.Context, c *Client, name string, a Actor[S]) error {
	return c.c.Publish(ctx, name, c.c.Foreign(a.Task.Job), a.Task.Index, t.published())
}

// Lookup finds the actor that was published under a name. The error is [ErrNotFound] when
// there is none, [ErrMismatch] when it is something else.
func (t *ActorType[S, In]) Lookup(ctx context.Context, c *Client, name string) (Actor[S], error) {
	got, err := c.c.Lookup(ctx, name)
	if err != nil {
		return Actor[S]{}, err
	}
	if got.Type != t.published() {
		return Actor[S]{}, fmt.Errorf("look up %q: %w: it holds %s, asked for as %s", name, ErrMismatch, got.Type, t.published())
	}
	return Actor[S]{Task: got.Task}, nil
}

func (t *ActorType[S, In]) published() string { return "actor " + t.Name() }

// ask calls a method of an actor.
func (a Actor[S]) ask(ctx context.Context, c *Client, call client.ActorCall) *client.Asked {
	call.Task = a.Task
	return c.c.Ask(ctx, &call)
}
