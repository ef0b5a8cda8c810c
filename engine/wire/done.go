package wire

import (
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
)

// Result is an attempt that gave a result: a row of Done.
type Result struct {
	Task     graph.TaskID
	Attempt  graph.Attempt
	Size     uint64 // bytes
	Duration uint32 // microseconds
	// IsInline says that the result's bytes are in Inline; an empty result always
	// is. Otherwise the worker holds it.
	IsInline bool
	Inline   []byte
}

// Add appends a row. Inline is sent when IsInline is set, and is the result then.
func (m *Done) Add(r Result) {
	m.Job = append(m.Job, uint32(r.Task.Job))
	m.Index = append(m.Index, r.Task.Index)
	m.Attempt = append(m.Attempt, uint32(r.Attempt))
	m.DurationUs = append(m.DurationUs, r.Duration)
	if r.IsInline {
		r.Size = uint64(len(r.Inline))
		m.Inline = append(m.Inline, r.Inline...)
	}
	m.Size = append(m.Size, r.Size)
	m.InlineEnd = append(m.InlineEnd, uint32(len(m.Inline)))
}

// Len returns the number of rows.
func (m *Done) Len() int { return len(m.Job) }

// At returns row i; Inline is a view.
func (m *Done) At(i int) Result {
	from, to := span(m.InlineEnd, i)
	return Result{
		Task:     graph.TaskID{Job: graph.JobID(m.Job[i]), Index: m.Index[i]},
		Attempt:  graph.Attempt(m.Attempt[i]),
		Size:     m.Size[i],
		Duration: m.DurationUs[i],
		IsInline: uint64(to-from) == m.Size[i],
		Inline:   m.Inline[from:to:to],
	}
}

// Check reports whether the columns agree, and that what is inline is whole and
// small.
func (m *Done) Check() error {
	n := m.Len()
	err := errors.Join(
		sameLen(n, "index", len(m.Index), "attempt", len(m.Attempt), "size", len(m.Size), "duration_us", len(m.DurationUs)),
		checkEnds("inline_end", m.InlineEnd, n, len(m.Inline)),
	)
	if err != nil {
		return err
	}
	for i := range n {
		from, to := span(m.InlineEnd, i)
		if inline := uint64(to - from); inline != 0 && inline != m.Size[i] {
			return fmt.Errorf("row %d: %d of %d bytes inline", i, inline, m.Size[i])
		} else if inline > MaxInline {
			return fmt.Errorf("row %d: %d bytes inline: the limit is %d", i, inline, MaxInline)
		}
	}
	return nil
}
