package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

const (
	// maxFetches is how many rounds over the same holders of a result may fail before
	// its fetch is given up: at five seconds to connect they last longer than a lease, so
	// that a holder which is lost is replaced before.
	maxFetches = 8
	firstPoll  = 20 * time.Millisecond
	maxPoll    = time.Second
)

// Result waits for the task and returns its result's bytes. With own they are the
// caller's, otherwise they must not be changed. A task without a result gives its
// *graph.Failure. Once it is known that the task was retried, Result waits for the
// new outcome.
//
// Large results come from the workers that hold them. If none has it any more, it
// is computed again, and Result waits for that.
func (j *Job) Result(ctx context.Context, index uint32) (data []byte, own bool, err error) {
	known, err := j.Wait(ctx, index)
	if err != nil {
		return nil, false, err
	}
	if known.IsInline() {
		return known.Inline, false, nil
	}
	out := &known
	failed, last := 0, out // rounds over the holders of last
	for poll := firstPoll; ; poll = min(2*poll, maxPoll) {
		switch {
		case out == nil: // being computed again
		case out.Err != nil:
			return nil, false, out.Err
		case out.Failure != nil:
			return nil, false, out.Failure
		case out.IsInline():
			return out.Inline, false, nil
		case len(out.Holders) > 0:
			fetch := j.fetch
			if j.c.inside != nil {
				fetch = j.fetchInside
			}
			data, err := fetch(ctx, out)
			if err == nil {
				return data, true, nil
			}
			if _, large := errors.AsType[*transfer.SizeError](err); large || ctx.Err() != nil {
				return nil, false, err
			}
			j.c.opts.Log.Debug("no holder gave the result", "task", out.Task.String(), "err", err)
			if out.Attempt != last.Attempt || !slices.Equal(out.Holders, last.Holders) {
				failed = 0
			}
			last = out
			if failed++; failed == maxFetches {
				return nil, false, fmt.Errorf("result of task %s cannot be fetched: %w", graph.TaskID{Job: j.id, Index: index}, err)
			}
		}
		back := j.c.Wait()
		err := sleep(ctx, poll)
		back()
		if err != nil {
			return nil, false, err
		}
		if out, err = j.whereNow(ctx, index); err != nil {
			return nil, false, err
		}
	}
}

// fetch tries the holders in turn, each for what the others have not given, and tells
// the scheduler of those that have lost the result.
func (j *Job) fetch(ctx context.Context, out *Outcome) ([]byte, error) {
	data, d, err := j.c.pool.Begin(out.Task, out.Attempt, out.Size)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, h := range out.Holders {
		peer := transfer.Peer{Role: identity.Worker, Name: h.Name, Address: h.Address}
		if h.Worker == 0 {
			peer = transfer.Peer{Role: identity.Scheduler, Address: j.c.schedulerAddress()}
		}
		err := j.c.pool.Fetch(ctx, peer, d)
		if err == nil {
			return data, nil
		}
		errs = append(errs, err)
		if te, ok := errors.AsType[*transfer.Error](err); ok && te.Missing() {
			_, err := j.c.ask(ctx, j, &wire.Request{Body: &wire.Request_ResultLost{ResultLost: &wire.ResultLost{
				Job: uint32(j.id), Index: out.Task.Index, Attempt: uint32(out.Attempt), Holder: uint32(h.Worker),
			}}})
			if err != nil {
				errs = append(errs, err)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// whereNow asks the scheduler about a task that has ended; nil means that its
// result is being computed again. What it learns replaces what the cell knows.
func (j *Job) whereNow(ctx context.Context, index uint32) (*Outcome, error) {
	ch := make(chan *Outcome, 1)
	j.mu.Lock()
	if j.err != nil {
		defer j.mu.Unlock()
		return nil, j.err
	}
	j.locate(index, func(o *Outcome) { ch <- o })
	j.mu.Unlock()
	select {
	case out := <-ch:
		if out == nil || (out.Failure == nil && out.Err == nil && len(out.Holders) == 0 && !out.IsInline()) {
			return nil, nil
		}
		j.mu.Lock()
		if c := j.find(index); c.held() && out.Err == nil {
			if was, ok := c.outcome(out.Task); ok && out.Attempt >= was.Attempt {
				c.put(out)
			}
		}
		j.mu.Unlock()
		return out, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *Client) schedulerAddress() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endpoint
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
