package executor

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/yarnd/yarnd/engine/rawio"
)

// kind is a frame's kind.
type kind uint8

// The numbers are the protocol: never reuse one.
const (
	kindSetup    kind = 1  // worker: JSON setup, first frame
	kindStop     kind = 3  // worker: end a call
	kindData     kind = 4  // worker: a piece of an input
	kindSignal   kind = 5  // worker: a signal for a call's command
	kindRuns     kind = 6  // worker: run tasks
	kindInputs   kind = 7  // worker: inputs of a call that comes behind
	kindRecall   kind = 8  // worker: give back calls that have not begun
	kindResume   kind = 9  // worker: a call that was parked has its slots again
	kindNested   kind = 10 // worker: a piece of a stream, to a client within a call
	kindReady    kind = 20 // executor: JSON ready, first frame
	kindBegan    kind = 21 // executor: a call has a process of its own
	kindRead     kind = 22 // executor: wants a piece of an input
	kindChunk    kind = 23 // executor: a piece of a result
	kindFailed   kind = 25 // executor: JSON failure of a call
	kindDone     kind = 26 // executor: calls that gave results
	kindRecalled kind = 27 // executor: answers Recall
	kindPark     kind = 28 // executor: a call waits and takes no slots, or wants to go on
	kindNest     kind = 29 // executor: a piece of a stream, of a client within a call
	kindResult   kind = 30 // executor: wants a piece of a result that is no input
)

const (
	frameHead = 5
	// maxToExecutor bounds a frame that a worker sends: payload and inlined inputs.
	maxToExecutor = 256 << 20
	// maxToWorker bounds a frame that an executor sends, which user code may have
	// forged. Results come in chunks; a failure's texts are cut.
	maxToWorker = 2 << 20
	// chunkSize is how results and inputs are cut.
	chunkSize = 256 << 10
	// firstRead is how much memory a frame gets before any of it has arrived.
	firstRead = 4 * chunkSize
)

// protocolError says how the other side broke the protocol.
type protocolError string

func (e protocolError) Error() string { return "executor protocol violation: " + string(e) }

// beginFrame appends a frame's head, to be completed by endFrame.
func beginFrame(dst []byte, k kind) []byte { return append(dst, 0, 0, 0, 0, byte(k)) }

// endFrame writes the length of the frame that begins at start.
func endFrame(buf []byte, start int) []byte {
	binary.LittleEndian.PutUint32(buf[start:], uint32(len(buf)-start-4))
	return buf
}

// frameReader cuts a stream into frames.
type frameReader struct {
	r   io.Reader
	max int
	buf []byte
}

// next returns the next frame. The body is the reader's buffer, valid until the
// next call, unless keep returns true for its kind. Memory grows with what
// arrives.
func (r *frameReader) next(keep func(kind) bool) (kind, []byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, nil, err
	}
	length, k := binary.LittleEndian.Uint32(head[:]), kind(head[4])
	if length == 0 || uint64(length) > uint64(r.max) {
		return 0, nil, protocolError(fmt.Sprintf("frame %d of %d bytes: the limit is %d", k, length, r.max))
	}
	n := int(length) - 1
	buf := r.buf
	own := keep != nil && keep(k)
	if own {
		buf = nil
	}
	for have := 0; have < n; {
		want := min(n, max(2*have, firstRead, cap(buf)))
		if cap(buf) < want {
			grown := make([]byte, want)
			copy(grown, buf[:have])
			buf = grown
		}
		got, err := io.ReadFull(r.r, buf[have:want])
		have += got
		if err != nil {
			return 0, nil, io.ErrUnexpectedEOF
		}
	}
	if !own && cap(buf) <= 4*chunkSize {
		r.buf = buf
	}
	return k, buf[:n:n], nil
}

// frameWriter writes frames from many goroutines.
type frameWriter struct {
	mu  sync.Mutex
	w   io.Writer
	raw *rawio.File // w; nil: it is none
	buf []byte
	err error
}

// write builds one frame with body and writes it. After an error all writes fail.
func (w *frameWriter) write(k kind, body func(dst []byte) []byte) error {
	return w.writeAll(func(dst []byte) []byte { return endFrame(body(beginFrame(dst, k)), len(dst)) })
}

// writeAll writes what frames appends, at once.
func (w *frameWriter) writeAll(frames func(dst []byte) []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writeLocked(frames)
}

// writeLocked is writeAll for who has locked mu.
func (w *frameWriter) writeLocked(frames func(dst []byte) []byte) error {
	if w.err != nil {
		return w.err
	}
	buf := frames(w.buf[:0])
	if cap(buf) <= 4*chunkSize {
		w.buf = buf
	}
	if len(buf) > 0 {
		_, w.err = w.w.Write(buf)
	}
	return w.err
}

// settle waits until all that was written is in the pipe.
func (w *frameWriter) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.raw != nil && w.err == nil {
		w.err = w.raw.Settle()
	}
}
