package wire

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

const maxMicroseconds = math.MaxInt64 / 1000

func microseconds(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }

// FailureToWire returns the failure of an attempt of t, its texts cut to the
// protocol's limits. f.Task is the task in which it happened, t when it is zero.
func FailureToWire(t graph.TaskID, a graph.Attempt, f *graph.Failure) *Failure {
	return &Failure{
		Job: uint32(t.Job), Index: t.Index, Attempt: uint32(a),
		Kind: uint32(f.Kind), Message: text(f.Message, MaxText), Stack: text(f.Stack, MaxText),
		ExitCode: f.ExitCode, Output: tail(f.Output, MaxOutput), Host: text(f.Host, MaxName),
		CauseJob: uint32(f.Task.Job), CauseIndex: f.Task.Index,
	}
}

// FailureFromWire returns the failure. m has passed Check.
func FailureFromWire(m *Failure) *graph.Failure {
	f := &graph.Failure{
		Kind: graph.FailKind(m.Kind), Message: m.Message, Stack: m.Stack,
		ExitCode: m.ExitCode, Output: m.Output, Host: m.Host,
		Task:    graph.TaskID{Job: graph.JobID(m.CauseJob), Index: m.CauseIndex},
		Attempt: graph.Attempt(m.Attempt),
	}
	if f.Task.Job == 0 {
		f.Task = m.TaskID()
	}
	return f
}

// TaskID returns the task that failed.
func (m *Failure) TaskID() graph.TaskID {
	return graph.TaskID{Job: graph.JobID(m.Job), Index: m.Index}
}

// Check reports the first failure that cannot be.
func (m *Failed) Check() error {
	for _, f := range m.Failure {
		if err := f.Check(); err != nil {
			return fmt.Errorf("task %s: %w", f.TaskID(), err)
		}
	}
	return nil
}

// Check reports whether the kind is known and the texts are within limits.
func (m *Failure) Check() error {
	switch {
	case m.Kind == 0 || m.Kind > 255 || graph.FailKind(m.Kind).String() == "fail(?)":
		return fmt.Errorf("failure kind %d is not known", m.Kind)
	case len(m.Message) > MaxText || len(m.Stack) > MaxText:
		return fmt.Errorf("text of %d bytes: the limit is %d", max(len(m.Message), len(m.Stack)), MaxText)
	case len(m.Output) > MaxOutput:
		return fmt.Errorf("output of %d bytes: the limit is %d", len(m.Output), MaxOutput)
	}
	return checkName("host", m.Host)
}

// Text is s as valid UTF-8 of at most n bytes.
func Text(s string, n int) string { return text(s, n) }

// text returns s as valid UTF-8 of at most n bytes: a protobuf string must be, and
// what user code prints need not be.
func text(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	if s = strings.ToValidUTF8(s, "\ufffd"); len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// ---- Ended ---------------------------------------------------------------------

// Add appends an outcome; those of one message are all of its job. Where the
// holders can be reached goes into Peers, once each.
func (m *Ended) Add(o *graph.Outcome, a graph.Attempt) {
	m.Index = append(m.Index, o.Task.Index)
	m.Attempt = append(m.Attempt, uint32(a))
	kind := graph.FailNone
	if o.Failure != nil {
		kind = o.Failure.Kind
		m.Failure = append(m.Failure, FailureToWire(o.Task, a, o.Failure))
	} else {
		m.Inline = append(m.Inline, o.Inline...)
		for _, h := range o.Holders {
			m.Holder = append(m.Holder, uint32(h.Worker))
			m.introduce(h)
		}
	}
	m.Kind = append(m.Kind, uint32(kind))
	m.Size = append(m.Size, o.Size)
	m.InlineEnd = append(m.InlineEnd, uint32(len(m.Inline)))
	m.HolderEnd = append(m.HolderEnd, uint32(len(m.Holder)))
}

func (m *Ended) introduce(l graph.Location) {
	for i := range m.Peers.Len() {
		if m.Peers.Id[i] == uint32(l.Worker) {
			return
		}
	}
	if m.Peers == nil {
		m.Peers = &Peers{}
	}
	m.Peers.Add(l)
}

// Len returns the number of rows.
func (m *Ended) Len() int { return len(m.Index) }

// Outcomes calls yield with every row: the outcome, whose slices are views, and
// the attempt that it is of. It is an iter.Seq2.
func (m *Ended) Outcomes(yield func(graph.Outcome, graph.Attempt) bool) {
	peers := make(map[uint32]graph.Location, m.Peers.Len())
	for i := range m.Peers.Len() {
		peers[m.Peers.Id[i]] = m.Peers.At(i)
	}
	failed := 0
	for i := range m.Len() {
		o := graph.Outcome{Task: graph.TaskID{Job: graph.JobID(m.Job), Index: m.Index[i]}, Size: m.Size[i]}
		if m.Kind[i] != 0 {
			o.Failure = FailureFromWire(m.Failure[failed])
			failed++
		} else if from, to := span(m.HolderEnd, i); from < to {
			for _, h := range m.Holder[from:to] {
				o.Holders = append(o.Holders, peers[h])
			}
		} else {
			from, to = span(m.InlineEnd, i)
			o.Inline = m.Inline[from:to:to]
		}
		if !yield(o, graph.Attempt(m.Attempt[i])) {
			return
		}
	}
}

// Check reports whether the columns agree and every holder is introduced.
func (m *Ended) Check() error {
	n := m.Len()
	err := errors.Join(
		sameLen(n, "kind", len(m.Kind), "size", len(m.Size), "attempt", len(m.Attempt)),
		checkEnds("inline_end", m.InlineEnd, n, len(m.Inline)),
		checkEnds("holder_end", m.HolderEnd, n, len(m.Holder)),
	)
	if err != nil {
		return err
	}
	if m.Peers != nil {
		if err := m.Peers.Check(); err != nil {
			return err
		}
	}
	known := make(map[uint32]bool, m.Peers.Len())
	for i := range m.Peers.Len() {
		known[m.Peers.Id[i]] = true
	}
	failed := 0
	for i := range n {
		if m.Kind[i] != 0 {
			failed++
			continue
		}
		hfrom, hto := span(m.HolderEnd, i)
		for _, h := range m.Holder[hfrom:hto] {
			if !known[h] {
				return fmt.Errorf("row %d: holder %d is not introduced", i, h)
			}
		}
	}
	if failed != len(m.Failure) {
		return fmt.Errorf("%d failures for %d failed rows", len(m.Failure), failed)
	}
	for _, f := range m.Failure {
		if err := f.Check(); err != nil {
			return err
		}
	}
	return nil
}
