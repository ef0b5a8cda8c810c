package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// watch asks for outcomes as they come, once. Called with j.mu.
func (j *Job) watch() {
	if j.watching {
		return
	}
	j.watching = true
	_ = j.c.start(&call{ // an error: the job fails, and so do its cells
		job:    j,
		stream: true,
		req:    &wire.Request{Body: &wire.Request_Watch{Watch: &wire.Watch{Job: uint32(j.id)}}},
		done: func(r *wire.Reply, err error) {
			if err != nil {
				if _, said := errors.AsType[*wire.Error](err); said {
					err = &Error{Kind: ErrJobClosed, Err: fmt.Errorf("job %d: %w", j.id, err)}
				}
				j.fail(err)
				return
			}
			j.ended(r.GetEnded())
		},
	})
}

// ended takes outcomes in.
func (j *Job) ended(m *wire.Ended) {
	if m == nil {
		return
	}
	var to news
	j.mu.Lock()
	for _, i := range m.Again {
		if c := j.find(i); c.held() {
			c.again()
		}
	}
	for o, attempt := range m.Outcomes {
		c := j.find(o.Task.Index)
		if !c.held() {
			continue
		}
		out := Outcome{Outcome: o, Attempt: attempt}
		if c.failed() { // retried, and ended again before this side was told of either
			c.put(&out)
		}
		c.end(&out, &to)
	}
	j.mu.Unlock()
	to.tell()
}

// Hold takes an interest in a task that was submitted earlier, perhaps by another
// client. It does nothing for a task that is held already.
func (j *Job) Hold(index uint32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.find(index).held() {
		return
	}
	c := j.hold(index)
	if j.err != nil {
		c.end(&Outcome{Err: j.err}, new(news))
		return
	}
	j.locate(index, func(o *Outcome) {
		var to news
		j.mu.Lock()
		switch c := j.find(index); {
		case !c.held(): // released meanwhile
		case o != nil:
			if c.end(o, &to); c.failed() {
				j.watch() // it may be retried
			}
		default:
			// It has not ended. What a watch has told so far was not kept, but of this
			// task it can only have told since we asked, when the cell was here.
			j.watch()
		}
		j.mu.Unlock()
		to.tell()
	})
}

var closedChan = func() chan struct{} { ch := make(chan struct{}); close(ch); return ch }()

// Done returns a channel that is closed when the task has an outcome, or was
// released.
func (j *Job) Done(index uint32) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.find(index)
	if !c.held() || c.p.state[c.i] != pending {
		return closedChan
	}
	return c.wait()
}

// Peek returns the task's outcome if it has one. A task that is not held has an
// outcome with ErrReleased.
func (j *Job) Peek(index uint32) (o Outcome, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bare(index) != nil {
		return o, false
	}
	if c := j.find(index); c.held() {
		return c.outcome(graph.TaskID{Job: j.id, Index: index})
	}
	return Outcome{Err: ErrReleased}, true
}

// Wait waits for the task's outcome. The end of ctx ends the wait, not the task.
func (j *Job) Wait(ctx context.Context, index uint32) (Outcome, error) {
	if out, ok := j.Peek(index); ok {
		return out, out.Err
	}
	defer j.c.Wait()()
	for {
		if out, ok := j.Peek(index); ok {
			return out, out.Err
		}
		select {
		case <-j.Done(index):
		case <-ctx.Done():
			return Outcome{}, context.Cause(ctx)
		}
	}
}

// Notify has sink told tag when the task has an outcome, besides others, or at once if
// it has one.
func (j *Job) Notify(index uint32, sink Sink, tag uint32) {
	j.mu.Lock()
	c := j.find(index)
	waits := c.held() && c.p.state[c.i] == pending
	if waits {
		c.tell(told{sink, tag})
	}
	j.mu.Unlock()
	if !waits {
		sink.Ended([]uint32{tag})
	}
}
