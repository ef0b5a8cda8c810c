package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// call is a task in an executor.
type call struct {
	task  *Task
	data  []byte      // of the result so far
	pid   int         // its own process, 0: none
	stuck bool        // it did not end when told to
	end   chan Result // capacity 1
}

// believed is how much memory the announcement of a result is worth.
const believed = 16 << 20

func (p *process) with(id uint64, f func(*call)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[id]; c != nil {
		f(c)
	}
}

// gather adds a piece to a call's result. One that grows too large ends the call,
// and what follows of it is ignored.
func (p *process) gather(id uint64, piece []byte) {
	var t *Task
	p.with(id, func(c *call) {
		if uint64(len(c.data)+len(piece)) > p.m.opts.MaxResult {
			t = c.task
			return
		}
		c.data = append(c.data, piece...)
	})
	if t != nil {
		p.take(id, Result{Failure: &graph.Failure{
			Kind:    graph.FailUser,
			Message: fmt.Sprintf("%s returned more than %d bytes: return less, or write to storage", t.Class.Name, p.m.opts.MaxResult),
		}})
	}
}

// finish ends a call with what was gathered.
func (p *process) finish(id uint64, size uint64, took time.Duration) (err error) {
	var data []byte
	p.with(id, func(c *call) {
		if data = c.data; uint64(len(data)) != size {
			err = protocolError(fmt.Sprintf("task %s: a result of %d bytes, announced as %d", c.task.ID, len(data), size))
		}
	})
	if err == nil {
		p.take(id, Result{Data: data, Took: took})
	}
	return err
}

// take ends a call.
func (p *process) take(id uint64, r Result) {
	p.mu.Lock()
	c := p.calls[id]
	if c != nil {
		delete(p.calls, id)
		if c.stuck {
			p.stuck--
		}
		c.end <- r
	}
	lost := p.stuck > 0 && p.stuck == len(p.calls)
	p.mu.Unlock()
	if lost {
		p.kill() // only calls are left that do not end
	}
}

// serveReads sends pieces of inputs. The executor always reads, so writing to it
// ends.
func (p *process) serveReads() {
	buf := make([]byte, 0, chunkSize)
	for r := range p.feed {
		if r.input == stdinInput {
			p.stdinRead(r)
			continue
		}
		var at io.ReaderAt
		p.with(r.call, func(c *call) {
			if int(r.input) < len(c.task.Inputs) {
				at = c.task.Inputs[r.input].At
			}
		})
		if at == nil {
			continue // the call has ended, and nobody waits
		}
		n, err := at.ReadAt(buf[:r.n], int64(r.offset))
		ok := n == int(r.n)
		p.in.write(kindData, func(b []byte) []byte { //nolint:errcheck // it is ending
			if b = appendDataHead(b, r.id, ok); ok {
				return append(b, buf[:n]...)
			}
			return append(b, fmt.Sprint(err)...)
		})
	}
}

// run runs a task. It reports false when the executor ended before the task
// reached it.
func (p *process) run(ctx context.Context, t *Task) (Result, bool) {
	c := &call{task: t, end: make(chan Result, 1)}
	id, ok := p.begin(c)
	if !ok {
		<-p.done
		return Result{}, false
	}
	defer p.leave()
	err := p.in.write(kindRun, func(b []byte) []byte { return appendRun(b, p.frame(id, t)) })
	if err != nil {
		return p.unheard(id, c)
	}
	// A task that does not end at its time limit, in spite of its executor, costs
	// the executor.
	var late <-chan time.Time
	if limit := t.Class.TimeLimit; limit > 0 {
		timer := time.NewTimer(limit + p.m.opts.Grace + stopSlack)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r := <-c.end:
		return r, true
	case <-late:
		return p.despair(id, c, &graph.Failure{Kind: graph.FailTime, Message: fmt.Sprintf("%s did not end at its time limit of %v", t.Class.Name, t.Class.TimeLimit)}), true
	case <-ctx.Done():
	}
	reason := stopCancelled
	if errors.Is(context.Cause(ctx), errMemory) {
		reason = stopMemory
	}
	p.in.write(kindStop, func(b []byte) []byte { return appendStop(b, id, reason) }) //nolint:errcheck // then it is ending
	timer := time.NewTimer(p.m.opts.Grace + stopSlack)
	defer timer.Stop()
	select {
	case r := <-c.end:
		return r, true
	case <-timer.C:
		return p.despair(id, c, &graph.Failure{Kind: graph.FailCancelled, Message: t.Class.Name + " did not end when it was asked to"}), true
	}
}

// unheard ends a call that could not be written. If the executor was dead already and
// the call counted among those that ended with it, the others must not be left alone.
func (p *process) unheard(id uint64, c *call) (Result, bool) {
	p.mu.Lock()
	counted := p.calls[id] != c
	delete(p.calls, id)
	p.mu.Unlock()
	if counted {
		if r := <-c.end; r.Death == nil || r.Death.Attempts > 1 {
			return r, true
		}
	}
	p.kill()
	<-p.done
	return Result{}, false
}

// stopSlack is what a call gets beyond the grace that its executor gives it.
const stopSlack = 2 * time.Second

// despair gives a call up that does not end. Its executor gets no more calls, and
// is killed when only such calls are left in it: the others are not to blame.
func (p *process) despair(id uint64, c *call, f *graph.Failure) Result {
	p.m.retire(p)
	p.mu.Lock()
	if p.calls[id] == c {
		c.stuck = true
		p.stuck++
	}
	alone := p.stuck > 0 && p.stuck == len(p.calls)
	p.mu.Unlock()
	if alone {
		p.kill()
	}
	r := <-c.end
	if r.Failure != nil && (r.Failure.Kind == graph.FailDied || r.Failure.Kind == graph.FailCancelled) {
		f.Output = r.Failure.Output
		r.Failure = f
	}
	return r
}

// begin enters a call.
func (p *process) begin(c *call) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0, false
	}
	if p.idle != nil {
		p.idle.Stop()
		p.idle = nil
	}
	p.users++
	p.next++
	p.calls[p.next] = c
	return p.next, true
}

// leave ends a use; an executor without any is ended after a while.
func (p *process) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users == 0 && !p.gone {
		p.idle = time.AfterFunc(p.m.opts.IdleTime, p.expire)
	}
}

func (p *process) expire() {
	p.m.retire(p)
	p.mu.Lock()
	used := p.users > 0
	p.mu.Unlock()
	if !used {
		p.end()
	}
}

// Inputs so small are sent along with the task.
const (
	sendInput  = 64 << 10
	sendInputs = 256 << 10
)

// frame describes the task to the executor.
func (p *process) frame(id uint64, t *Task) *run {
	r := &run{
		call: id, kind: t.Class.Kind, task: t.ID, attempt: t.Attempt, limit: t.Class.TimeLimit,
		name: t.Class.Name, spec: t.Class.Spec, payload: t.Payload,
	}
	if len(t.Inputs) == 0 {
		return r
	}
	r.inputs = make([]runInput, len(t.Inputs))
	room := int64(sendInputs)
	for i, in := range t.Inputs {
		r.inputs[i] = runInput{task: in.Task, size: uint64(in.Size)}
		if in.Size <= sendInput && in.Size <= room {
			data := make([]byte, in.Size)
			if n, _ := in.At.ReadAt(data, 0); int64(n) == in.Size {
				r.inputs[i].sent, r.inputs[i].data = true, data
				room -= in.Size
			}
		}
	}
	return r
}
