package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
)

// Integer is a type whose values MapRange counts through.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// MapRange runs a task for every integer from lo up to, but not including, hi. It is what
// Map is for these inputs, but costs next to nothing for a task before it begins: the whole
// range is one message to the scheduler, which makes of it the tasks that are next, and all
// of it is submitted when MapRange returns. What is made here for a task is made when it
// ends, or somebody asks for its Future. So millions of tasks may wait, and other tasks may
// depend on any of them, by At(i).Ref().
//
// There is no [Window]: all may run before anything was read. [Hosts] is an error, as are
// more than 2³²-1 integers, those above 2⁶³-1, and a type that encodes itself.
func MapRange[In Integer, Out any](ctx context.Context, c *Client, t *Task[In, Out], lo, hi In, o ...SubmitOption) *Batch[Out] {
	b := &Batch[Out]{kind: t.out}
	s, err := t.prepare(ctx, c, o)
	if err == nil {
		b.begin(&s)
		if lo < hi {
			err = submitRange(ctx, t, &s, b, lo, hi-1)
		}
	}
	if err != nil {
		err = fmt.Errorf("submit %s: %w", t.class.Name, err)
	}
	b.finish(err)
	return b
}

// submitRange submits tasks for the integers from first to last.
func submitRange[In Integer, Out any](ctx context.Context, t *Task[In, Out], s *submission, b *Batch[Out], first, last In) error {
	further := uint64(last) - uint64(first)
	switch {
	case s.hosts != nil:
		return errors.New("a range of tasks has no preferred hosts: use Map")
	case further >= 1<<32-1:
		return errors.New("a range of more than 2³²-1 tasks: use several jobs")
	case last > 0 && uint64(last) > math.MaxInt64:
		return errors.New("a range of integers above 2⁶³-1: use Map")
	}
	prefix, err := commonPrefix(t, first, last)
	if err != nil {
		return err
	}
	r := &client.Range{Class: s.class, Payload: prefix, Base: int64(first), N: uint32(further + 1), Loose: s.loose, Sink: b}
	index, err := s.job.SubmitRange(ctx, r)
	if err == nil {
		b.addRange(index, int(r.N))
	}
	return err
}

// commonPrefix returns what the encoded inputs begin with that end with the integer.
func commonPrefix[In Integer, Out any](t *Task[In, Out], first, last In) ([]byte, error) {
	a, _, err := t.in(nil, nil, first)
	if err != nil {
		return nil, err
	}
	z, _, err := t.in(nil, nil, last)
	if err != nil {
		return nil, err
	}
	prefix, ok := bytes.CutSuffix(a, codec.AppendInt(nil, int64(first)))
	if !ok || !bytes.Equal(z, codec.AppendInt(bytes.Clone(prefix), int64(last))) {
		return nil, fmt.Errorf("inputs of type %T are not encoded as integers: use Map", first)
	}
	return prefix, nil
}

// addRange counts n tasks that were submitted.
func (b *Batch[T]) addRange(index uint32, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tasks.spans = append(b.tasks.spans, span{at: b.n, index: index, n: n})
	b.n += n
	b.notify()
}
