package executor

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// runs are tasks to run: the body of a Runs frame. Rows of one class share its name
// and spec, and every other field of theirs stands in a column.
type runs struct {
	limit   uint32 // slots that may be taken at once, from now on
	classes []runClass
	rows    []runRow
	inputs  []runInput // of the rows, in their order
}

// runClass is what rows have in common.
type runClass struct {
	kind  graph.Kind
	slots uint16
	limit time.Duration // 0 is none
	name  string
	spec  []byte
}

// runRow is a task to run.
type runRow struct {
	call    uint64
	task    graph.TaskID
	attempt graph.Attempt
	class   uint32 // of runs.classes
	inputs  uint32 // of runs.inputs; what came in Inputs frames is not counted
	payload []byte
}

// runInput is an input of a task. One that is not sent is read piece by piece.
type runInput struct {
	task graph.TaskID
	size uint64
	sent bool
	data []byte
}

const (
	minClass  = 1 + 2 + 8 + 4 + 4
	rowLen    = 8 + 4 + 4 + 4 + 4 + 4 + 4
	inputLen  = 4 + 4 + 8 + 1
	runsHead  = 4 + 4 + 4
	inputsLen = 4
)

func appendRuns(dst []byte, r *runs) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, r.limit)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.classes)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.rows)))
	for i := range r.classes {
		c := &r.classes[i]
		dst = append(dst, byte(c.kind))
		dst = binary.LittleEndian.AppendUint16(dst, c.slots)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.limit.Microseconds()))
		dst = appendBytes(dst, c.name)
		dst = appendBytes(dst, c.spec)
	}
	for i := range r.rows {
		dst = binary.LittleEndian.AppendUint64(dst, r.rows[i].call)
	}
	for _, column := range []func(*runRow) uint32{
		func(w *runRow) uint32 { return uint32(w.task.Job) },
		func(w *runRow) uint32 { return w.task.Index },
		func(w *runRow) uint32 { return uint32(w.attempt) },
		func(w *runRow) uint32 { return w.class },
		func(w *runRow) uint32 { return w.inputs },
		func(w *runRow) uint32 { return uint32(len(w.payload)) },
	} {
		for i := range r.rows {
			dst = binary.LittleEndian.AppendUint32(dst, column(&r.rows[i]))
		}
	}
	for i := range r.rows {
		dst = append(dst, r.rows[i].payload...)
	}
	return appendInputs(dst, r.inputs)
}

// appendInputs appends inputs: how many, their columns, the bytes of those sent.
func appendInputs(dst []byte, inputs []runInput) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(inputs)))
	for i := range inputs {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(inputs[i].task.Job))
	}
	for i := range inputs {
		dst = binary.LittleEndian.AppendUint32(dst, inputs[i].task.Index)
	}
	for i := range inputs {
		dst = binary.LittleEndian.AppendUint64(dst, inputs[i].size)
	}
	for i := range inputs {
		dst = append(dst, flag(inputs[i].sent))
	}
	for i := range inputs {
		if inputs[i].sent {
			dst = append(dst, inputs[i].data...)
		}
	}
	return dst
}

// parseRuns reads what appendRuns wrote; slices are views of b.
func parseRuns(b []byte) (*runs, error) {
	p := parser{b: b}
	r := &runs{limit: p.u32()}
	classes, rows := p.count(minClass), 0
	rows = p.count(rowLen)
	if p.err != nil {
		return nil, p.err
	}
	r.classes = make([]runClass, classes)
	for i := range r.classes {
		c := &r.classes[i]
		c.kind, c.slots = graph.Kind(p.u8()), p.u16()
		limit := p.u64()
		if limit > math.MaxInt64/1000 {
			p.fail("time limit")
		}
		c.limit = time.Duration(limit) * time.Microsecond
		c.name, c.spec = string(p.bytes()), p.bytes()
	}
	calls := p.column(rows, 8)
	jobs, indexes, attempts := p.column(rows, 4), p.column(rows, 4), p.column(rows, 4)
	class, inputs, sizes := p.column(rows, 4), p.column(rows, 4), p.column(rows, 4)
	if p.err != nil {
		return nil, p.err
	}
	r.rows = make([]runRow, rows)
	var total uint64
	for i := range r.rows {
		w := &r.rows[i]
		w.call = calls.u64(i)
		w.task = graph.TaskID{Job: graph.JobID(jobs.u32(i)), Index: indexes.u32(i)}
		w.attempt, w.class, w.inputs = graph.Attempt(attempts.u32(i)), class.u32(i), inputs.u32(i)
		w.payload = p.take(uint64(sizes.u32(i)))
		total += uint64(w.inputs)
		if int64(w.class) >= int64(classes) {
			p.fail("class")
		}
	}
	r.inputs = p.inputs()
	if total != uint64(len(r.inputs)) {
		p.fail("input count")
	}
	return r, p.end()
}

// inputs reads what appendInputs wrote.
func (p *parser) inputs() []runInput {
	n := p.count(inputLen)
	jobs, indexes, sizes, sent := p.column(n, 4), p.column(n, 4), p.column(n, 8), p.column(n, 1)
	if p.err != nil || n == 0 {
		return nil
	}
	inputs := make([]runInput, n)
	for i := range inputs {
		in := &inputs[i]
		in.task = graph.TaskID{Job: graph.JobID(jobs.u32(i)), Index: indexes.u32(i)}
		in.size, in.sent = sizes.u64(i), sent[i] == 1
		if in.sent {
			in.data = p.take(in.size)
		} else if in.size > math.MaxInt64 {
			p.fail("input size")
		}
	}
	return inputs
}

// appendInputsOf is the body of an Inputs frame: more inputs of a call whose Runs row
// is still to come, in their order.
func appendInputsOf(dst []byte, call uint64, inputs []runInput) []byte {
	return appendInputs(binary.LittleEndian.AppendUint64(dst, call), inputs)
}

func parseInputsOf(b []byte) (call uint64, inputs []runInput, err error) {
	p := parser{b: b}
	call = p.u64()
	inputs = p.inputs()
	return call, inputs, p.end()
}
