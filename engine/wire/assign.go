package wire

import (
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
)

// Assignment is one attempt for a worker: a row of Assign.
type Assignment struct {
	Task    graph.TaskID
	Attempt graph.Attempt
	Class   graph.ClassID
	Payload []byte
	inputs  inputs
}

// inputs are an assignment's rows in an Assign's columns.
type inputs struct {
	m        *Assign
	from, to uint32
}

// Input is a result that an attempt needs, by its place in the task's list of
// dependencies.
type Input struct {
	Task    graph.TaskID
	Attempt graph.Attempt
	Size    uint64 // bytes
	// Inline holds the result when there is no holder to fetch it from.
	Inline []byte
	// Holders are worker ids, best first. 0 is the scheduler itself, at the address
	// of the connection.
	Holders []uint32
}

// Add appends an attempt. Its inputs follow by AddInput.
func (m *Assign) Add(t graph.TaskID, a graph.Attempt, c graph.ClassID, payload []byte) {
	m.Job = append(m.Job, uint32(t.Job))
	m.Index = append(m.Index, t.Index)
	m.Attempt = append(m.Attempt, uint32(a))
	m.Class = append(m.Class, uint32(c))
	m.Payload = append(m.Payload, payload...)
	m.PayEnd = append(m.PayEnd, uint32(len(m.Payload)))
	m.InEnd = append(m.InEnd, uint32(len(m.InJob)))
}

// AddInput appends an input of the attempt last added.
func (m *Assign) AddInput(in Input) {
	m.InJob = append(m.InJob, uint32(in.Task.Job))
	m.InIndex = append(m.InIndex, in.Task.Index)
	m.InAttempt = append(m.InAttempt, uint32(in.Attempt))
	m.InSize = append(m.InSize, in.Size)
	m.Inline = append(m.Inline, in.Inline...)
	m.InlineEnd = append(m.InlineEnd, uint32(len(m.Inline)))
	m.Holder = append(m.Holder, in.Holders...)
	m.HolderEnd = append(m.HolderEnd, uint32(len(m.Holder)))
	m.InEnd[len(m.InEnd)-1] = uint32(len(m.InJob))
}

// Len returns the number of attempts.
func (m *Assign) Len() int { return len(m.Job) }

// inputBytes is about what an input takes in a frame besides its bytes.
const inputBytes = 20

// Bytes returns about how large the frame is.
func (m *Assign) Bytes() int {
	return len(m.Payload) + len(m.Inline) + inputBytes*len(m.InJob) + 4*len(m.Holder)
}

// At returns row i; its slices are views.
func (m *Assign) At(i int) Assignment {
	from, to := span(m.PayEnd, i)
	a := Assignment{
		Task:    graph.TaskID{Job: graph.JobID(m.Job[i]), Index: m.Index[i]},
		Attempt: graph.Attempt(m.Attempt[i]),
		Class:   graph.ClassID(m.Class[i]),
		Payload: m.Payload[from:to:to],
		inputs:  inputs{m: m},
	}
	a.inputs.from, a.inputs.to = span(m.InEnd, i)
	return a
}

// Inputs returns how many inputs the attempt has.
func (a *Assignment) Inputs() int { return int(a.inputs.to - a.inputs.from) }

// Input returns the i-th input; its slices are views.
func (a *Assignment) Input(i int) Input {
	m, r := a.inputs.m, int(a.inputs.from)+i
	in := Input{
		Task:    graph.TaskID{Job: graph.JobID(m.InJob[r]), Index: m.InIndex[r]},
		Attempt: graph.Attempt(m.InAttempt[r]),
		Size:    m.InSize[r],
	}
	if from, to := span(m.HolderEnd, r); from < to {
		in.Holders = m.Holder[from:to:to]
	} else {
		from, to = span(m.InlineEnd, r)
		in.Inline = m.Inline[from:to:to]
	}
	return in
}

// Check reports whether the columns agree, and that an input has either holders or
// all its bytes.
func (m *Assign) Check() error {
	n, ins := m.Len(), len(m.InJob)
	if m.More > 0 && n == 0 {
		return errors.New("more inputs of no attempt")
	}
	err := errors.Join(
		sameLen(n, "index", len(m.Index), "attempt", len(m.Attempt), "class", len(m.Class)),
		sameLen(ins, "in_index", len(m.InIndex), "in_attempt", len(m.InAttempt), "in_size", len(m.InSize)),
		checkEnds("pay_end", m.PayEnd, n, len(m.Payload)),
		checkEnds("in_end", m.InEnd, n, ins),
		checkEnds("inline_end", m.InlineEnd, ins, len(m.Inline)),
		checkEnds("holder_end", m.HolderEnd, ins, len(m.Holder)),
	)
	if err != nil {
		return err
	}
	for r := range ins {
		hfrom, hto := span(m.HolderEnd, r)
		from, to := span(m.InlineEnd, r)
		if hfrom == hto && uint64(to-from) != m.InSize[r] {
			return fmt.Errorf("input row %d: %d of %d bytes and nobody who holds it", r, to-from, m.InSize[r])
		}
		if hfrom != hto && from != to {
			return fmt.Errorf("input row %d: both bytes and holders", r)
		}
	}
	return nil
}
