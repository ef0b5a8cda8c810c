package executor

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// version is the protocol's, in setup and ready.
const version = 1

// setup is the worker's first frame.
type setup struct {
	Version int    `json:"version"`
	Host    string `json:"host"`
	Worker  string `json:"worker"`
	GraceMS int64  `json:"grace_ms"` // from asking a command to end to killing it
}

// ready is the executor's first frame.
type ready struct {
	Version int `json:"version"`
	Pid     int `json:"pid"`
}

// run is a task to run.
type run struct {
	call    uint64
	kind    graph.Kind
	task    graph.TaskID
	attempt graph.Attempt
	limit   time.Duration // 0 is none
	name    string
	spec    []byte
	payload []byte
	inputs  []runInput
}

// runInput is an input of a task. data is nil for one that is read piece by piece.
type runInput struct {
	task graph.TaskID
	size uint64
	sent bool
	data []byte
}

const runInputLen = 4 + 4 + 8 + 1

func appendRun(dst []byte, r *run) []byte {
	dst = binary.BigEndian.AppendUint64(dst, r.call)
	dst = append(dst, byte(r.kind))
	dst = appendTask(dst, r.task)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.attempt))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.limit.Microseconds()))
	dst = appendBytes(dst, r.name)
	dst = appendBytes(dst, r.spec)
	dst = appendBytes(dst, r.payload)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.inputs)))
	for _, in := range r.inputs {
		dst = appendTask(dst, in.task)
		dst = binary.BigEndian.AppendUint64(dst, in.size)
		dst = append(dst, flag(in.sent))
	}
	for _, in := range r.inputs {
		if in.sent {
			dst = append(dst, in.data...)
		}
	}
	return dst
}

// parseRun reads what appendRun wrote; slices are views of b.
func parseRun(b []byte) (*run, error) {
	p := parser{b: b}
	r := &run{call: p.u64(), kind: graph.Kind(p.u8()), task: p.task(), attempt: graph.Attempt(p.u32())}
	limit := p.u64()
	if limit > math.MaxInt64/1000 {
		p.fail("time limit")
	}
	r.limit = time.Duration(limit) * time.Microsecond
	r.name = string(p.bytes())
	r.spec, r.payload = p.bytes(), p.bytes()
	n := p.u32()
	if uint64(n)*runInputLen > uint64(len(p.b)) {
		p.fail("input count")
	}
	if p.err != nil {
		return nil, p.err
	}
	r.inputs = make([]runInput, n)
	for i := range r.inputs {
		r.inputs[i] = runInput{task: p.task(), size: p.u64(), sent: p.u8() == 1}
	}
	for i := range r.inputs {
		if in := &r.inputs[i]; in.sent {
			in.data = p.take(in.size)
		} else if in.size > math.MaxInt64 {
			p.fail("input size")
		}
	}
	return r, p.end()
}

// Reasons for a Stop.
const (
	stopCancelled byte = iota // no longer wanted: first asked, then killed
	stopMemory                // takes too much memory: killed at once
)

func appendStop(dst []byte, call uint64, reason byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, call), reason)
}

func parseStop(b []byte) (call uint64, reason byte, err error) {
	p := parser{b: b}
	call, reason = p.u64(), p.u8()
	return call, reason, p.end()
}

// read asks for a piece of an input: at most n bytes from offset on.
type read struct {
	id     uint64 // of this read, repeated by its Data
	call   uint64
	input  uint32
	offset uint64
	n      uint32
}

func appendRead(dst []byte, r read) []byte {
	dst = binary.BigEndian.AppendUint64(dst, r.id)
	dst = binary.BigEndian.AppendUint64(dst, r.call)
	dst = binary.BigEndian.AppendUint32(dst, r.input)
	dst = binary.BigEndian.AppendUint64(dst, r.offset)
	return binary.BigEndian.AppendUint32(dst, r.n)
}

func parseRead(b []byte) (read, error) {
	p := parser{b: b}
	r := read{id: p.u64(), call: p.u64(), input: p.u32(), offset: p.u64(), n: p.u32()}
	if r.n > chunkSize || r.offset > math.MaxInt64 {
		p.fail("piece")
	}
	return r, p.end()
}

// appendDataHead begins a Data body; the piece, or why it cannot be read, follows.
func appendDataHead(dst []byte, id uint64, ok bool) []byte {
	return append(binary.BigEndian.AppendUint64(dst, id), flag(ok))
}

func parseData(b []byte) (id uint64, ok bool, data []byte, err error) {
	p := parser{b: b}
	id, ok = p.u64(), p.u8() == 1
	return id, ok, p.b, p.err
}

func appendBegan(dst []byte, call uint64, pid int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, call), uint32(pid))
}

func parseBegan(b []byte) (call uint64, pid int, err error) {
	p := parser{b: b}
	call, pid = p.u64(), int(p.u32())
	return call, pid, p.end()
}

// appendChunk begins a Chunk body; size is the whole result's.
func appendChunk(dst []byte, call, size uint64, data []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, call)
	dst = binary.BigEndian.AppendUint64(dst, size)
	return append(dst, data...)
}

func parseChunk(b []byte) (call, size uint64, data []byte, err error) {
	p := parser{b: b}
	call, size = p.u64(), p.u64()
	return call, size, p.b, p.err
}

// appendDone ends a result: how long it took, how long it is, its last piece.
func appendDone(dst []byte, call uint64, took time.Duration, size uint64, last []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, call)
	dst = binary.BigEndian.AppendUint64(dst, uint64(max(took, 0).Microseconds()))
	dst = binary.BigEndian.AppendUint64(dst, size)
	return append(dst, last...)
}

func parseDone(b []byte) (call uint64, took time.Duration, size uint64, last []byte, err error) {
	p := parser{b: b}
	call = p.u64()
	us := p.u64()
	size = p.u64()
	return call, time.Duration(min(us, math.MaxInt64/1000)) * time.Microsecond, size, p.b, p.err
}

// failed is a call's failure.
type failed struct {
	Call     uint64         `json:"call"`
	Kind     graph.FailKind `json:"kind"`
	Message  string         `json:"message"`
	Stack    string         `json:"stack,omitempty"`
	ExitCode int32          `json:"exit_code,omitempty"`
	Output   []byte         `json:"output,omitempty"`
	TookUS   int64          `json:"took_us"`
}

// maxText bounds a failure's texts.
const maxText = 64 << 10

func appendFailed(dst []byte, call uint64, f *graph.Failure, took time.Duration) []byte {
	body, err := json.Marshal(failed{
		Call: call, Kind: f.Kind,
		Message: head(f.Message), Stack: head(f.Stack),
		ExitCode: f.ExitCode, Output: f.Output[max(0, len(f.Output)-maxText):],
		TookUS: took.Microseconds(),
	})
	if err != nil {
		panic(err) // no field of it can fail
	}
	return append(dst, body...)
}

func parseFailed(b []byte) (uint64, *graph.Failure, time.Duration, error) {
	var f failed
	if err := json.Unmarshal(b, &f); err != nil {
		return 0, nil, 0, protocolError("failure: " + err.Error())
	}
	switch f.Kind {
	case graph.FailUser, graph.FailMemory, graph.FailTime, graph.FailInput, graph.FailCancelled, graph.FailSetup:
	default: // an executor cannot know of other ways to fail
		f.Kind = graph.FailUser
	}
	return f.Call, &graph.Failure{
		Kind: f.Kind, Message: head(f.Message), Stack: head(f.Stack),
		ExitCode: f.ExitCode, Output: f.Output[max(0, len(f.Output)-maxText):],
	}, time.Duration(f.TookUS) * time.Microsecond, nil
}

// head cuts s to what a failure may hold.
func head(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "\ufffd") }

func appendTask(dst []byte, t graph.TaskID) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, uint32(t.Job)), t.Index)
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// parser reads fields off b; after an error everything is zero.
type parser struct {
	b   []byte
	err error
}

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = protocolError(fmt.Sprintf("bad %s", what))
	}
}

func (p *parser) take(n uint64) []byte {
	if p.err == nil && n > uint64(len(p.b)) {
		p.fail("length")
	}
	if p.err != nil {
		return nil
	}
	v := p.b[:n:n]
	p.b = p.b[n:]
	return v
}

func (p *parser) u8() byte {
	if v := p.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (p *parser) u32() uint32 {
	if v := p.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (p *parser) u64() uint64 {
	if v := p.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (p *parser) task() graph.TaskID {
	return graph.TaskID{Job: graph.JobID(p.u32()), Index: p.u32()}
}

func (p *parser) bytes() []byte { return p.take(uint64(p.u32())) }

func (p *parser) end() error {
	if p.err == nil && len(p.b) != 0 {
		p.fail("rest")
	}
	return p.err
}
