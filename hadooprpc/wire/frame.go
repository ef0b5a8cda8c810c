package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Limits on the length of a frame, in bytes.
const (
	// MaxBeforeAuth is for frames of a peer that has not proven who it is.
	MaxBeforeAuth = 64 << 10
	// DefaultMax is what Hadoop allows (ipc.maximum.data.length, ipc.maximum.response.length).
	DefaultMax = 128 << 20
)

// readStep bounds how much memory is taken ahead of the bytes that have arrived.
const readStep = 64 << 10

// ErrMalformed is wrapped by every error about a frame's content.
var ErrMalformed = errors.New("malformed Hadoop RPC frame")

// LimitError tells that a peer announced a frame longer than allowed. Nothing was allocated for it.
type LimitError struct {
	Length uint32
	Max    int
}

func (e *LimitError) Error() string {
	b := binary.BigEndian.AppendUint32(nil, e.Length)
	switch {
	case string(b) == "HTTP":
		return "peer answers in HTTP, not Hadoop RPC: the port is a web address"
	case b[0] == 0x15 && b[1] == 3: // a TLS alert
		return "peer answers in TLS, not Hadoop RPC"
	}
	return fmt.Sprintf("peer announces a frame of %d bytes, more than the allowed %d", e.Length, e.Max)
}

// AppendFrame appends one frame that holds msgs, each preceded by its length. An error (a required field is
// missing, or the frame passes 4 GiB) leaves dst as it was.
func AppendFrame(dst []byte, msgs ...proto.Message) ([]byte, error) {
	start := len(dst)
	out := append(dst, 0, 0, 0, 0)
	var err error
	for _, m := range msgs {
		if out, err = AppendMessage(out, m); err != nil {
			return dst, err
		}
	}
	n := len(out) - start - 4
	if n > 1<<31-1 { // Java reads the length as a signed int
		return dst, fmt.Errorf("frame of %d bytes is longer than Hadoop RPC can carry", n)
	}
	binary.BigEndian.PutUint32(out[start:], uint32(n))
	return out, nil
}

// ReadFrame reads one frame and returns what follows its length. A frame longer than limit gives a *LimitError before
// any memory is taken. io.EOF means that the peer ended between frames, io.ErrUnexpectedEOF within one.
//
// The result reuses buf when that is large enough; pass nil to own the result.
func ReadFrame(r io.Reader, buf []byte, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if uint64(length) > uint64(limit) {
		return nil, &LimitError{Length: length, Max: limit}
	}
	n, b := int(length), buf[:0]
	for len(b) < n {
		have := len(b)
		// Growing doubles what has arrived, so memory stays within twice the bytes received plus one step.
		b = slices.Grow(b, min(n-have, max(readStep, have)))
		b = b[:min(n, cap(b))]
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return b, nil
}

// AppendMessage appends m preceded by its length as a varint.
func AppendMessage(dst []byte, m proto.Message) ([]byte, error) {
	opts := proto.MarshalOptions{UseCachedSize: true}
	size := proto.Size(m)
	out := protowire.AppendVarint(dst, uint64(size))
	out, err := opts.MarshalAppend(out, m)
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return out, nil
}

// CutMessage splits the next delimited message off b.
func CutMessage(b []byte) (msg, rest []byte, err error) {
	size, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return nil, nil, fmt.Errorf("%w: bad length of a message", ErrMalformed)
	}
	b = b[n:]
	if size > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%w: a message of %d bytes in %d", ErrMalformed, size, len(b))
	}
	return b[:size], b[size:], nil
}

// ReadMessage decodes the next delimited message of b into m and returns what follows it.
func ReadMessage(b []byte, m proto.Message) (rest []byte, err error) {
	raw, rest, err := CutMessage(b)
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrMalformed, m.ProtoReflect().Descriptor().Name(), err)
	}
	return rest, nil
}

// ReadLast is ReadMessage for the last message of a frame: bytes after it are an error, as they are in Java.
func ReadLast(b []byte, m proto.Message) error {
	rest, err := ReadMessage(b, m)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes after %s", ErrMalformed, len(rest), m.ProtoReflect().Descriptor().Name())
	}
	return err
}
