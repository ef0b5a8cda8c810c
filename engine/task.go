package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// Task is a function, of Go or Python, or a command that can be run on the cluster. It is safe for
// concurrent use.
type Task[In, Out any] struct {
	class graph.Class
	in    func(dst []byte, deps []TaskID, v In) ([]byte, []TaskID, error)
	out   *kind[Out]
	// known is the class as the job knows it to which the task was last submitted.
	known atomic.Pointer[known]
}

// known is a class of one job.
type known struct {
	job    weak.Pointer[client.Job]
	bundle graph.Digest
	class  client.Class
}

// Define makes fn runnable on the cluster under a name. It belongs into a package
// variable: the program on the workers must know the name as well. In and Out are
// values as described in package codec; In may hold Refs.
//
// Define panics when the name is taken, or when In or Out cannot be sent.
//
// fn may run more than once for one input: when a worker dies, when a lost result
// is needed again. Its context ends when the task is cancelled or its time is up,
// and holds a [TaskInfo].
func Define[In, Out any](name string, fn func(context.Context, In) (Out, error), o ...TaskOption) *Task[In, Out] {
	in, err := codec.For[In]()
	if err != nil {
		panic(fmt.Sprintf("engine: Define(%q): input %v", name, err))
	}
	out, err := codec.For[Out]()
	if err != nil {
		panic(fmt.Sprintf("engine: Define(%q): result %v", name, err))
	}
	if out.HasRefs() {
		panic(fmt.Sprintf("engine: Define(%q): the result type %s holds Refs, which only inputs can", name, out.Type()))
	}
	if fn == nil {
		panic(fmt.Sprintf("engine: Define(%q): no function", name))
	}
	registry.add(name, adapt(name, in, out, fn))
	t := &Task[In, Out]{class: graph.Class{Name: name, Kind: graph.KindGo}, in: in.Append, out: &kind[Out]{out, name}}
	for _, opt := range o {
		opt.class(&t.class)
	}
	return t
}

// Name returns the function's name, or the command's first word.
func (t *Task[In, Out]) Name() string { return t.class.Name }

// Submit runs the task with an input, some time. It waits only when a lot has been
// submitted that the scheduler has not yet taken. It never returns nil: if it could
// not be submitted, the future says why.
func (t *Task[In, Out]) Submit(ctx context.Context, c *Client, in In, o ...SubmitOption) *Future[Out] {
	s, err := t.prepare(ctx, c, o)
	if err != nil {
		return t.failed(nil, err)
	}
	index, err := t.submit(ctx, &s, in, nil, 0)
	if err != nil {
		return t.failed(s.job, err)
	}
	f := &Future[Out]{job: s.job, index: index, kind: t.out}
	if s.loose {
		f.rare = &rare{keep: keep(&tasks{job: s.job, spans: []span{{index: index, n: 1}}})}
	}
	return f
}

func (t *Task[In, Out]) failed(job *client.Job, err error) *Future[Out] {
	return failed(t.out, job, fmt.Errorf("submit %s: %w", t.class.Name, err))
}

func failed[T any](k *kind[T], job *client.Job, err error) *Future[T] {
	return &Future[T]{job: job, kind: k, rare: &rare{err: err}}
}

// Call runs the task, waits for it and releases it. When ctx ends the task is
// let go of: it ends, unless it runs already.
func (t *Task[In, Out]) Call(ctx context.Context, c *Client, in In, o ...SubmitOption) (Out, error) {
	f := t.Submit(ctx, c, in, o...)
	defer f.Release()
	return f.Result(ctx)
}

// Map runs the task for every input. The inputs are pulled by a goroutine of their
// own, as fast as the cluster takes them and not more than [Window] ahead of the
// tasks that have ended, until inputs are exhausted or ctx ends. What was submitted
// by then goes on.
func (t *Task[In, Out]) Map(ctx context.Context, c *Client, inputs iter.Seq[In], o ...SubmitOption) *Batch[Out] {
	b := &Batch[Out]{kind: t.out}
	s, err := t.prepare(ctx, c, o)
	if err != nil {
		b.finish(fmt.Errorf("submit %s: %w", t.class.Name, err))
		return b
	}
	b.begin(&s)
	go func() { b.finish(t.pull(ctx, &s, b, inputs)) }()
	return b
}

// pull submits what comes, with at most a window of tasks that have not ended.
func (t *Task[In, Out]) pull(ctx context.Context, s *submission, b *Batch[Out], inputs iter.Seq[In]) error {
	n := uint32(0) // as only this adds to b
	for in := range inputs {
		index, err := t.submit(ctx, s, in, b, n)
		room := false
		if one, ok := errors.AsType[encodeError](err); ok {
			room = b.reject(one.error, s.window)
		} else if err != nil {
			return err
		} else {
			room = b.add(index, s.window)
		}
		n++
		if !room {
			if err := b.await(ctx, func() bool { return b.room(s.window) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// submission is what a run is submitted with, besides its input.
type submission struct {
	job      *client.Job
	class    client.Class
	hosts    []string
	loose    bool
	readOnce bool
	twice    bool // it is Idempotent
	window   int
}

// prepare settles everything about a submission but its input.
func (t *Task[In, Out]) prepare(ctx context.Context, c *Client, o []SubmitOption) (s submission, err error) {
	s.window = defaultWindow
	class, own := &t.class, true
	readOnce := (*bool)(nil)
	if len(o) > 0 {
		set := &settings{class: t.class, window: defaultWindow}
		for _, opt := range o {
			opt.submission(set)
		}
		s.job, s.hosts, s.loose, s.window = set.job, set.hosts, set.loose, set.window
		s.twice = set.class.Idempotent
		class, own, readOnce = &set.class, !set.changed, set.readOnce
	}
	if s.job == nil {
		if s.job, err = c.c.Unnamed(ctx); err != nil {
			return s, err
		}
	}
	s.readOnce = s.job.Name() == ""
	if readOnce != nil {
		s.readOnce = *readOnce
	}
	var bundle graph.Digest
	if class.Kind == graph.KindGo && !builtin(class.Name) {
		if bundle, err = c.c.Bundle(ctx); err != nil {
			return s, err
		}
	}
	if k := t.known.Load(); own && k != nil && k.bundle == bundle && k.job.Value() == s.job {
		s.class = k.class
		return s, nil
	}
	full := *class
	full.Bundle = bundle
	s.class = s.job.Class(&full)
	if own {
		t.known.Store(&known{job: weak.Make(s.job), bundle: bundle, class: s.class})
	}
	return s, nil
}

// encodeError is about one input; others may be fine.
type encodeError struct{ error }

func (e encodeError) Unwrap() error { return e.error }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer struct {
	payload []byte
	deps    []TaskID
}

// keptBuffer is the largest buffer that is used again.
const keptBuffer = 1 << 20

func (t *Task[In, Out]) submit(ctx context.Context, s *submission, in In, sink client.Sink, tag uint32) (uint32, error) {
	buf := buffers.Get().(*buffer)
	defer func() {
		if cap(buf.payload) <= keptBuffer {
			buffers.Put(buf)
		}
	}()
	var err error
	if buf.payload, buf.deps, err = t.in(buf.payload[:0], buf.deps[:0], in); err != nil {
		return 0, encodeError{err}
	}
	return s.job.Submit(ctx, &client.Task{
		Class: s.class, Payload: buf.payload, Deps: buf.deps, Hosts: s.hosts, Loose: s.loose, Sink: sink, Tag: tag,
	})
}
