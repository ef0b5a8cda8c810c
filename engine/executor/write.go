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

// wake has the writer look.
func (p *process) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// write writes what there is to write, all of it at a time, until quit is closed.
func (p *process) write(quit <-chan struct{}) {
	w := &taskWriter{p: p}
	for {
		select {
		case <-p.kick:
		case <-quit:
			return
		}
		p.mu.Lock()
		tasks, recalls, orders := p.pending, p.recalls, p.orders
		p.pending, p.recalls, p.orders = w.spare, nil, nil
		w.body.limit = uint32(p.limit)
		p.mu.Unlock()
		for _, t := range tasks {
			w.add(t)
		}
		w.flush()
		clear(tasks)
		w.spare = tasks[:0]
		if len(recalls) > 0 {
			p.in.write(kindRecall, func(b []byte) []byte { return appendCalls(b, recalls) }) //nolint:errcheck // it is ending
		}
		p.in.writeAll(func(b []byte) []byte { return append(b, orders...) }) //nolint:errcheck // it is ending
	}
}

// taskWriter makes frames of tasks.
type taskWriter struct {
	p     *process
	spare []*Task
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
	w.p.in.write(kindInputs, func(b []byte) []byte { return appendInputsOf(b, t.id, w.body.inputs) }) //nolint:errcheck // it is ending
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
		w.p.in.write(kindRuns, func(b []byte) []byte { return appendRuns(b, &w.body) }) //nolint:errcheck // it is ending
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
