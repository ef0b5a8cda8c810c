package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// running is a function's run.
type running struct {
	TaskInfo
	call *executor.Call

	mu     sync.Mutex
	client *Client // nil: nobody asked for it
	over   bool
}

// enter gives a function's context what Info and Inside find. leave ends its client.
func enter(ctx context.Context, name string, call *executor.Call) (_ context.Context, leave func()) {
	r := &running{
		TaskInfo: TaskInfo{Name: name, Task: call.Task, Attempt: int(call.Attempt), Host: call.Host, Worker: call.Worker},
		call:     call,
	}
	return context.WithValue(ctx, infoKey{}, r), r.leave
}

func (r *running) leave() {
	r.mu.Lock()
	r.over = true
	c := r.client
	r.mu.Unlock()
	if c != nil {
		c.c.End(ErrTaskOver)
	}
}

// Inside returns a client of the cluster on which the function runs that got ctx, so that
// a task can submit tasks, wait for them and use what they give:
//
//	var report = engine.Define("report", func(ctx context.Context, days []string) (int, error) {
//		c, err := engine.Inside(ctx)
//		if err != nil {
//			return 0, err
//		}
//		counts, err := countDay.Map(ctx, c, slices.Values(days)).Gather(ctx)
//		…
//	})
//
// While the function waits for results, locks or events by this client, its slots are
// others': so even a cluster of one slot gets to the end of any depth. Its memory and
// other resources stay its own. While several of its goroutines wait it has no slots, and
// it has them again before the last wait returns.
//
// The client's unnamed job ends with this attempt of the task, however it ends: what it
// has not finished is cancelled, its results are freed, and a further attempt begins
// anew. [Client.Job] opens jobs that stay. A function that is to submit tasks of its own
// kind is defined in an init, not with its variable, which the function names. Only jobs that the client has opened can be
// added to, cancelled and closed; of the administration of the cluster it has Workers and
// Names. When the function has returned, all is [ErrTaskOver].
//
// The same client is returned each time. It need not be closed. The error is
// [ErrNotInside] when ctx is no function's.
func Inside(ctx context.Context) (*Client, error) {
	r, ok := ctx.Value(infoKey{}).(*running)
	if !ok {
		return nil, ErrNotInside
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over:
		return nil, ErrTaskOver
	case r.client != nil && !errors.Is(r.client.Err(), ErrClosed):
		return r.client, nil
	}
	c, err := client.DialInside(ctx, way{r.call.Inside()})
	if err != nil {
		return nil, fmt.Errorf("reach the cluster from within %s: %w", r.Name, err)
	}
	r.client = &Client{c: c}
	return r.client, nil
}

// WhileIdle gives up the slots of the task that this client is within, while f runs, as
// the waits of this package do; then it waits for them. For a client that is not within a
// task it just runs f.
func (c *Client) WhileIdle(f func()) {
	defer c.c.Wait()()
	f()
}

// way is a client.Inside.
type way struct{ *executor.Inside }

// Dial begins a stream to the scheduler.
func (w way) Dial() (net.Conn, error) {
	nc, err := w.Inside.Dial(wire.NestedWindow)
	if end, ok := errors.AsType[*executor.EndedError](err); ok {
		return nil, fmt.Errorf("%w: %w", ErrTaskOver, end)
	}
	if errors.Is(err, executor.ErrOver) {
		return nil, ErrTaskOver
	}
	return nc, err
}

// ReadAt reads a piece of a result.
func (w way) ReadAt(o *graph.Outcome, a graph.Attempt, from graph.Location, p []byte, off int64) error {
	err := w.Inside.ReadAt(executor.ResultAt{Task: o.Task, Attempt: a, Size: o.Size, Name: from.Name, Address: from.Address}, p, off)
	if errors.Is(err, executor.ErrOver) {
		return ErrTaskOver
	}
	return err
}
