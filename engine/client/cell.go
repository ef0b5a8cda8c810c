package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// Outcome is how a task ended, or why that will not be known.
type Outcome struct {
	graph.Outcome
	Attempt graph.Attempt
	Err     error // there will be no outcome
}

// IsInline reports whether the result's bytes are here.
func (o *Outcome) IsInline() bool {
	return o.Failure == nil && len(o.Holders) == 0 && uint64(len(o.Inline)) == o.Size
}

// cell is what is known of one task. A cell exists from Submit (or Hold) until
// Release.
type cell struct {
	out  *Outcome      // nil until there is one; then changes in where a result is, and when a failed task is retried
	done chan struct{} // closed with out; made when somebody waits
	sink Sink
	tag  uint32 // what the sink is told
	held bool
}

const pageSize = 256

type page struct {
	live  int // cells that are held
	cells [pageSize]cell
}

// table holds a job's cells. Guarded by Job.mu.
type table struct {
	pages    map[uint32]*page
	watching bool
}

func (t *table) find(index uint32) *cell {
	if p := t.pages[index/pageSize]; p != nil && p.cells[index%pageSize].held {
		return &p.cells[index%pageSize]
	}
	return nil
}

// hold returns the task's cell, a new one if it has none.
func (t *table) hold(index uint32) *cell {
	p := t.pages[index/pageSize]
	if p == nil {
		if t.pages == nil {
			t.pages = map[uint32]*page{}
		}
		p = new(page)
		t.pages[index/pageSize] = p
	}
	c := &p.cells[index%pageSize]
	if !c.held {
		*c = cell{held: true}
		p.live++
	}
	return c
}

func (t *table) forget(index uint32) {
	p := t.pages[index/pageSize]
	p.cells[index%pageSize] = cell{}
	if p.live--; p.live == 0 {
		delete(t.pages, index/pageSize)
	}
}

// sinks are to be told, once the lock is given back.
type sinks []told

type told struct {
	sink Sink
	tag  uint32
}

func (s sinks) tell() {
	for _, t := range s {
		t.sink.Ended(t.tag)
	}
}

// set gives a cell its outcome, the first time.
func (c *cell) set(out *Outcome, to *sinks) {
	if c.out != nil {
		return
	}
	c.out = out
	if c.done != nil {
		close(c.done)
	}
	if c.sink != nil {
		*to = append(*to, told{c.sink, c.tag})
		c.sink = nil // once, whatever a retry brings
	}
}

// failed reports whether what is known of the task is that it failed.
func (c *cell) failed() bool { return c.out != nil && c.out.Failure != nil }

// again takes in that the task, which had failed, runs again: who asks from now on
// waits for its new outcome.
func (c *cell) again() {
	if c.failed() {
		c.out, c.done = nil, nil
	}
}

func (t *table) failCells(err error) (to sinks) {
	out := &Outcome{Err: err}
	for _, p := range t.pages {
		for i := range p.cells {
			if c := &p.cells[i]; c.held {
				c.set(out, &to)
			}
		}
	}
	return to
}

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
	outs := make([]Outcome, m.Len())
	n := 0
	var to sinks
	j.mu.Lock()
	for _, i := range m.Again {
		if c := j.find(i); c != nil {
			c.again()
		}
	}
	for o, attempt := range m.Outcomes {
		if c := j.find(o.Task.Index); c != nil {
			outs[n] = Outcome{Outcome: o, Attempt: attempt}
			if c.failed() { // retried, and ended again before this side was told of either
				c.out = &outs[n]
			}
			c.set(&outs[n], &to)
		}
		n++
	}
	j.mu.Unlock()
	to.tell()
}

// Hold takes an interest in a task that was submitted earlier, perhaps by another
// client. It does nothing for a task that is held already.
func (j *Job) Hold(index uint32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.find(index) != nil {
		return
	}
	c := j.hold(index)
	if j.err != nil {
		c.set(&Outcome{Err: j.err}, new(sinks))
		return
	}
	j.locate(index, func(o *Outcome) {
		var to sinks
		j.mu.Lock()
		switch c := j.find(index); {
		case c == nil: // released meanwhile
		case o != nil:
			if c.set(o, &to); c.failed() {
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
	if c == nil || c.out != nil {
		return closedChan
	}
	if c.done == nil {
		c.done = make(chan struct{})
	}
	return c.done
}

// Peek returns the task's outcome if it has one. A task that is not held has an
// outcome with ErrReleased.
func (j *Job) Peek(index uint32) *Outcome {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c := j.find(index); c != nil {
		return c.out
	}
	return &Outcome{Err: ErrReleased}
}

// Wait waits for the task's outcome. The end of ctx ends the wait, not the task.
func (j *Job) Wait(ctx context.Context, index uint32) (*Outcome, error) {
	for {
		if out := j.Peek(index); out != nil {
			return out, out.Err
		}
		select {
		case <-j.Done(index):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
