package executor

import (
	"github.com/yarnd/yarnd/engine/graph"
)

// Inputs that are sent along with their task. Small ones are, as far as they are
// believed to fit into the executor's memory; larger ones as long as they are few.
const (
	smallInput  = 4 << 10
	smallInputs = 128 << 20
	sendInput   = 64 << 10
	sendInputs  = 256 << 10
	// frameFull is where a frame is written, in bytes.
	frameFull = 1 << 20
)

// atOnce is how many bytes whoever hands something over may write itself.
const atOnce = 4 << 10

// wake has what there is to write written: at once if it is little and the pipe has room,
// which costs less than to wake the writer.
func (p *process) wake() {
	if p.pen.TryLock() {
		done := p.writeAtOnce()
		p.pen.Unlock()
		if done {
			return
		}
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// writeAtOnce reports whether nothing is left to the writer. It does not wait. Called
// with the pen.
func (p *process) writeAtOnce() bool {
	if p.in.raw == nil || !p.in.mu.TryLock() {
		return false
	}
	defer p.in.mu.Unlock()
	p.mu.Lock()
	if !p.little() {
		p.mu.Unlock()
		return false
	}
	w := &p.writer
	p.takeWaiting(w)
	w.now, w.buf = true, w.buf[:0]
	w.all()
	w.now = false
	if p.in.err == nil {
		p.in.err = p.in.raw.Offer(w.buf)
	}
	return p.in.raw.Rest() == 0
}

// little reports whether what there is to write is little and needs nothing to be read.
// Called with p.mu.
func (p *process) little() bool {
	n := len(p.orders) + 8*len(p.recalls)
	for _, t := range p.pending {
		n += rowLen + minClass + len(t.Payload) + len(t.Class.Name) + len(t.Class.Spec)
		for i := range t.Inputs {
			in := &t.Inputs[i]
			if n += inputLen + len(in.Data); in.At != nil || in.Far {
				return false
			}
		}
		if n > atOnce {
			return false
		}
	}
	return n <= atOnce
}

// takeWaiting gives w what there is to write. Called with p.mu, which it gives up.
func (p *process) takeWaiting(w *taskWriter) {
	w.tasks, w.recalls, w.orders = p.pending, p.recalls, p.orders
	p.pending, p.recalls, p.orders = w.spare, nil, nil
	w.body.limit = uint32(p.limit)
	p.mu.Unlock()
}

// write writes what there is to write, all of it at a time, until quit is closed.
func (p *process) write(quit <-chan struct{}) {
	for {
		select {
		case <-p.kick:
		case <-quit:
			return
		}
		p.pen.Lock()
		p.in.settle()
		p.mu.Lock()
		p.takeWaiting(&p.writer)
		p.writer.all()
		p.pen.Unlock()
	}
}

// all writes what w was given.
func (w *taskWriter) all() {
	for _, t := range w.tasks {
		w.add(t)
	}
	w.flush()
	clear(w.tasks)
	w.spare, w.tasks = w.tasks[:0], nil
	if len(w.recalls) > 0 {
		w.frame(kindRecall, func(b []byte) []byte { return appendCalls(b, w.recalls) })
	}
	if len(w.orders) > 0 {
		w.frames(func(b []byte) []byte { return append(b, w.orders...) })
	}
	w.recalls, w.orders = nil, nil
}

// frame writes a frame, or has it gather in buf.
func (w *taskWriter) frame(k kind, body func([]byte) []byte) {
	w.frames(func(b []byte) []byte { return endFrame(body(beginFrame(b, k)), len(b)) })
}

func (w *taskWriter) frames(f func([]byte) []byte) {
	if w.now {
		w.buf = f(w.buf)
		return
	}
	w.p.in.writeAll(f) //nolint:errcheck // it is ending
}

// taskWriter makes frames of tasks.
type taskWriter struct {
	p       *process
	tasks   []*Task // to be written
	recalls []uint64
	orders  []byte
	spare   []*Task
	now     bool   // frames gather in buf
	buf     []byte // at most about atOnce

	body  runs
	of    map[*graph.Class]uint32 // numbers in body.classes
	last  *graph.Class            // of the last row
	size  int                     // of body, about
	arena []byte                  // for inputs that are read
}

// add appends a row for t; what is full is written.
func (w *taskWriter) add(t *Task) {
	first := len(w.body.inputs)
	room := [2]int64{smallInputs, sendInputs}
	for i := range t.Inputs {
		in := runInput{task: t.Inputs[i].Task, size: uint64(t.Inputs[i].Size)}
		w.load(&in, &t.Inputs[i], &room)
		w.body.inputs = append(w.body.inputs, in)
		w.size += inputLen + len(in.data)
		if w.size < frameFull {
			continue
		}
		if first > 0 || len(w.body.rows) > 0 { // those of the rows before go with them
			mine := w.body.inputs[first:]
			w.body.inputs = w.body.inputs[:first]
			w.flush()
			w.body.inputs, first = append(w.body.inputs, mine...), 0
		}
		w.inputsBefore(t)
	}
	w.body.rows = append(w.body.rows, runRow{
		call: t.id, task: t.ID, attempt: t.Attempt, class: w.class(t.Class),
		inputs: uint32(len(w.body.inputs) - first), payload: t.Payload,
	})
	if w.size += rowLen + len(t.Payload); w.size >= frameFull {
		w.flush()
	}
}

// inputsBefore writes the inputs of t that are in body.
func (w *taskWriter) inputsBefore(t *Task) {
	w.frame(kindInputs, func(b []byte) []byte { return appendInputsOf(b, t.id, w.body.inputs) })
	w.reset()
}

// load takes an input along, if it is small and there is room for it.
func (w *taskWriter) load(in *runInput, from *TaskInput, room *[2]int64) {
	left := &room[0]
	if from.Size > smallInput {
		left = &room[1]
	}
	if from.Far || from.Size > sendInput || from.Size > *left {
		return
	}
	data := from.Data
	if from.At != nil {
		if n := int(from.Size); len(w.arena)+n > cap(w.arena) {
			w.arena = make([]byte, 0, max(n, sendInput))
		}
		n := len(w.arena)
		w.arena = w.arena[:n+int(from.Size)]
		data = w.arena[n:]
		if n, _ := from.At.ReadAt(data, 0); n < len(data) {
			return // the executor will hear it when it asks
		}
	}
	*left -= from.Size
	in.sent, in.data = true, data
}

// class returns the number of a class in body.
func (w *taskWriter) class(c *graph.Class) uint32 {
	if c == w.last {
		return w.of[c]
	}
	n, ok := w.of[c]
	if !ok {
		if n = uint32(len(w.body.classes)); w.of == nil {
			w.of = map[*graph.Class]uint32{}
		}
		w.of[c] = n
		w.body.classes = append(w.body.classes, runClass{kind: c.Kind, slots: c.Resources.Slots, limit: c.TimeLimit, name: c.Name, spec: c.Spec})
		w.size += minClass + len(c.Name) + len(c.Spec)
	}
	w.last = c
	return n
}

// flush writes the rows in body.
func (w *taskWriter) flush() {
	if len(w.body.rows) > 0 {
		w.frame(kindRuns, func(b []byte) []byte { return appendRuns(b, &w.body) })
	}
	w.reset()
}

// reset empties body and lets go what is large.
func (w *taskWriter) reset() {
	b := &w.body
	clear(b.rows)
	clear(b.classes)
	clear(b.inputs)
	b.rows, b.classes, b.inputs = b.rows[:0], b.classes[:0], b.inputs[:0]
	clear(w.of)
	w.last, w.size, w.arena = nil, 0, nil
}
