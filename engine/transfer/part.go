package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/engine/graph"
)

// MaxPart bounds the bytes of one ReadAt of a result, and is what a server reads of its
// store at a time.
const MaxPart = 1 << 20

// ReadAt reads a part of a result, of at most MaxPart bytes, at an offset. A result that
// ends before the end of p is an error. Errors are *Error.
func (p *Pool) ReadAt(ctx context.Context, from Peer, t graph.TaskID, a graph.Attempt, b []byte, offset int64) error {
	what := object{op: opRange, task: t, attempt: a, offset: uint64(offset), count: uint32(len(b))}
	weight := min(int64(len(b)), p.opts.InFlight)
	if err := p.flight.Acquire(ctx, weight); err != nil {
		return p.fail(ctx, from, what, context.Cause(ctx))
	}
	defer p.flight.Release(weight)
	f, err := p.fetch(ctx, from, what)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.size != uint64(len(b))+sumLen {
		return &Error{Peer: from, Object: what.String(), kind: wrong, Err: fmt.Errorf("it answers with %d bytes", f.size)}
	}
	var sum [sumLen]byte
	if _, err := io.ReadFull(f, b); err != nil {
		return err
	}
	if _, err := io.ReadFull(f, sum[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(sum[:]) != checksum.Of(b) {
		return p.fail(ctx, from, what, errDamaged)
	}
	return nil
}

// part opens a part of a result; its checksum follows.
func (s *Server) part(o object) (io.ReadCloser, int64, error) {
	if o.count > MaxPart {
		return nil, 0, fmt.Errorf("a part of %d bytes: the limit is %d", o.count, MaxPart)
	}
	body, err := s.source.OpenResult(o.task, o.attempt)
	if err != nil {
		return nil, 0, err
	}
	defer body.Close()
	if size := uint64(body.Size()); o.offset > size || uint64(o.count) > size-o.offset {
		return nil, 0, fmt.Errorf("%d bytes at %d of a result of %d", o.count, o.offset, size)
	}
	b := make([]byte, o.count, o.count+sumLen)
	if err := readPart(body, b, int64(o.offset)); err != nil {
		return nil, 0, err
	}
	b = binary.BigEndian.AppendUint32(b, checksum.Of(b))
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// readPart fills b from an offset on.
func readPart(body Object, b []byte, offset int64) error {
	if r, ok := body.(io.ReaderAt); ok {
		_, err := r.ReadAt(b, offset)
		return err
	}
	for len(b) > 0 {
		block, err := body.Block(int(offset / checksum.Block))
		if err != nil {
			return err
		}
		n := copy(b, block[offset%checksum.Block:])
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}
