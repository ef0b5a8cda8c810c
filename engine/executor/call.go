package executor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/yarnd/yarnd/engine/graph"
)

// Func is a function that tasks of kind graph.KindGo name. What it returns is the
// task's result, taken over. An error is a failure of kind graph.FailUser, unless
// it is or wraps a *graph.Failure, which then says more. A panic is a failure with
// its stack.
//
// ctx ends when the task is no longer wanted or its time limit passes. A function
// that goes on regardless costs its whole executor process.
type Func = func(ctx context.Context, call *Call) ([]byte, error)

// Funcs finds functions by name. Lookup is called from many goroutines.
type Funcs interface {
	Lookup(name string) (Func, bool)
}

// Call is what a function is told.
type Call struct {
	Name    string // the function's
	Task    graph.TaskID
	Attempt graph.Attempt
	Host    string // on which it runs, as its node manager calls it
	Worker  string // the container's name
	Spec    []byte // the class's
	Payload []byte // the task's; read-only
	Inputs  []*Input

	run *run
	by  *child

	// Stream, if the function sets it, is the result instead of what it returns. It is
	// read once the function has returned, and then closed.
	Stream Stream
}

// Stream is a result that need not be in memory. Size is its length in bytes; it is an
// error if it gives less.
type Stream interface {
	io.ReadCloser
	Size() int64
}

// Input is a result that the task depends on. Inputs come in the order of the
// task's dependencies.
type Input struct {
	Task graph.TaskID
	Size int64 // bytes

	mu   sync.Mutex
	data []byte // nil: not here yet
	// fetch reads a piece from the worker.
	fetch func(offset int64, n int) ([]byte, error)
}

// Bytes returns the whole input, which must not be changed. The first call may
// wait for the worker.
func (in *Input) Bytes() ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.data != nil || in.Size == 0 {
		return in.data, nil
	}
	data := make([]byte, 0, in.Size)
	for int64(len(data)) < in.Size {
		piece, err := in.piece(int64(len(data)))
		if err != nil {
			return nil, err
		}
		data = append(data, piece...)
	}
	in.data = data
	return data, nil
}

// Open returns a reader of the input that holds only a piece of it in memory,
// unless it is small or Bytes was called.
func (in *Input) Open() io.Reader {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.data != nil || in.Size == 0 {
		return bytes.NewReader(in.data)
	}
	return &inputReader{in: in}
}

// ReadAt implements io.ReaderAt. It may be called from many goroutines, and waits for the
// worker; each of its reads is one of at most 256 KiB.
func (in *Input) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, fmt.Errorf("read the result of task %s: negative offset %d", in.Task, offset)
	}
	in.mu.Lock()
	data := in.data
	in.mu.Unlock()
	for n < len(p) && offset < in.Size {
		var m int
		if data != nil {
			m = copy(p[n:], data[offset:])
		} else {
			piece, err := in.read(offset, int(min(int64(len(p)-n), in.Size-offset, chunkSize)))
			if err != nil {
				return n, err
			}
			m = copy(p[n:], piece)
		}
		n, offset = n+m, offset+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// piece reads on from offset, which is before the end.
func (in *Input) piece(offset int64) ([]byte, error) {
	return in.read(offset, int(min(in.Size-offset, chunkSize)))
}

// read reads n bytes at offset, which are there.
func (in *Input) read(offset int64, n int) ([]byte, error) {
	p, err := in.fetch(offset, n)
	if err != nil {
		return nil, &graph.Failure{Kind: graph.FailInput, Message: fmt.Sprintf("read the result of task %s: %v", in.Task, err)}
	}
	if len(p) != n {
		return nil, &graph.Failure{Kind: graph.FailInput, Message: fmt.Sprintf("read the result of task %s: %d bytes at %d instead of %d", in.Task, len(p), offset, n)}
	}
	return p, nil
}

type inputReader struct {
	in     *Input
	offset int64 // of what follows rest
	rest   []byte
}

func (r *inputReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.offset == r.in.Size {
			return 0, io.EOF
		}
		piece, err := r.in.piece(r.offset)
		if err != nil {
			return 0, err
		}
		r.rest, r.offset = piece, r.offset+int64(len(piece))
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
