package server

import (
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

const (
	// An Assign frame is sent at the latest with so many rows or bytes.
	maxAssignRows  = 4096
	maxAssignBytes = 4 << 20
	// Inline inputs of one task beyond so many bytes are fetched from the scheduler
	// instead, into the worker's store: they may be more than it has memory for.
	maxInlineInputs = 128 << 20
)

// outbox gathers one turn's frames for one worker.
type outbox struct {
	touched bool
	peers   wire.Peers
	classes []*wire.Classes
	over    []graph.JobID // jobs to forget
	assign  wire.Assign
	large   bool // assign goes on with what the frame before began
	stop    wire.Tasks
	retract wire.Tasks
	free    wire.Tasks
	copies  wire.Copy
}

// outboxOf returns a worker's outbox and notes that it is to be flushed.
func (l *loop) outboxOf(w *worker) *outbox {
	if !w.out.touched {
		w.out.touched = true
		l.touched = append(l.touched, w)
	}
	return &w.out
}

// reached returns the worker that has a connection, or nil. What is meant for one
// without is lost on purpose: WorkerLeft follows.
func (l *loop) reached(id graph.WorkerID) *worker {
	if w := l.workers[id]; w != nil && w.conn != nil {
		return w
	}
	return nil
}

// apply does what the core wants done, in the order of Output.
func (l *loop) apply(out *sched.Output) {
	for i := range out.Assign {
		l.assign(&out.Assign[i], out.Inputs)
	}
	for _, o := range out.Stop {
		if w := l.reached(o.Worker); w != nil {
			l.outboxOf(w).stop.Add(o.Task, o.Attempt)
		}
		l.stopNest(o)
	}
	for _, o := range out.Retract {
		if w := l.reached(o.Worker); w != nil {
			l.outboxOf(w).retract.Add(o.Task, o.Attempt)
		}
	}
	for _, o := range out.Free {
		if o.Worker == 0 {
			if j := l.jobs[o.Task.Job]; j != nil {
				j.inline.drop(o.Task.Index, o.Attempt)
			}
		} else {
			l.free(o)
		}
	}
	for _, c := range out.Copy {
		if w := l.reached(c.To); w != nil {
			w.meet(l, c.From)
			l.outboxOf(w).copies.Add(c.Task, c.Attempt, c.Size, c.From)
		}
	}
	for i := range out.Ended {
		l.ended(&out.Ended[i])
	}
	for _, r := range out.Cancelled {
		l.cancelled(r)
	}
	for _, t := range out.Forget {
		l.mailOf(t)
		if j := l.jobs[t.Job]; j != nil {
			j.forget(t.Index)
		}
	}
	for _, r := range out.Forgotten {
		if j := l.jobs[r.Job]; j != nil {
			j.forgetRun(r)
		}
	}
	for _, id := range out.Gone {
		l.gone(id)
	}
	l.retire(out.Retired)
}

// assign adds an attempt to its worker's frame, with what the worker must know
// first: the class, and the holders of inputs.
func (l *loop) assign(a *sched.Assign, inputs []sched.Input) {
	w := l.reached(a.Worker)
	if w == nil {
		return
	}
	j := l.jobs[a.Task.Job]
	class, payload := j.chunkOf(a.Task.Index).spec(a.Task.Index)
	o := l.outboxOf(w)
	if o.assign.Len() >= maxAssignRows || o.assign.Bytes()+len(payload) > maxAssignBytes {
		w.flush()
		o = l.outboxOf(w)
	}
	w.learn(l, j, class)
	o.assign.Add(a.Task, a.Attempt, class, payload)
	inline := 0
	for _, in := range inputs[a.From:a.To] {
		if o.assign.Bytes() > maxAssignBytes {
			o.assign.More = 1
			w.flush()
			o = l.outboxOf(w)
			o.large = true
			o.assign.Add(a.Task, a.Attempt, class, nil)
		}
		row := wire.Input{Task: in.Task, Attempt: in.Attempt, Size: in.Size}
		if in.Inline {
			row.Inline, row.Holders = l.inlineInput(&in, &inline)
		}
		for _, h := range in.Held {
			if h != 0 {
				w.meet(l, h)
				row.Holders = append(row.Holders, uint32(h))
			}
		}
		if len(row.Holders) > 0 {
			row.Inline = nil
		}
		o.assign.AddInput(row)
	}
}

// inlineInput returns an inline result's bytes, or the scheduler as its holder when
// the task has had its share of bytes.
func (l *loop) inlineInput(in *sched.Input, used *int) ([]byte, []uint32) {
	j := l.jobs[in.Task.Job]
	b, ok := j.inline.get(in.Task.Index, in.Attempt)
	if !ok {
		// The worker asks for it in vain and reports that, which the core counts as a setback.
		l.log.Error("an inline result is not there", "task", in.Task.String(), "attempt", in.Attempt)
		return nil, []uint32{0}
	}
	if *used += len(b); *used > maxInlineInputs {
		return nil, []uint32{0}
	}
	return b, nil
}

// meet introduces another worker.
func (w *worker) meet(l *loop, id graph.WorkerID) {
	if id == 0 || w.peers[id] {
		return
	}
	if other := l.workers[id]; other != nil {
		w.peers[id] = true
		l.outboxOf(w).peers.Add(other.location())
	}
}

// learn declares a class.
func (w *worker) learn(l *loop, j *job, id graph.ClassID) {
	known := w.classes[j.id]
	if known.has(uint32(id)) {
		return
	}
	w.classes[j.id] = known.with(uint32(id))
	o := l.outboxOf(w)
	if n := len(o.classes); n == 0 || o.classes[n-1].Job != uint32(j.id) {
		o.classes = append(o.classes, &wire.Classes{Job: uint32(j.id)})
	}
	last := o.classes[len(o.classes)-1]
	last.Class = append(last.Class, wire.ClassToWire(id, &j.classes[id]))
}

// flush sends a worker's frames. A push that fails has closed the connection, and
// its reader tells the loop.
func (w *worker) flush() {
	o := &w.out
	if w.conn != nil {
		o.push(w.conn)
	}
	o.touched = false
	o.classes, o.over = nil, nil
	o.peers.Clear()
	o.assign.Clear()
	o.large = false
	o.stop.Clear()
	o.retract.Clear()
	o.free.Clear()
	o.copies.Clear()
}

// push sends what there is, introductions first.
func (o *outbox) push(c *wire.Conn) {
	if o.peers.Len() > 0 {
		c.Put(wire.KindPeers, &o.peers) //nolint:errcheck // see flush
	}
	for _, m := range o.classes {
		c.Put(wire.KindClasses, m) //nolint:errcheck // see flush
	}
	if o.large || o.assign.More > 0 {
		c.PutPart(wire.KindAssign, &o.assign) //nolint:errcheck // see flush
	} else if o.assign.Len() > 0 {
		c.Put(wire.KindAssign, &o.assign) //nolint:errcheck // see flush
	}
	if o.stop.Len() > 0 {
		c.Put(wire.KindStop, &o.stop) //nolint:errcheck // see flush
	}
	if o.retract.Len() > 0 {
		c.Put(wire.KindRetract, &o.retract) //nolint:errcheck // see flush
	}
	if o.free.Len() > 0 {
		c.Put(wire.KindFree, &o.free) //nolint:errcheck // see flush
	}
	if o.copies.Len() > 0 {
		c.Put(wire.KindCopy, &o.copies) //nolint:errcheck // see flush
	}
	for _, id := range o.over {
		c.Put(wire.KindClasses, &wire.Classes{Job: uint32(id)}) //nolint:errcheck // see flush
	}
	c.Depart()
}

// bitset is a set of small numbers.
type bitset []uint64

func (b bitset) has(n uint32) bool { return int(n/64) < len(b) && b[n/64]>>(n%64)&1 == 1 }

func (b bitset) with(n uint32) bitset {
	for int(n/64) >= len(b) {
		b = append(b, 0)
	}
	b[n/64] |= 1 << (n % 64)
	return b
}
