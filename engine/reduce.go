package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// Reduction makes one value of many, by a tree of tasks. It is safe for concurrent use.
type Reduction[T any] struct {
	task *Task[[]Ref[T], T]
}

// DefineReduce makes a function of two values a Reduction under a name; like Define it
// belongs into a package variable, and panics when the name is taken or T cannot be sent.
// fn is associative: fn(fn(a, b), c) is fn(a, fn(b, c)). It may change and return a.
func DefineReduce[T any](name string, fn func(ctx context.Context, a, b T) (T, error), o ...TaskOption) *Reduction[T] {
	return &Reduction[T]{Define(name, func(ctx context.Context, in []Ref[T]) (v T, err error) {
		for i, r := range in {
			if i == 0 {
				v = r.Value()
			} else if v, err = fn(ctx, v, r.Value()); err != nil {
				return v, err
			}
		}
		return v, nil
	}, o...)}
}

// FanIn is how many values a task of a Reduction takes, unless Tree is told otherwise.
const FanIn = 16

// Tree submits tasks that reduce values, in their order, to one: each task takes fanIn of
// them that follow one another (0 is FanIn), until one is left. So no worker needs more
// than fanIn values at once, and n values take some n/(fanIn-1) tasks. The tree, and
// with it the result of a function that is only nearly associative, such as the sum of
// floating-point numbers, depends on nothing but the number of values. It does not wait
// for tasks; without values, its future has an error.
func (r *Reduction[T]) Tree(ctx context.Context, c *Client, values []Ref[T], fanIn int, o ...SubmitOption) *Future[T] {
	if fanIn == 0 {
		fanIn = FanIn
	}
	if fanIn < 2 || len(values) == 0 {
		return r.task.failed(nil, fmt.Errorf("%d values, %d for each task: there must be at least one, and two", len(values), fanIn))
	}
	var inner []*Future[T]
	for len(values) > fanIn {
		above := make([]Ref[T], 0, (len(values)+fanIn-1)/fanIn)
		for len(values) > 0 {
			n := min(fanIn, len(values))
			if n == 1 { // nothing to do: it goes up as it is
				above, values = append(above, values[0]), nil
				break
			}
			f := r.task.Submit(ctx, c, values[:n], o...)
			inner, above, values = append(inner, f), append(above, f.Ref()), values[n:]
		}
		values = above
	}
	root := r.task.Submit(ctx, c, values, o...)
	for _, f := range inner {
		f.Release()
	}
	return root
}

// holdName is the function behind Broadcast: its input is on its worker from then on.
const holdName = reserved + "hold"

// Broadcast is Scatter with copies on several workers: it returns when so many have one,
// or all that there are; 0 means all. A task's worker fetches what it needs once in any
// case, from any of those that have it by then. What Broadcast adds is that there
// are many to begin with: a thousand tasks that begin at once do not all ask one. Copies
// are made in rounds, each by all who have one. A worker that leaves meanwhile is passed
// over; the value is lost with the last that has it, as after Scatter.
func Broadcast[T any](ctx context.Context, c *Client, v T, copies int, o ...SubmitOption) (*Future[T], error) {
	f := Scatter(ctx, c, v, o...)
	in, err := codec.For[Ref[T]]()
	if err != nil {
		f.Release()
		return nil, err
	}
	c.WhileIdle(func() {
		select {
		case <-f.Done():
		case <-ctx.Done():
		}
	})
	if ctx.Err() != nil {
		f.Release()
		return nil, context.Cause(ctx)
	}
	workers, err := c.Workers(ctx)
	if err != nil {
		f.Release()
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	if copies <= 0 || copies > len(workers) {
		copies = len(workers)
	}
	none, err := codec.For[struct{}]()
	if err != nil {
		panic(err) // it can be sent
	}
	hold := &Task[Ref[T], struct{}]{class: graph.Class{Name: holdName, Kind: graph.KindGo}, in: in.Append, out: &kind[struct{}]{none, holdName}}
	for have := 0; have < copies; {
		n := min(max(have, 1), copies-have)
		if err := holdOn(ctx, c, hold, f.Ref(), workers[have:have+n], o); err != nil {
			f.Release()
			return nil, fmt.Errorf("broadcast: %w", err)
		}
		have += n
	}
	return f, nil
}

// holdOn brings a result to workers.
func holdOn[T any](ctx context.Context, c *Client, hold *Task[Ref[T], struct{}], r Ref[T], workers []WorkerInfo, o []SubmitOption) error {
	futures := make([]*Future[struct{}], len(workers))
	for i, w := range workers {
		only := submitOption(func(s *settings) { s.class.Hosts, s.changed = []string{w.Name}, true })
		futures[i] = hold.Submit(ctx, c, r, append(o[:len(o):len(o)], only)...)
		defer futures[i].Release()
	}
	gone := make(chan map[int]bool, 1)
	watch, stop := context.WithCancel(ctx)
	go func() { gone <- watchCrew(watch, c, workers, futures) }()
	var failed error
	for _, f := range futures {
		if _, err := f.Result(ctx); err != nil && !errors.Is(err, ErrCancelled) {
			failed = errors.Join(failed, err)
		}
	}
	stop()
	<-gone
	return failed
}
