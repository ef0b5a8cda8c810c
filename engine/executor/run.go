package executor

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// run is a call in an executor: what it was told, and how it stands.
type run struct {
	runRow
	class  *runClass
	inputs []runInput
	slot   int           // while it runs
	ended  time.Duration // by clock
	ctx    callContext
	told   Call
	inside atomic.Pointer[Inside] // nil: nobody asked
	parked bool                   // it takes no slots; under child.mu
}

var began = time.Now()

// clock is a time that costs half of what time.Now does, which is much to small calls.
func clock() time.Duration { return time.Since(began) }

// run runs one task and reports how it ended. start is by clock.
func (c *child) run(k *run, start time.Duration) {
	if limit := k.class.limit; limit > 0 {
		k.ctx.limit(limit)
	}
	var data []byte
	// What is reported if the function ends its goroutine (runtime.Goexit).
	f := &unreturned
	c.page.set(k.slot, k.call)
	defer func() {
		if in := k.inside.Load(); in != nil {
			in.close()
		}
		command := k.class.kind == graph.KindCommand
		if !command {
			c.page.set(k.slot, 0)
		}
		k.ended = clock()
		c.report(k, data, f, k.ended-start)
		if command { // it has had its effects, and must not count as one that never ran
			c.page.set(k.slot, 0)
		}
		k.ctx.finish()
	}()
	switch k.class.kind {
	case graph.KindGo:
		data, f = c.runFunc(k)
	case graph.KindCommand:
		data, f = c.runCommand(k)
	default:
		f = &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("this executor does not run tasks of kind %s", k.class.kind)}
	}
}

var unreturned = graph.Failure{Kind: graph.FailUser, Message: "the function ended its goroutine without returning"}

// report sends a result or a failure.
func (c *child) report(k *run, data []byte, f *graph.Failure, took time.Duration) {
	stream := k.told.Stream
	if stream != nil {
		defer stream.Close()
	}
	switch {
	case f != nil:
		c.fail(k, f, took)
	case stream != nil:
		c.sendStream(k, stream, took)
	case len(data) <= smallResult:
		c.out.done(k.call, took, data)
	default:
		c.sendResult(k, data, took)
	}
}

// fail sends a failure. When the context ended, that is why it failed, whatever the
// failure says.
func (c *child) fail(k *run, f *graph.Failure, took time.Duration) {
	if f == &unreturned {
		f = &graph.Failure{Kind: f.Kind, Message: k.class.name + ": " + f.Message}
	}
	if kind := failKindOf(k.ctx.why()); kind != graph.FailNone {
		f.Kind = kind
		if kind == graph.FailTime {
			f.Message = fmt.Sprintf("%s took longer than its time limit of %v", k.class.name, k.class.limit)
		} else if kind == graph.FailMemory {
			f.Message = fmt.Sprintf("%s: %v", k.class.name, errMemory)
		}
	}
	c.out.write(kindFailed, func(b []byte) []byte { return appendFailed(b, k.call, f, took) }) //nolint:errcheck // the worker is gone
}

// failKindOf tells which failure the end of a context is.
func failKindOf(cause error) graph.FailKind {
	switch {
	case cause == nil:
		return graph.FailNone
	case errors.Is(cause, errTime):
		return graph.FailTime
	case errors.Is(cause, errMemory):
		return graph.FailMemory
	}
	return graph.FailCancelled
}

// smallResult is the largest result, in bytes, that is sent with the news of it.
const smallResult = 4 << 10

// sendResult sends data in pieces, so that a large result does not hold up the
// small ones of other calls.
func (c *child) sendResult(k *run, data []byte, took time.Duration) {
	size := uint64(len(data))
	for len(data) > 0 {
		piece := data[:min(len(data), chunkSize)]
		if !c.sendPiece(k, size, piece, took) {
			return
		}
		data = data[len(piece):]
	}
	c.out.doneOf(k.call, took, size, nil)
}

// sendPiece reports whether the rest is to follow: nobody may want it any more. That its time has passed does not matter, for the
// function has returned.
func (c *child) sendPiece(k *run, size uint64, piece []byte, took time.Duration) bool {
	if why := k.ctx.why(); why != nil && !errors.Is(why, errTime) {
		c.fail(k, &graph.Failure{Kind: graph.FailCancelled, Message: k.class.name + ": its result was not wanted any more"}, took)
		return false
	}
	return c.out.write(kindChunk, func(b []byte) []byte { return appendChunk(b, k.call, size, piece) }) == nil
}

// sendStream sends a result piece by piece as it is read.
func (c *child) sendStream(k *run, from Stream, took time.Duration) {
	size, piece := uint64(from.Size()), make([]byte, min(from.Size(), chunkSize))
	for left := from.Size(); left > 0; left -= int64(len(piece)) {
		piece = piece[:min(left, chunkSize)]
		if _, err := io.ReadFull(from, piece); err != nil {
			c.fail(k, &graph.Failure{Kind: graph.FailUser, Message: fmt.Sprintf("%s: read its result of %d bytes: %v", k.class.name, size, err)}, took)
			return
		}
		if !c.sendPiece(k, size, piece, took) {
			return
		}
	}
	c.out.doneOf(k.call, took, size, nil)
}

// runFunc calls a function, and turns whatever it does into a result or failure.
func (c *child) runFunc(k *run) (data []byte, f *graph.Failure) {
	name := k.class.name
	fn, ok := c.lookup(name)
	if !ok {
		return nil, &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("no function %q in this bundle: define it before Main is called", name)}
	}
	k.told = Call{
		Name: name, Task: k.task, Attempt: k.attempt,
		Host: c.set.Host, Worker: c.set.Worker,
		Spec: k.class.spec, Payload: k.payload, Inputs: c.open(k),
		run: k, by: c,
	}
	defer func() {
		if what := recover(); what != nil {
			data, f = nil, &graph.Failure{Kind: graph.FailUser, Message: fmt.Sprintf("panic: %v", what), Stack: string(debug.Stack())}
		}
	}()
	data, err := fn(&k.ctx, &k.told)
	if err == nil {
		return data, nil
	}
	if own, ok := errors.AsType[*graph.Failure](err); ok {
		copied := *own
		if copied.Kind == graph.FailNone {
			copied.Kind = graph.FailUser
		}
		copied.Message = err.Error()
		return nil, &copied
	}
	return nil, &graph.Failure{Kind: graph.FailUser, Message: err.Error()}
}

func (c *child) lookup(name string) (Func, bool) {
	if c.funcs == nil {
		return nil, false
	}
	return c.funcs.Lookup(name)
}

// open makes what the function reads its inputs by.
func (c *child) open(k *run) []*Input {
	if len(k.inputs) == 0 {
		return nil
	}
	all, inputs := make([]Input, len(k.inputs)), make([]*Input, len(k.inputs))
	for i := range all {
		in, from := &all[i], &k.inputs[i]
		in.Task, in.Size, in.data, inputs[i] = from.task, int64(from.size), from.data, in
		if !from.sent {
			in.fetch = func(offset int64, n int) ([]byte, error) {
				return c.fetch(&k.ctx, read{call: k.call, input: uint32(i), offset: uint64(offset), n: uint32(n)})
			}
		}
	}
	k.inputs = nil
	return inputs
}
