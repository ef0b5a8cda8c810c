package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/yarnd/yarnd/engine/graph"
)

// maxDepth bounds how deep a value may be nested; a cyclic value is deeper.
const maxDepth = 1000

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	eo := cbor.CoreDetEncOptions()
	eo.Time, eo.TimeTag = cbor.TimeRFC3339Nano, cbor.EncTagRequired
	eo.ByteArray = cbor.ByteArrayToByteSlice
	eo.TextMarshaler = cbor.TextMarshalerTextString
	em, err := eo.EncMode()
	if err != nil {
		panic(err)
	}
	// An array of n elements takes at least n bytes, and the input is checked to be
	// well formed before memory is taken for it: its length is the bound.
	dm, err := cbor.DecOptions{
		MaxArrayElements:  math.MaxInt32,
		MaxMapPairs:       math.MaxInt32,
		MaxNestedLevels:   4 * maxDepth,
		IntDec:            cbor.IntDecConvertSignedOrBigInt,
		UTF8:              cbor.UTF8DecodeInvalid, // a Go string may hold any bytes
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		TextUnmarshaler:   cbor.TextUnmarshalerTextString,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return em, dm
}

// ErrMismatch is wrapped by errors about bytes that are not of the expected type.
var ErrMismatch = errors.New("value of another type")

// Codec encodes and decodes values of type T. It is safe for concurrent use.
type Codec[T any] struct {
	info *info
	fast fast
}

type fast uint8

const (
	slow fast = iota
	fastBytes
	fastString
)

// For returns the codec of T, or an error that names the part of T that cannot be
// sent.
func For[T any]() (*Codec[T], error) {
	in, err := analyse(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	c := &Codec[T]{info: in}
	switch any(new(T)).(type) {
	case *[]byte:
		c.fast = fastBytes
	case *string:
		c.fast = fastString
	}
	return c, nil
}

// HasRefs reports whether a T can hold Refs.
func (c *Codec[T]) HasRefs() bool { return c.info.refs }

// Shape describes T's bytes: two types of equal shape can read each other's. It
// is at most 512 bytes long.
func (c *Codec[T]) Shape() string { return c.info.shape }

// Type returns T's name for people.
func (c *Codec[T]) Type() string { return c.info.t.String() }

// Append appends v's bytes. deps is extended by the tasks that v's Refs name, each
// once.
func (c *Codec[T]) Append(dst []byte, deps []graph.TaskID, v T) ([]byte, []graph.TaskID, error) {
	switch c.fast {
	case fastBytes:
		b := *any(&v).(*[]byte)
		if b == nil {
			return append(dst, 0xf6), deps, nil
		}
		return append(appendHead(dst, majorBytes, len(b)), b...), deps, nil
	case fastString:
		s := *any(&v).(*string)
		return append(appendHead(dst, majorText, len(s)), s...), deps, nil
	}
	if c.info.walked() {
		w := collector{deps: deps, from: len(deps)}
		if err := w.value(c.info, reflect.ValueOf(&v).Elem(), 0); err != nil {
			return dst, deps, fmt.Errorf("encode %s: %w", c.info.t, err)
		}
		deps = w.deps
	}
	buf := bytes.NewBuffer(dst)
	if err := encMode.NewEncoder(buf).Encode(v); err != nil {
		return dst, deps, fmt.Errorf("encode %s: %w", c.info.t, err)
	}
	return buf.Bytes(), deps, nil
}

// Decode returns the value that data holds. With own set the value may keep parts
// of data. Refs stay as they are: see Resolve.
func (c *Codec[T]) Decode(data []byte, own bool) (v T, err error) {
	if c.fast != slow {
		if content, ok := simpleString(data, c.fast); ok {
			switch p := any(&v).(type) {
			case *[]byte:
				if !own {
					content = bytes.Clone(content)
				}
				*p = content
			case *string:
				*p = string(content)
			}
			return v, nil
		}
	}
	if err := decMode.Unmarshal(data, &v); err != nil {
		var zero T
		return zero, fmt.Errorf("%w: decode %s: %v", ErrMismatch, c.info.t, err)
	}
	return v, nil
}

// Resolve puts the results of tasks in the place of v's Refs. get returns the
// bytes of one task's result; they are not kept.
func (c *Codec[T]) Resolve(v *T, get func(graph.TaskID) ([]byte, error)) error {
	if !c.info.refs {
		return nil
	}
	return resolver{get: get}.value(c.info, reflect.ValueOf(v).Elem())
}

const (
	majorBytes = 2 << 5
	majorText  = 3 << 5
)

// appendHead appends the head of a string of n bytes, in the shortest form.
func appendHead(dst []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), uint64(n))
}

// simpleString returns the content of a byte or text string of definite length
// that fills data. Everything else is left to the general decoder.
func simpleString(data []byte, want fast) ([]byte, bool) {
	major := byte(majorBytes)
	if want == fastString {
		major = majorText
	}
	if len(data) == 0 || data[0]&0xe0 != major {
		return nil, false
	}
	var n uint64
	rest := data[1:]
	switch arg := data[0] & 0x1f; {
	case arg < 24:
		n = uint64(arg)
	case arg == 24 && len(rest) >= 1:
		n, rest = uint64(rest[0]), rest[1:]
	case arg == 25 && len(rest) >= 2:
		n, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case arg == 26 && len(rest) >= 4:
		n, rest = uint64(binary.BigEndian.Uint32(rest)), rest[4:]
	case arg == 27 && len(rest) >= 8:
		n, rest = binary.BigEndian.Uint64(rest), rest[8:]
	default:
		return nil, false
	}
	return rest, n == uint64(len(rest))
}
