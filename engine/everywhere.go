package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// OnWorker is what a task gave on one worker.
type OnWorker[T any] struct {
	Worker string // its container
	Host   string // as its node manager calls it
	Value  T
	Err    error // instead of Value; ErrWorkerLost when the worker left before
}

// crewLook is how often a run on all workers looks who is still there.
const crewLook = time.Second

// OnAll runs the task once on every worker that there is, in a slot like any other task,
// and returns what each gave, in the order of the workers' names. A worker that leaves
// before has an error, and one that comes later is left out. Options that restrict the
// task to some workers hold: the others have an error. When ctx ends, what has not begun
// is let go of, and that error is returned besides the results.
func (t *Task[In, Out]) OnAll(ctx context.Context, c *Client, in In, o ...SubmitOption) ([]OnWorker[Out], error) {
	workers, err := c.Workers(ctx)
	if err != nil {
		return nil, fmt.Errorf("run %s on all workers: %w", t.Name(), err)
	}
	slices.SortFunc(workers, func(a, b WorkerInfo) int { return cmp.Compare(a.Name, b.Name) })
	set := settings{class: t.class}
	for _, opt := range o {
		opt.submission(&set)
	}
	out := make([]OnWorker[Out], len(workers))
	futures := make([]*Future[Out], len(workers))
	for i, w := range workers {
		out[i] = OnWorker[Out]{Worker: w.Name, Host: w.Host}
		if set.class.Pool != "" && set.class.Pool != w.Pool || len(set.class.Hosts) > 0 && !slices.Contains(set.class.Hosts, w.Host) {
			futures[i] = t.failed(nil, fmt.Errorf("worker %s is not one of those that may run it", w.Name))
			continue
		}
		only := submitOption(func(s *settings) { s.class.Hosts, s.changed = []string{w.Name}, true })
		futures[i] = t.Submit(ctx, c, in, append(slices.Clone(o), only)...)
	}
	watch, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	var lost map[int]bool
	watching.Go(func() { lost = watchCrew(watch, c, workers, futures) })
	for i, f := range futures {
		out[i].Value, out[i].Err = f.Result(ctx)
	}
	stop()
	watching.Wait()
	for i, f := range futures {
		if lost[i] && f.Status() == Cancelled {
			out[i].Err = fmt.Errorf("%w: %s left before it ran %s", ErrWorkerLost, out[i].Worker, t.Name())
		}
		f.Release()
	}
	return out, context.Cause(ctx)
}

// watchCrew cancels what waits for workers that have left, until ctx ends, and returns
// which of them have.
func watchCrew[T any](ctx context.Context, c *Client, workers []WorkerInfo, futures []*Future[T]) map[int]bool {
	lost := map[int]bool{}
	ticker := time.NewTicker(crewLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return lost
		case <-ticker.C:
		}
		have, err := c.Workers(ctx)
		if err != nil {
			continue // the tasks tell what that means
		}
		here := map[string]bool{}
		for _, w := range have {
			here[w.Name] = true
		}
		for i, w := range workers {
			if f := futures[i]; !here[w.Name] && f.Status() == Pending {
				lost[i] = f.Cancel(ctx) == nil // if not, again in the next round
			}
		}
	}
}
