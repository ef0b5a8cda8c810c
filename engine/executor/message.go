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
const version = 4

// setup is the worker's first frame.
type setup struct {
	Version int    `json:"version"`
	Host    string `json:"host"`
	Worker  string `json:"worker"`
	GraceMS int64  `json:"grace_ms"` // from asking a command to end to killing it
	Slots   int    `json:"slots"`    // of the worker
	Parked  int    `json:"parked"`   // calls that may be parked: the page has numbers for them too, see page.go
}

// ready is the executor's first frame.
type ready struct {
	Version int `json:"version"`
	Pid     int `json:"pid"`
}

// Reasons for a Stop.
const (
	stopCancelled byte = iota // no longer wanted: first asked, then killed
	stopMemory                // takes too much memory: killed at once
)

func appendStop(dst []byte, call uint64, reason byte) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, call), reason)
}

func parseStop(b []byte) (call uint64, reason byte, err error) {
	p := parser{b: b}
	call, reason = p.u64(), p.u8()
	return call, reason, p.end()
}

func parseCall(b []byte) (uint64, error) {
	p := parser{b: b}
	call := p.u64()
	return call, p.end()
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
	dst = binary.LittleEndian.AppendUint64(dst, r.id)
	dst = binary.LittleEndian.AppendUint64(dst, r.call)
	dst = binary.LittleEndian.AppendUint32(dst, r.input)
	dst = binary.LittleEndian.AppendUint64(dst, r.offset)
	return binary.LittleEndian.AppendUint32(dst, r.n)
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
	return append(binary.LittleEndian.AppendUint64(dst, id), flag(ok))
}

func parseData(b []byte) (id uint64, ok bool, data []byte, err error) {
	p := parser{b: b}
	id, ok = p.u64(), p.u8() == 1
	return id, ok, p.b, p.err
}

func appendBegan(dst []byte, call uint64, pid int) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(dst, call), uint32(pid))
}

func parseBegan(b []byte) (call uint64, pid int, err error) {
	p := parser{b: b}
	call, pid = p.u64(), int(p.u32())
	return call, pid, p.end()
}

// appendChunk begins a Chunk body; size is the whole result's.
func appendChunk(dst []byte, call, size uint64, data []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, call)
	dst = binary.LittleEndian.AppendUint64(dst, size)
	return append(dst, data...)
}

func parseChunk(b []byte) (call, size uint64, data []byte, err error) {
	p := parser{b: b}
	call, size = p.u64(), p.u64()
	return call, size, p.b, p.err
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
	case graph.FailUser, graph.FailMemory, graph.FailTime, graph.FailInput, graph.FailCancelled, graph.FailSetup, graph.FailMoved:
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

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(b))), b...)
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
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

func (p *parser) u64() uint64 {
	if v := p.take(8); v != nil {
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

func (p *parser) u16() uint16 {
	if v := p.take(2); v != nil {
		return binary.LittleEndian.Uint16(v)
	}
	return 0
}

// count reads how many rows follow, each of which takes at least size bytes.
func (p *parser) count(size int) int {
	n := p.u32()
	if uint64(n)*uint64(size) > uint64(len(p.b)) {
		p.fail("count")
		return 0
	}
	return int(n)
}

// column takes n numbers of width bytes.
func (p *parser) column(n, width int) column { return column(p.take(uint64(n) * uint64(width))) }

// column is numbers, one after the other. Its methods do not check: the parser has.
type column []byte

func (c column) u32(i int) uint32 { return binary.LittleEndian.Uint32(c[4*i:]) }
func (c column) u64(i int) uint64 { return binary.LittleEndian.Uint64(c[8*i:]) }

func (p *parser) bytes() []byte { return p.take(uint64(p.u32())) }

func (p *parser) end() error {
	if p.err == nil && len(p.b) != 0 {
		p.fail("rest")
	}
	return p.err
}
