package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/codec"
)

// Coder turns keys or values into bytes and back. For keys, the order of the bytes is the
// order of the keys, and equal keys have equal bytes.
type Coder[T any] struct {
	Append func(dst []byte, v T) ([]byte, error)
	// Decode must not keep parts of b.
	Decode func(b []byte) (T, error)

	clone func(T) T // of Bytes, whose Decode keeps b; nil: there is no need
}

// keep returns a v that stays.
func (c *Coder[T]) keep(v T) T {
	if c.clone == nil {
		return v
	}
	return c.clone(v)
}

var (
	// Bytes is for slices of bytes. What a reduce function gets is valid until it goes on
	// to the next key or value.
	Bytes = Coder[[]byte]{
		Append: func(dst, v []byte) ([]byte, error) { return append(dst, v...), nil },
		Decode: func(b []byte) ([]byte, error) { return b, nil },
		clone:  bytes.Clone,
	}
	// String is for text, in the order of its bytes.
	String = Coder[string]{
		Append: func(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil },
		Decode: func(b []byte) (string, error) { return string(b), nil },
	}
	// Uint64 is for numbers of 8 bytes.
	Uint64 = Coder[uint64]{
		Append: func(dst []byte, v uint64) ([]byte, error) { return binary.BigEndian.AppendUint64(dst, v), nil },
		Decode: decodeUint64,
	}
	// Int64 is for numbers of 8 bytes, negative ones first.
	Int64 = Coder[int64]{
		Append: func(dst []byte, v int64) ([]byte, error) {
			return binary.BigEndian.AppendUint64(dst, uint64(v)^1<<63), nil
		},
		Decode: func(b []byte) (int64, error) {
			v, err := decodeUint64(b)
			return int64(v ^ 1<<63), err
		},
	}
)

var errWidth = errors.New("not a number of 8 bytes")

func decodeUint64(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, errWidth
	}
	return binary.BigEndian.Uint64(b), nil
}

// Value is for any type that tasks can take (see package codec), but not for keys: its
// order is none that people would expect. It panics for a T that cannot be sent.
func Value[T any]() Coder[T] {
	c, err := codec.For[T]()
	if err == nil && c.HasRefs() {
		err = fmt.Errorf("type %s holds Refs", c.Type())
	}
	if err != nil {
		panic(fmt.Sprintf("shuffle: Value: %v", err))
	}
	return Coder[T]{
		Append: func(dst []byte, v T) ([]byte, error) {
			dst, _, err := c.Append(dst, nil, v)
			return dst, err
		},
		Decode: func(b []byte) (T, error) { return c.Decode(b, false) },
	}
}
