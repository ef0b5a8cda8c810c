package wire

import (
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
)

// sameLen reports the first column that has not n rows. Columns come as name,
// length pairs.
func sameLen(n int, columns ...any) error {
	for i := 0; i < len(columns); i += 2 {
		if got := columns[i+1].(int); got != n {
			return fmt.Errorf("column %s has %d rows, not %d", columns[i], got, n)
		}
	}
	return nil
}

// checkEnds reports whether end holds n ends that never go back and stop at total.
func checkEnds(name string, end []uint32, n, total int) error {
	if len(end) != n {
		return fmt.Errorf("column %s has %d rows, not %d", name, len(end), n)
	}
	last := uint32(0)
	for _, e := range end {
		if e < last {
			return fmt.Errorf("column %s goes back from %d to %d", name, last, e)
		}
		last = e
	}
	if uint64(last) != uint64(total) {
		return fmt.Errorf("column %s ends at %d of %d", name, last, total)
	}
	return nil
}

// span returns row i's part of what end divides.
func span(end []uint32, i int) (from, to uint32) {
	if i > 0 {
		from = end[i-1]
	}
	return from, end[i]
}

func checkName(what, s string) error {
	if len(s) > MaxName {
		return fmt.Errorf("%s of %d bytes: the limit is %d", what, len(s), MaxName)
	}
	return nil
}

// ---- Tasks ---------------------------------------------------------------------

// Add appends a row.
func (m *Tasks) Add(t graph.TaskID, a graph.Attempt) {
	m.Job = append(m.Job, uint32(t.Job))
	m.Index = append(m.Index, t.Index)
	m.Attempt = append(m.Attempt, uint32(a))
}

// AddOK appends a row of Retracted.
func (m *Tasks) AddOK(t graph.TaskID, a graph.Attempt, ok bool) {
	m.Add(t, a)
	m.Ok = append(m.Ok, ok)
}

// Len returns the number of rows.
func (m *Tasks) Len() int { return len(m.Job) }

// At returns row i.
func (m *Tasks) At(i int) (graph.TaskID, graph.Attempt) {
	return graph.TaskID{Job: graph.JobID(m.Job[i]), Index: m.Index[i]}, graph.Attempt(m.Attempt[i])
}

// OKAt returns row i's ok; without that column it is false.
func (m *Tasks) OKAt(i int) bool { return m.Ok != nil && m.Ok[i] }

// Check reports whether the columns agree.
func (m *Tasks) Check() error {
	n := m.Len()
	if m.Ok != nil {
		if err := sameLen(n, "ok", len(m.Ok)); err != nil {
			return err
		}
	}
	return sameLen(n, "index", len(m.Index), "attempt", len(m.Attempt))
}

// ---- Held ----------------------------------------------------------------------

// Add appends a row.
func (m *Held) Add(t graph.TaskID, a graph.Attempt, size uint64) {
	m.Job = append(m.Job, uint32(t.Job))
	m.Index = append(m.Index, t.Index)
	m.Attempt = append(m.Attempt, uint32(a))
	m.Size = append(m.Size, size)
}

// Len returns the number of rows.
func (m *Held) Len() int { return len(m.Job) }

// At returns row i.
func (m *Held) At(i int) (t graph.TaskID, a graph.Attempt, size uint64) {
	return graph.TaskID{Job: graph.JobID(m.Job[i]), Index: m.Index[i]}, graph.Attempt(m.Attempt[i]), m.Size[i]
}

// Check reports whether the columns agree.
func (m *Held) Check() error {
	return sameLen(m.Len(), "index", len(m.Index), "attempt", len(m.Attempt), "size", len(m.Size))
}

// ---- Copy ----------------------------------------------------------------------

// Add appends a row: fetch t from a holder and keep it.
func (m *Copy) Add(t graph.TaskID, a graph.Attempt, size uint64, from graph.WorkerID) {
	m.Job = append(m.Job, uint32(t.Job))
	m.Index = append(m.Index, t.Index)
	m.Attempt = append(m.Attempt, uint32(a))
	m.Size = append(m.Size, size)
	m.From = append(m.From, uint32(from))
}

// Len returns the number of rows.
func (m *Copy) Len() int { return len(m.Job) }

// At returns row i.
func (m *Copy) At(i int) (t graph.TaskID, a graph.Attempt, size uint64, from graph.WorkerID) {
	t = graph.TaskID{Job: graph.JobID(m.Job[i]), Index: m.Index[i]}
	return t, graph.Attempt(m.Attempt[i]), m.Size[i], graph.WorkerID(m.From[i])
}

// Check reports whether the columns agree.
func (m *Copy) Check() error {
	return sameLen(m.Len(), "index", len(m.Index), "attempt", len(m.Attempt), "size", len(m.Size), "from", len(m.From))
}

// ---- Peers ---------------------------------------------------------------------

// Add appends a worker.
func (m *Peers) Add(l graph.Location) {
	m.Id = append(m.Id, uint32(l.Worker))
	m.Address = append(m.Address, l.Address)
	m.Name = append(m.Name, l.Name)
}

// Len returns the number of rows.
func (m *Peers) Len() int { return len(m.GetId()) }

// At returns row i.
func (m *Peers) At(i int) graph.Location {
	return graph.Location{Worker: graph.WorkerID(m.Id[i]), Address: m.Address[i], Name: m.Name[i]}
}

// Check reports whether the columns agree.
func (m *Peers) Check() error {
	for i := range m.Address {
		if err := checkName("address", m.Address[i]); err != nil {
			return err
		}
	}
	for i := range m.Name {
		if err := checkName("name", m.Name[i]); err != nil {
			return err
		}
	}
	return sameLen(m.Len(), "address", len(m.Address), "name", len(m.Name))
}

// ---- Clear ---------------------------------------------------------------------

// Clear empties the message and keeps its columns' memory.
func (m *Tasks) Clear() {
	m.Job, m.Index, m.Attempt, m.Ok = m.Job[:0], m.Index[:0], m.Attempt[:0], m.Ok[:0]
}

// Clear empties the message and keeps its columns' memory.
func (m *Copy) Clear() {
	m.Job, m.Index, m.Attempt, m.Size, m.From = m.Job[:0], m.Index[:0], m.Attempt[:0], m.Size[:0], m.From[:0]
}

// Clear empties the message and keeps its columns' memory.
func (m *Peers) Clear() {
	clear(m.Address)
	clear(m.Name)
	m.Id, m.Address, m.Name = m.Id[:0], m.Address[:0], m.Name[:0]
}

// Clear empties the message and keeps its columns' memory.
func (m *Done) Clear() {
	m.Job, m.Index, m.Attempt = m.Job[:0], m.Index[:0], m.Attempt[:0]
	m.Size, m.DurationUs = m.Size[:0], m.DurationUs[:0]
	m.InlineEnd, m.Inline = m.InlineEnd[:0], m.Inline[:0]
}

// Clear empties the message and keeps its columns' memory.
func (m *Assign) Clear() {
	m.Job, m.Index, m.Attempt, m.Class = m.Job[:0], m.Index[:0], m.Attempt[:0], m.Class[:0]
	m.PayEnd, m.Payload = m.PayEnd[:0], m.Payload[:0]
	m.InEnd, m.InJob, m.InIndex, m.InAttempt = m.InEnd[:0], m.InJob[:0], m.InIndex[:0], m.InAttempt[:0]
	m.InSize, m.InlineEnd, m.Inline = m.InSize[:0], m.InlineEnd[:0], m.Inline[:0]
	m.HolderEnd, m.Holder = m.HolderEnd[:0], m.Holder[:0]
	m.More = 0
}
