package executor

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// callTable holds the tasks in an executor by the ids of their calls: the place in the
// table and, in the upper half, how often it has been used, so that what is said about
// an ended call finds nothing.
type callTable struct {
	rows  []callRow
	free  []uint32
	count int
}

type callRow struct {
	task *Task
	uses uint32
}

// add gives t an id, which is not 0.
func (c *callTable) add(t *Task) {
	if len(c.free) == 0 {
		c.free = append(c.free, uint32(len(c.rows)))
		c.rows = append(c.rows, callRow{})
	}
	i := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	row := &c.rows[i]
	if row.uses++; row.uses == 0 {
		row.uses = 1
	}
	row.task = t
	c.count++
	t.id = uint64(row.uses)<<32 | uint64(i)
}

// get returns the task of a call, nil if there is none, or no longer.
func (c *callTable) get(id uint64) *Task {
	i := uint32(id)
	if int64(i) >= int64(len(c.rows)) || c.rows[i].uses != uint32(id>>32) {
		return nil
	}
	return c.rows[i].task
}

func (c *callTable) remove(t *Task) {
	i := uint32(t.id)
	c.rows[i].task = nil
	c.free = append(c.free, i)
	c.count--
}

// all returns the tasks in the order in which they were handed over.
func (c *callTable) all() []*Task {
	tasks := make([]*Task, 0, c.count)
	for i := range c.rows {
		if t := c.rows[i].task; t != nil {
			tasks = append(tasks, t)
		}
	}
	slices.SortFunc(tasks, func(a, b *Task) int { return int(int64(a.order - b.order)) })
	return tasks
}

// stopSlack is what a call gets beyond the grace that its executor gives it.
const stopSlack = 2 * time.Second

// hand takes a task that nobody has. It reports false when the process is gone. Called
// with Manager.mu.
func (p *process) hand(t *Task, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	t.in = p
	t.data, t.pid, t.moves, t.parked, t.over = nil, 0, false, false, time.Time{}
	if t.sink != nil { // what an executor gave of it that is no more
		t.sink.abort()
		t.sink = nil
	}
	p.order++
	t.order = p.order
	p.calls.add(t)
	p.limit = limit
	p.pending = append(p.pending, t)
	if !t.Ahead {
		p.limitTime(t)
	}
	return true
}

// limitTime notes until when t must have ended, in spite of its executor.
func (p *process) limitTime(t *Task) {
	if limit := t.Class.TimeLimit; limit > 0 {
		p.mustEnd(t, graph.FailTime, limit)
	}
}

// mustEnd notes the same of whatever else ends it, if that is sooner.
func (p *process) mustEnd(t *Task, why graph.FailKind, in time.Duration) {
	over := time.Now().Add(in + p.m.opts.Grace + stopSlack)
	if t.over.IsZero() {
		p.timed = append(p.timed, t)
	} else if t.over.Before(over) {
		return
	}
	t.over, t.overFor = over, why
}

func (p *process) begun(t *Task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls.get(t.id) == t {
		p.limitTime(t)
	}
}

// stop tells the executor to end a call. It reports whether there is something to write.
func (p *process) stop(t *Task, reason byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls.get(t.id) != t {
		return false
	}
	why := graph.FailCancelled
	if reason == stopMemory {
		why = graph.FailMemory
	}
	p.mustEnd(t, why, 0)
	p.say(kindStop, func(b []byte) []byte { return appendStop(b, t.id, reason) })
	return true
}

// recall asks the executor for a call, for the manager's caller or to move it to another
// process.
func (p *process) recall(t *Task, move bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls.get(t.id) != t {
		return false
	}
	t.moves = t.moves || move
	p.recalls = append(p.recalls, t.id)
	return true
}

// say queues a frame. Called with p.mu.
func (p *process) say(k kind, body func([]byte) []byte) {
	start := len(p.orders)
	p.orders = endFrame(body(beginFrame(p.orders, k)), start)
}

// with calls f with the task of a call that is under way.
func (p *process) with(id uint64, f func(*Task)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.calls.get(id); t != nil {
		f(t)
	}
}

// believed is how much memory the announcement of a result is worth.
const believed = 16 << 20

// gather adds a piece to a call's result. One that grows too large ends the call, and
// what follows of it is ignored. Called with p.mu.
func (p *process) gather(t *Task, size uint64, piece []byte, n *turn) {
	if uint64(len(t.data)+len(piece)) > p.m.opts.MaxResult {
		p.refuse(t, p.tooMuch(t), n)
		return
	}
	if t.data == nil { // room for all of it, as far as that is to be believed
		t.data = make([]byte, 0, min(size, believed))
	}
	t.data = append(t.data, piece...)
}

// refuse ends a call whose result is not taken. The executor of functions hears that, and sends no more of it: until it has sent all, which
// may have no end, its slot is taken, and what was handed to it waits. Called with p.mu.
func (p *process) refuse(t *Task, why *graph.Failure, n *turn) {
	if t.Class.Kind == graph.KindGo {
		p.say(kindStop, func(b []byte) []byte { return appendStop(b, t.id, stopCancelled) })
		n.wakes(p)
	}
	p.end(t, Result{Failure: why}, n)
}

// tooMuch is the failure of a task whose result is too large.
func (p *process) tooMuch(t *Task) *graph.Failure {
	return &graph.Failure{
		Kind:    graph.FailUser,
		Message: fmt.Sprintf("%s returned more than %d bytes: return less, or write to storage", t.Class.Name, p.m.opts.MaxResult),
	}
}

// finish ends a call with its result. Called with p.mu.
func (p *process) finish(t *Task, r doneRow, n *turn) error {
	end := Result{Data: r.last, Took: r.took}
	have, pieces := uint64(len(r.last)), true
	switch {
	case t.sink != nil:
		end.Data, end.Sink, have = nil, t.sink.to, t.sink.have
	case t.data != nil:
		end.Data, have = t.data, uint64(len(t.data))
	default:
		pieces = false
	}
	if have != r.size || pieces && len(r.last) > 0 || len(r.last) > smallResult {
		return protocolError(fmt.Sprintf("task %s: a result of %d bytes and %d more, announced as %d", t.ID, have, len(r.last), r.size))
	}
	if have > p.m.opts.MaxResult {
		end = Result{Failure: p.tooMuch(t)}
	}
	p.end(t, end, n)
	return nil
}

// end takes a call out and reports its end. Called with p.mu.
func (p *process) end(t *Task, r Result, n *turn) {
	p.drop(t)
	if t.stuck != nil && r.Failure != nil && r.Failure.Kind == graph.FailCancelled {
		t.stuck.Output, r.Failure = r.Failure.Output, t.stuck
	}
	n.end(t, r)
}

// drop takes a call out. Called with p.mu.
func (p *process) drop(t *Task) {
	p.calls.remove(t)
	if p.calls.count == 0 {
		p.used = time.Now()
	}
}

// recalled handles answers to Recall.
func (p *process) recalled(ids []uint64, ok []bool) {
	var n turn
	var moved []*Task
	p.mu.Lock()
	for i, id := range ids {
		t := p.calls.get(id)
		switch {
		case t == nil: // it has ended
		case t.moves:
			if t.moves = false; ok[i] {
				p.drop(t)
				moved = append(moved, t)
			}
		case ok[i]:
			p.drop(t)
			n.reports = append(n.reports, Report{Task: t, What: Recalled})
		default:
			n.reports = append(n.reports, Report{Task: t, What: Kept})
		}
	}
	p.mu.Unlock()
	m := p.m
	m.mu.Lock()
	for i := range n.reports {
		n.reports[i].Task.recall = false
	}
	for _, t := range moved {
		m.enqueue(t, &n)
	}
	m.settle(&n)
	m.mu.Unlock()
	m.do(&n)
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
		var in *TaskInput
		p.with(r.call, func(t *Task) {
			if int64(r.input) < int64(len(t.Inputs)) {
				in = &t.Inputs[r.input]
			}
		})
		if in == nil {
			continue // the call has ended, and nobody waits
		}
		if in.Far {
			p.far.add(p, r, in)
			continue
		}
		p.sendPiece(r, in, buf)
	}
}

// sendPiece answers a read. buf has room for it.
func (p *process) sendPiece(r read, in *TaskInput, buf []byte) {
	n, err := in.readAt(buf[:r.n], int64(r.offset))
	ok := n == int(r.n)
	p.in.write(kindData, func(b []byte) []byte { //nolint:errcheck // it is ending
		if b = appendDataHead(b, r.id, ok); ok {
			return append(b, buf[:n]...)
		}
		return append(b, fmt.Sprint(err)...)
	})
}

func (in *TaskInput) readAt(b []byte, offset int64) (int, error) {
	if in.At != nil {
		return in.At.ReadAt(b, offset)
	}
	if offset >= int64(len(in.Data)) {
		return 0, io.EOF
	}
	n := copy(b, in.Data[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// tend looks after what should have ended: an executor without calls, and calls that do
// not keep to their time. Their executor gets no more calls, and is killed when only
// such calls run in it: the others are not to blame.
func (p *process) tend(now time.Time) {
	p.mu.Lock()
	idle := !p.gone && !p.used.IsZero() && p.calls.count == 0 && len(p.pending) == 0 && now.Sub(p.used) > p.m.opts.IdleTime
	late := p.late(now)
	stuck := p.hasStuck
	p.mu.Unlock()
	if idle {
		p.m.expire(p)
	}
	if late {
		p.m.retire(p)
		p.moveRest()
	}
	if stuck && p.onlyStuck() {
		p.kill()
	}
}

// late finds calls that should have ended by now. Called with p.mu.
func (p *process) late(now time.Time) (found bool) {
	p.timed = slices.DeleteFunc(p.timed, func(t *Task) bool {
		if p.calls.get(t.id) != t {
			return true
		}
		if now.Before(t.over) {
			return false
		}
		what := " did not end when it was asked to"
		if t.overFor == graph.FailTime {
			what = fmt.Sprintf(" did not end at its time limit of %v", t.Class.TimeLimit)
		}
		t.stuck = &graph.Failure{Kind: t.overFor, Message: t.Class.Name + what}
		p.hasStuck, found = true, true
		return true
	})
	return found
}

// moveRest recalls what has not begun, for the next process.
func (p *process) moveRest() {
	p.mu.Lock()
	for _, t := range p.calls.all() {
		if t.stuck == nil {
			t.moves = true
			p.recalls = append(p.recalls, t.id)
		}
	}
	p.mu.Unlock()
	p.wake()
}

// onlyStuck reports whether nothing runs but calls that do not end.
func (p *process) onlyStuck() bool {
	ids := p.running()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if t := p.calls.get(id); t != nil && t.stuck == nil {
			return false
		}
	}
	return true
}

// taken returns how many slots the calls take that have not ended.
func (p *process) taken() (slots int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.calls.all() {
		if !t.parked {
			slots += t.slots()
		}
	}
	return slots
}
