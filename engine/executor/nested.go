package executor

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/yarnd/yarnd/engine/graph"
)

// Nested is a piece of a stream between a client within a call and the scheduler.
type Nested struct {
	Stream uint32 // of those of the call, counted from 1
	Ack    uint32 // bytes of the other direction that were taken
	Code   uint32 // with End; Broken: another stream may follow
	End    string // why there is no more; "": there is
	Data   []byte
}

// Broken is the Code of an End of one stream alone: the way to the scheduler was cut, or it is
// another scheduler's now.
const Broken = 1<<32 - 1

func appendNested(dst []byte, call uint64, n Nested) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, call)
	dst = binary.LittleEndian.AppendUint32(dst, n.Stream)
	dst = binary.LittleEndian.AppendUint32(dst, n.Ack)
	dst = binary.LittleEndian.AppendUint32(dst, n.Code)
	return append(appendBytes(dst, n.End), n.Data...)
}

func parseNested(b []byte) (call uint64, n Nested, err error) {
	p := parser{b: b}
	call = p.u64()
	n = Nested{Stream: p.u32(), Ack: p.u32(), Code: p.u32(), End: string(p.bytes())}
	n.Data = p.b
	return call, n, p.err
}

// resultRead asks for a piece of a result that is no input.
type resultRead struct {
	read
	ResultAt
}

func appendResultRead(dst []byte, r resultRead) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, r.id)
	dst = binary.LittleEndian.AppendUint64(dst, r.call)
	dst = binary.LittleEndian.AppendUint64(dst, r.offset)
	dst = binary.LittleEndian.AppendUint32(dst, r.n)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Task.Job))
	dst = binary.LittleEndian.AppendUint32(dst, r.Task.Index)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Attempt))
	dst = binary.LittleEndian.AppendUint64(dst, r.Size)
	return appendBytes(appendBytes(dst, r.Name), r.Address)
}

func parseResultRead(b []byte) (resultRead, error) {
	p := parser{b: b}
	r := resultRead{read: read{id: p.u64(), call: p.u64(), offset: p.u64(), n: p.u32()}}
	r.Task = graph.TaskID{Job: graph.JobID(p.u32()), Index: p.u32()}
	r.Attempt, r.Size = graph.Attempt(p.u32()), p.u64()
	r.Name, r.Address = string(p.bytes()), string(p.bytes())
	if r.n > chunkSize || r.offset > math.MaxInt64 {
		p.fail("piece")
	}
	return r, p.end()
}

// ---- the worker's side -----------------------------------------------------------

// Resume says that a task which Returns has its slots again.
func (m *Manager) Resume(t *Task) {
	m.tell(t, func(p *process) {
		t.parked = false
		p.say(kindResume, func(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, t.id) })
	})
}

// Nested gives a piece of a stream to the client within a task.
func (m *Manager) Nested(t *Task, n Nested) {
	m.tell(t, func(p *process) {
		p.say(kindNested, func(b []byte) []byte { return appendNested(b, t.id, n) })
	})
}

// tell has something said to the executor that runs t, if one does.
func (m *Manager) tell(t *Task, say func(*process)) {
	m.mu.Lock()
	p := t.in
	m.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	there := p.calls.get(t.id) == t
	if there {
		say(p)
	}
	p.mu.Unlock()
	if there {
		p.wake()
	}
}

// parks reports that a call waits, or wants to go on.
func (p *process) parks(body []byte) error {
	id, on, err := parseStop(body) // it looks the same
	if err != nil {
		return err
	}
	p.mu.Lock()
	t := p.calls.get(id)
	what := Returns
	if t != nil && on == 1 {
		t.parked, what = true, Parks
	}
	p.mu.Unlock()
	if t == nil {
		return nil
	}
	p.m.report([]Report{{Task: t, What: what}})
	return nil
}

// nested hands on what a client within a call says.
func (p *process) nested(body []byte) error {
	id, n, err := parseNested(body)
	if err != nil || p.m.opts.Nested == nil {
		return err
	}
	p.mu.Lock()
	t := p.calls.get(id)
	p.mu.Unlock()
	if t != nil {
		p.m.opts.Nested(t, n)
	}
	return nil
}

// readResult has a piece of a result read.
func (p *process) readResult(body []byte) error {
	r, err := parseResultRead(body)
	if err != nil || p.m.opts.Result == nil {
		return err
	}
	var at io.ReaderAt
	p.with(r.call, func(t *Task) { at = p.m.opts.Result(t, r.ResultAt) })
	if at != nil {
		p.far.add(p, r.read, &TaskInput{Task: r.Task, Size: int64(r.Size), At: at})
	}
	return nil
}
