package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/yarnd/yarnd/engine/graph"
)

// Protocol is the ALPN name of the data plane.
const Protocol = "yarnd-data/1"

// Kinds of request.
const (
	opResult byte = 1
	opBundle byte = 2
	opOutput byte = 3
	opInput  byte = 4
	opSignal byte = 5
	opRange  byte = 6
)

const (
	resultLen = 21 // of a request for blocks of a result
	bundleLen = 33 // of a request for a bundle
	outputLen = 22 // of a request for a running command's output
	inputLen  = 26 // of the head of a piece of standard input
	signalLen = 14 // of a signal
	rangeLen  = 25 // of a request for a part of a result
	sumLen    = 4  // behind a part of a result
	givenLen  = 9  // of the answer to a piece of standard input
	headerLen = 9  // of an answer
	markLen   = 5  // before each block of a result
	maxReason = 1 << 10
)

// status is the first byte of an answer.
type status byte

const (
	statusFound   status = iota // the object follows
	statusMissing               // the peer does not have it
	statusFailed                // the peer has it and could not read it
	statusRefused               // not a request that the peer understands; it closes
	statusCount                 // how many there are
)

// object is what a request names: blocks of a result (task, attempt, the first block and
// how many), a bundle (digest), or what a running command has written (task, attempt, stream) from an offset on, or a part of a
// result (task, attempt, offset, count of bytes); or what it brings: a piece of a command's standard input from an offset on, or a signal for it.
type object struct {
	op      byte
	task    graph.TaskID
	attempt graph.Attempt
	first   uint32
	count   uint32
	digest  graph.Digest
	stream  byte // of an input: 1 says that nothing follows; the number of a signal
	offset  uint64
	data    []byte
}

func resultOf(t graph.TaskID, a graph.Attempt, first, count int) object {
	return object{op: opResult, task: t, attempt: a, first: uint32(first), count: uint32(count)}
}

func bundleOf(d graph.Digest) object { return object{op: opBundle, digest: d} }

// String names the object for people.
func (o object) String() string {
	if o.op == opBundle {
		return "bundle " + o.digest.String()[:12]
	}
	if o.op == opRange {
		return fmt.Sprintf("%d bytes at %d of the result of task %s (attempt %d)", o.count, o.offset, o.task, o.attempt)
	}
	if o.op == opOutput {
		return fmt.Sprintf("output of task %s (attempt %d)", o.task, o.attempt)
	}
	if o.op == opInput || o.op == opSignal {
		return fmt.Sprintf("input of task %s (attempt %d)", o.task, o.attempt)
	}
	return fmt.Sprintf("result of task %s (attempt %d)", o.task, o.attempt)
}

// appendRequest appends the request for o.
func appendRequest(dst []byte, o object) []byte {
	dst = append(dst, o.op)
	if o.op == opBundle {
		return append(dst, o.digest[:]...)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(o.task.Job))
	dst = binary.BigEndian.AppendUint32(dst, o.task.Index)
	dst = binary.BigEndian.AppendUint32(dst, uint32(o.attempt))
	switch o.op {
	case opResult:
		dst = binary.BigEndian.AppendUint32(dst, o.first)
		dst = binary.BigEndian.AppendUint32(dst, o.count)
	case opOutput:
		dst = binary.BigEndian.AppendUint64(append(dst, o.stream), o.offset)
	case opInput:
		dst = binary.BigEndian.AppendUint64(append(dst, o.stream), o.offset)
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(o.data))), o.data...)
	case opSignal:
		dst = append(dst, o.stream)
	case opRange:
		dst = binary.BigEndian.AppendUint64(dst, o.offset)
		dst = binary.BigEndian.AppendUint32(dst, o.count)
	}
	return dst
}

var errOp = errors.New("not a request of this protocol")

// requestLens are the lengths of requests, for those with data without them.
var requestLens = [...]int{opResult: resultLen, opBundle: bundleLen, opOutput: outputLen, opInput: inputLen, opSignal: signalLen, opRange: rangeLen}

// readRequest reads one request. The error is io.EOF at a clean end.
func readRequest(r io.Reader) (object, error) {
	var b [bundleLen]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return object{}, err
	}
	if b[0] == 0 || int(b[0]) >= len(requestLens) {
		return object{}, errOp
	}
	n := requestLens[b[0]]
	if _, err := io.ReadFull(r, b[1:n]); err != nil {
		return object{}, io.ErrUnexpectedEOF
	}
	o := object{op: b[0]}
	if o.op == opBundle {
		copy(o.digest[:], b[1:])
		return o, nil
	}
	o.task.Job = graph.JobID(binary.BigEndian.Uint32(b[1:]))
	o.task.Index = binary.BigEndian.Uint32(b[5:])
	o.attempt = graph.Attempt(binary.BigEndian.Uint32(b[9:]))
	if o.op == opResult {
		o.first, o.count = binary.BigEndian.Uint32(b[13:]), binary.BigEndian.Uint32(b[17:])
	}
	if o.op == opOutput || o.op == opInput {
		o.stream, o.offset = b[13], binary.BigEndian.Uint64(b[14:])
	}
	if o.op == opSignal {
		o.stream = b[13]
	}
	if o.op == opRange {
		o.offset, o.count = binary.BigEndian.Uint64(b[13:]), binary.BigEndian.Uint32(b[21:])
	}
	if o.op != opInput {
		return o, nil
	}
	size := binary.BigEndian.Uint32(b[22:])
	if size > MaxInput {
		return object{}, errOp
	}
	o.data = make([]byte, size)
	if _, err := io.ReadFull(r, o.data); err != nil {
		return object{}, io.ErrUnexpectedEOF
	}
	return o, nil
}

// appendHeader appends the head of an answer.
func appendHeader(dst []byte, s status, length uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(s)), length)
}

// readHeader reads and judges the head of an answer.
func readHeader(r io.Reader) (status, uint64, error) {
	var b [headerLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, 0, err
	}
	s, length := status(b[0]), binary.BigEndian.Uint64(b[1:])
	switch {
	case s >= statusCount:
		return 0, 0, fmt.Errorf("answer of unknown status %d", s)
	case s != statusFound && length > maxReason:
		return 0, 0, fmt.Errorf("reason of %d bytes: the limit is %d", length, maxReason)
	case length > 1<<62:
		return 0, 0, fmt.Errorf("object of %d bytes", length)
	}
	return s, length, nil
}

// A block of a result is announced by its mark: a status, and a number that is its
// checksum when the status is statusFound, and the length of the reason otherwise.
func appendMark(dst []byte, s status, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(s)), n)
}

// readMark reads and judges the mark of a block.
func readMark(r io.Reader) (status, uint32, error) {
	var b [markLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, 0, err
	}
	s, n := status(b[0]), binary.BigEndian.Uint32(b[1:])
	switch {
	case s >= statusCount:
		return 0, 0, fmt.Errorf("block of unknown status %d", s)
	case s != statusFound && n > maxReason:
		return 0, 0, fmt.Errorf("reason of %d bytes: the limit is %d", n, maxReason)
	}
	return s, n, nil
}
