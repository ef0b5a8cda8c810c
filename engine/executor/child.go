package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Why a call's context ends.
var (
	errCancelled = errors.New("the task is no longer wanted")
	errMemory    = errors.New("the task took more memory than its worker has")
	errTime      = errors.New("the time limit passed")
	errLeaving   = errors.New("the executor ends")
)

// child is the executor's side of the protocol: it runs what the worker sends.
type child struct {
	funcs  Funcs
	family *family // starts commands
	out    *frameWriter
	set    setup

	mu       sync.Mutex
	calls    map[uint64]context.CancelCauseFunc
	tasks    map[string]bool       // commands that run, as taskMark names them
	commands map[uint64]*command   // the same, by call
	ended    bool                  // a command ended since the last sweep
	reads    map[uint64]chan piece // by read id
	next     uint64                // read id
	wg       sync.WaitGroup        // calls
}

// piece answers a read.
type piece struct {
	data []byte
	err  error
}

// serve runs what comes from in until it ends, then cancels what still runs and
// waits for it. The error is nil when the worker closed in.
func serve(in io.Reader, out io.Writer, funcs Funcs, f *family) error {
	c := &child{
		funcs: funcs, family: f, out: &frameWriter{w: out},
		calls:    map[uint64]context.CancelCauseFunc{},
		tasks:    map[string]bool{},
		commands: map[uint64]*command{},
		reads:    map[uint64]chan piece{},
	}
	defer c.wg.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.wg.Go(func() { c.sweep(ctx) })
	defer c.leave()
	r := &frameReader{r: in, max: maxToExecutor}
	if err := c.greet(r); err != nil {
		return err
	}
	for {
		// Runs and Data are kept: calls hold views of them.
		k, body, err := r.next(func(k kind) bool { return k == kindRun || k == kindData })
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.handle(k, body)
		}
		if err != nil {
			return err
		}
	}
}

func (c *child) greet(r *frameReader) error {
	k, body, err := r.next(nil)
	if err != nil {
		return err
	}
	if k != kindSetup {
		return protocolError(fmt.Sprintf("frame %d before setup", k))
	}
	if err := json.Unmarshal(body, &c.set); err != nil {
		return protocolError("setup: " + err.Error())
	}
	if c.set.Version != version {
		return protocolError(fmt.Sprintf("the worker speaks version %d, this bundle %d: build it with the worker's version of yarnd", c.set.Version, version))
	}
	return c.out.write(kindReady, func(b []byte) []byte {
		j, _ := json.Marshal(ready{Version: version, Pid: os.Getpid()})
		return append(b, j...)
	})
}

// handle does one frame. It never waits for a call: the worker relies on being
// read.
func (c *child) handle(k kind, body []byte) error {
	switch k {
	case kindRun:
		r, err := parseRun(body)
		if err != nil {
			return err
		}
		c.begin(r)
	case kindStop:
		call, reason, err := parseStop(body)
		if err != nil {
			return err
		}
		c.stop(call, reason)
	case kindSignal:
		call, sig, err := parseStop(body) // it looks the same
		if err != nil {
			return err
		}
		c.signal(call, syscall.Signal(sig))
	case kindData:
		id, ok, data, err := parseData(body)
		if err != nil {
			return err
		}
		c.answer(id, ok, data)
	default:
		return protocolError(fmt.Sprintf("frame %d", k))
	}
	return nil
}

func (c *child) begin(r *run) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[r.call] = cancel
	c.wg.Go(func() {
		defer func() {
			cancel(nil)
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.calls, r.call)
		}()
		c.run(ctx, r)
	})
}

func (c *child) stop(call uint64, reason byte) {
	c.mu.Lock()
	cancel := c.calls[call]
	c.mu.Unlock()
	if cancel == nil {
		return
	}
	if reason == stopMemory {
		cancel(errMemory)
	} else {
		cancel(errCancelled)
	}
}

// leave cancels everything.
func (c *child) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.calls {
		cancel(errLeaving)
	}
}

// run runs one task and reports how it ended.
func (c *child) run(ctx context.Context, r *run) {
	if r.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.limit, errTime)
		defer cancel()
	}
	start := time.Now()
	var data []byte
	// What is reported if the function ends its goroutine (runtime.Goexit).
	f := &graph.Failure{Kind: graph.FailUser, Message: r.name + ": the function ended its goroutine without returning"}
	defer func() { c.report(ctx, r, data, f, time.Since(start)) }()
	switch r.kind {
	case graph.KindGo:
		data, f = c.runFunc(ctx, r)
	case graph.KindCommand:
		data, f = c.runCommand(ctx, r)
	default:
		f = &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("this executor does not run tasks of kind %s", r.kind)}
	}
}

// report sends a result or a failure. When the context ended, that is why it
// failed, whatever the failure says.
func (c *child) report(ctx context.Context, r *run, data []byte, f *graph.Failure, took time.Duration) {
	if f == nil {
		c.sendResult(r.call, data, took)
		return
	}
	if k := failKindOf(context.Cause(ctx)); k != graph.FailNone {
		f.Kind = k
		if k == graph.FailTime {
			f.Message = fmt.Sprintf("%s took longer than its time limit of %v", r.name, r.limit)
		} else if k == graph.FailMemory {
			f.Message = fmt.Sprintf("%s: %v", r.name, errMemory)
		}
	}
	c.out.write(kindFailed, func(b []byte) []byte { return appendFailed(b, r.call, f, took) }) //nolint:errcheck // the worker is gone
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

// sendResult sends data in pieces, so that a large result does not hold up the
// small ones of other calls.
func (c *child) sendResult(call uint64, data []byte, took time.Duration) {
	size := uint64(len(data))
	for len(data) > chunkSize {
		if c.out.write(kindChunk, func(b []byte) []byte { return appendChunk(b, call, size, data[:chunkSize]) }) != nil {
			return
		}
		data = data[chunkSize:]
	}
	c.out.write(kindDone, func(b []byte) []byte { return appendDone(b, call, took, size, data) }) //nolint:errcheck // the worker is gone
}

// runFunc calls a function, and turns whatever it does into a result or failure.
func (c *child) runFunc(ctx context.Context, r *run) (data []byte, f *graph.Failure) {
	fn, ok := c.lookup(r.name)
	if !ok {
		return nil, &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("no function %q in this bundle: define it before Main is called", r.name)}
	}
	call := &Call{
		Name: r.name, Task: r.task, Attempt: r.attempt,
		Host: c.set.Host, Worker: c.set.Worker,
		Spec: r.spec, Payload: r.payload, Inputs: c.inputs(ctx, r),
	}
	defer func() {
		if what := recover(); what != nil {
			data, f = nil, &graph.Failure{Kind: graph.FailUser, Message: fmt.Sprintf("panic: %v", what), Stack: string(debug.Stack())}
		}
	}()
	data, err := fn(ctx, call)
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

func (c *child) inputs(ctx context.Context, r *run) []*Input {
	if len(r.inputs) == 0 {
		return nil
	}
	inputs := make([]*Input, len(r.inputs))
	for i, in := range r.inputs {
		inputs[i] = &Input{Task: in.task, Size: int64(in.size), data: in.data}
		if !in.sent {
			inputs[i].fetch = func(offset int64, n int) ([]byte, error) {
				return c.fetch(ctx, read{call: r.call, input: uint32(i), offset: uint64(offset), n: uint32(n)})
			}
		}
	}
	return inputs
}

// fetch reads a piece of an input from the worker.
func (c *child) fetch(ctx context.Context, r read) ([]byte, error) {
	answer := make(chan piece, 1)
	c.mu.Lock()
	c.next++
	r.id = c.next
	c.reads[r.id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.reads, r.id)
	}()
	if err := c.out.write(kindRead, func(b []byte) []byte { return appendRead(b, r) }); err != nil {
		return nil, err
	}
	select {
	case p := <-answer:
		return p.data, p.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *child) answer(id uint64, ok bool, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.reads[id]
	if answer == nil {
		return // its call ended
	}
	delete(c.reads, id)
	if ok {
		answer <- piece{data: data}
	} else {
		answer <- piece{err: errors.New(string(data))}
	}
}
