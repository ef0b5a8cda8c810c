package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
)

// DefineLazy is Define for a function that reads parts of large results: the Refs of its
// input hold no values. It reads what they promise by Open, a part at a time, or by Get.
// Results above 64 KiB are not brought to its worker before it begins: each part comes
// when it is asked for, from the store of this worker or straight from the worker that
// has it. When none can give it, the task is not to blame: the result is computed again,
// and then the task runs anew.
func DefineLazy[In, Out any](name string, fn func(context.Context, In) (Out, error), o ...TaskOption) *Task[In, Out] {
	out, err := codec.For[Out]()
	if err != nil {
		panic(fmt.Sprintf("engine: DefineLazy(%q): result %v", name, err))
	}
	return defineLazy(name, out, o, func(ctx context.Context, call *executor.Call, v In) ([]byte, error) {
		result, err := fn(ctx, v)
		if err != nil {
			return nil, err
		}
		data, _, err := out.Append(nil, nil, result)
		if err != nil {
			return nil, fmt.Errorf("result of %s: %w", name, err)
		}
		return data, nil
	})
}

// DefineStream is DefineLazy for a function whose result is bytes that need not be in
// memory, neither in its process nor in its worker's. They are read after it has returned;
// then the Stream is closed. For others it is a []byte like any, and for lazy tasks one to
// read by Open.
func DefineStream[In any](name string, fn func(context.Context, In) (*Stream, error), o ...TaskOption) *Task[In, []byte] {
	out, err := codec.For[[]byte]()
	if err != nil {
		panic(err) // bytes can be sent
	}
	return defineLazy(name, out, o, func(ctx context.Context, call *executor.Call, v In) ([]byte, error) {
		s, err := fn(ctx, v)
		if err != nil {
			return nil, err
		}
		if s == nil {
			return nil, errors.New("the function returned no Stream")
		}
		call.Stream = &headed{s: s}
		return nil, nil
	})
}

func defineLazy[In, Out any](name string, out *codec.Codec[Out], o []TaskOption, fn func(context.Context, *executor.Call, In) ([]byte, error)) *Task[In, Out] {
	in, err := codec.For[In]()
	if err != nil {
		panic(fmt.Sprintf("engine: Define(%q): input %v", name, err))
	}
	if out.HasRefs() {
		panic(fmt.Sprintf("engine: Define(%q): the result type %s holds Refs, which only inputs can", name, out.Type()))
	}
	registry.add(name, func(ctx context.Context, call *executor.Call) ([]byte, error) {
		v, err := in.Decode(call.Payload, false)
		if err != nil {
			return nil, fmt.Errorf("input of %s: %w", name, err)
		}
		byTask := make(map[TaskID]*executor.Input, len(call.Inputs))
		for _, in := range call.Inputs {
			byTask[in.Task] = in
		}
		ctx, leave := enter(ctx, name, call)
		defer leave()
		return fn(context.WithValue(ctx, lazyKey{}, byTask), call, v)
	})
	t := &Task[In, Out]{class: graph.Class{Name: name, Kind: graph.KindGo, Lazy: true}, in: in.Append, out: &kind[Out]{out, name}}
	for _, opt := range o {
		opt.class(&t.class)
	}
	return t
}

type lazyKey struct{}

var errNotLazy = errors.New("only a function of DefineLazy or DefineStream reads its inputs itself, with the context that it was given")

func lazyInput(ctx context.Context, id TaskID) (*executor.Input, error) {
	byTask, ok := ctx.Value(lazyKey{}).(map[TaskID]*executor.Input)
	if !ok {
		return nil, errNotLazy
	}
	in := byTask[id]
	if in == nil {
		return nil, fmt.Errorf("task %s is no input of this one", id)
	}
	return in, nil
}

// Get returns the value of a Ref of a lazy function's input.
func Get[T any](ctx context.Context, r Ref[T]) (v T, err error) {
	if v, ok := r.Get(); ok || r.IsZero() {
		return v, nil
	}
	in, err := lazyInput(ctx, r.Task())
	if err != nil {
		return v, err
	}
	c, err := codec.For[T]()
	if err != nil {
		return v, err
	}
	data, err := in.Bytes()
	if err != nil {
		return v, err
	}
	return c.Decode(data, false)
}

// Part is a result of bytes that lies somewhere in the cluster, or a part of it. It is an
// io.ReaderAt, and may be used by many goroutines; reads of up to 256 KiB take one round
// trip each. Only as much of it is in memory as is being read.
type Part struct {
	at   io.ReaderAt
	from int64
	size int64
}

// Size returns its length in bytes.
func (p *Part) Size() int64 { return p.size }

// ReadAt implements io.ReaderAt. An error that the function returns, wrapped or not, is
// not its failure if the result could not be had.
func (p *Part) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off > p.size {
		return 0, fmt.Errorf("offset %d of a result of %d bytes", off, p.size)
	}
	want := b[:min(int64(len(b)), p.size-off)]
	n, err := p.at.ReadAt(want, p.from+off)
	if n == len(want) {
		err = nil
		if n < len(b) {
			err = io.EOF
		}
	}
	return n, err
}

// Open opens the bytes that a Ref of a lazy function's input promises. It need not be
// closed.
func Open(ctx context.Context, r Ref[[]byte]) (*Part, error) {
	if data, ok := r.Get(); ok {
		return &Part{at: bytesAt(data), size: int64(len(data))}, nil
	}
	in, err := lazyInput(ctx, r.Task())
	if err != nil {
		return nil, err
	}
	var head [bytesHead]byte
	n, err := in.ReadAt(head[:min(bytesHead, in.Size)], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	from, size, ok := cutBytesHead(head[:n])
	if !ok || from+size != in.Size {
		return nil, fmt.Errorf("%w: the result of task %s is not bytes", ErrMismatch, in.Task)
	}
	return &Part{at: in, from: from, size: size}, nil
}

type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, b[min(off, int64(len(b))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// bytesHead is the longest head that CBOR gives a string of bytes.
const bytesHead = 9

// cutBytesHead reads the head of a string of bytes.
func cutBytesHead(b []byte) (from, size int64, ok bool) {
	if len(b) == 0 || b[0]&0xe0 != 0x40 {
		return 0, 0, false
	}
	arg := b[0] & 0x1f
	if arg < 24 {
		return 1, int64(arg), true
	}
	n := 1 << (arg - 24)
	if arg > 27 || len(b) < 1+n {
		return 0, 0, false
	}
	var wide [8]byte
	copy(wide[8-n:], b[1:1+n])
	size = int64(binary.BigEndian.Uint64(wide[:]))
	return int64(1 + n), size, size >= 0
}

// Stream is the result of a function of DefineStream.
type Stream struct {
	r     io.Reader
	size  int64
	close func() error
}

// NewStream returns a Stream of the next size bytes of r; close, unless it is nil, is
// called when they are no longer needed.
func NewStream(r io.Reader, size int64, close func() error) *Stream {
	return &Stream{r: r, size: size, close: close}
}

// headed is a Stream as it is sent: behind the head that makes it a string of bytes.
type headed struct {
	s    *Stream
	sent int
}

func (h *headed) Size() int64 { return bytesHead + h.s.size }

func (h *headed) Read(p []byte) (int, error) {
	if h.sent < bytesHead {
		head := binary.BigEndian.AppendUint64([]byte{0x5b}, uint64(h.s.size))
		n := copy(p, head[h.sent:])
		h.sent += n
		return n, nil
	}
	return h.s.r.Read(p)
}

func (h *headed) Close() error {
	if h.s.close == nil {
		return nil
	}
	return h.s.close()
}
