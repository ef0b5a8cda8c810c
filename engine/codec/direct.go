package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/yarnd/yarnd/engine/graph"
)

// Major types of CBOR (RFC 8949, 3.1), and values of one byte.
const (
	majorUint  = 0 << 5
	majorNint  = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5

	cborFalse     = 0xf4
	cborTrue      = 0xf5
	cborNull      = 0xf6
	cborUndefined = 0xf7
	cborDouble    = 0xfb
)

// appendHead appends the head of an item of argument n, in the shortest form.
func appendHead(dst []byte, major byte, n uint64) []byte {
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
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

// MaxInt is the most bytes that AppendInt appends.
const MaxInt = 9

// AppendInt appends an integer as values of all integer types are encoded.
func AppendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, majorNint, uint64(-1-n))
	}
	return appendHead(dst, majorUint, uint64(n))
}

// appendRef appends a Ref to a task: the tag, and an array of job and index.
func appendRef(dst []byte, id graph.TaskID) []byte {
	dst = append(dst, refHead...)
	return appendHead(appendHead(dst, majorUint, uint64(id.Job)), majorUint, uint64(id.Index))
}

// direct reports whether values of the type are encoded here, in one go that collects
// Refs as well. Most inputs are; all others take the library's way, which gives the
// same bytes. What is below the type is looked at by spread.
func direct(in *info) bool {
	if in.isRef {
		return true
	}
	if in.t.Kind() != reflect.Pointer && implements(in.t, marshalers) {
		return false
	}
	switch in.t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float64, reflect.Pointer, reflect.Slice,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Struct:
		return directStruct(in)
	}
	return false
}

// directStruct orders the fields as they are encoded. Whatever a tag can ask for
// besides a name is the library's.
func directStruct(in *info) bool {
	for i := range in.t.NumField() {
		f := in.t.Field(i)
		if f.Anonymous || f.Name == "_" {
			return false
		}
		for _, key := range []string{"cbor", "json"} {
			if tag, ok := f.Tag.Lookup(key); ok && (tag != tagName(f) || tag == "") && tag != "-" {
				return false
			}
		}
	}
	for i := range in.fields {
		f := &in.fields[i]
		sf := in.t.Field(f.index)
		name := tagName(sf)
		if name == "" {
			name = sf.Name
		}
		f.key = append(appendHead(nil, majorText, uint64(len(name))), name...)
	}
	in.sorted = slices.Clone(in.fields)
	slices.SortFunc(in.sorted, func(a, b field) int { return bytes.Compare(a.key, b.key) })
	return !slices.ContainsFunc(in.sorted[min(1, len(in.sorted)):], func(f field) bool {
		i := slices.IndexFunc(in.sorted, func(g field) bool { return bytes.Equal(f.key, g.key) })
		return in.sorted[i].index != f.index // two of one name: the library has rules for that
	})
}

// append appends a value of a direct type.
func (c *collector) append(dst []byte, in *info, v reflect.Value, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errDeep
	}
	if in.isRef {
		return c.appendRef(dst, in, v, depth)
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return append(dst, cborTrue), nil
		}
		return append(dst, cborFalse), nil
	case reflect.String:
		s := v.String()
		return append(appendHead(dst, majorText, uint64(len(s))), s...), nil
	case reflect.Float64:
		return appendFloat(dst, v.Float())
	case reflect.Pointer:
		if v.IsNil() {
			return append(dst, cborNull), nil
		}
		return c.append(dst, in.elem, v.Elem(), depth+1)
	case reflect.Slice:
		return c.appendSlice(dst, in, v, depth)
	case reflect.Struct:
		var err error
		dst = appendHead(dst, majorMap, uint64(len(in.sorted)))
		for i := range in.sorted {
			f := &in.sorted[i]
			if dst, err = c.append(append(dst, f.key...), f.info, v.Field(f.index), depth+1); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
	if v.CanUint() {
		return appendHead(dst, majorUint, v.Uint()), nil
	}
	return AppendInt(dst, v.Int()), nil
}

func (c *collector) appendSlice(dst []byte, in *info, v reflect.Value, depth int) (_ []byte, err error) {
	n := v.Len()
	switch {
	case v.IsNil():
		return append(dst, cborNull), nil
	case in.t.Elem().Kind() == reflect.Uint8:
		return append(appendHead(dst, majorBytes, uint64(n)), v.Bytes()...), nil
	}
	dst = appendHead(dst, majorArray, uint64(n))
	for i := range n {
		if dst, err = c.append(dst, in.elem, v.Index(i), depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendFloat leaves the shorter forms of those that have one to the library.
func appendFloat(dst []byte, f float64) ([]byte, error) {
	if float64(float32(f)) != f && !math.IsNaN(f) {
		return binary.BigEndian.AppendUint64(append(dst, cborDouble), math.Float64bits(f)), nil
	}
	short, err := encMode.Marshal(f)
	return append(dst, short...), err
}

func (c *collector) appendRef(dst []byte, in *info, v reflect.Value, depth int) ([]byte, error) {
	r, ok := asRef(v)
	if !ok {
		return dst, fmt.Errorf("%s cannot be reached", v.Type())
	}
	id, err := r.promise()
	switch {
	case err != nil:
		return dst, fmt.Errorf("an input that cannot be had: %w", err)
	case id.Job != 0:
		c.add(id)
		return appendRef(dst, id), nil
	}
	value, ok := r.held()
	switch {
	case !ok:
		return append(dst, cborUndefined), nil
	case in.elem.direct:
		return c.append(dst, in.elem, value, depth+1)
	}
	data, err := encMode.Marshal(value.Interface())
	return append(dst, data...), err
}

// encode appends a value in the library's way.
func encode(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	if err := encMode.MarshalToBuffer(v, buf); err != nil {
		return dst, err
	}
	return buf.Bytes(), nil
}

// simpleInt returns the whole number that fills data, if it is one that an int64
// holds. Everything else is left to the general decoder.
func simpleInt(data []byte) (int64, bool) {
	n, rest, ok := head(data)
	if !ok || len(rest) != 0 || n > math.MaxInt64 {
		return 0, false
	}
	switch data[0] & 0xe0 {
	case majorUint:
		return int64(n), true
	case majorNint:
		return -1 - int64(n), true
	}
	return 0, false
}

// simpleString returns the content of a byte or text string of definite length
// that fills data.
func simpleString(data []byte, major byte) ([]byte, bool) {
	n, rest, ok := head(data)
	if !ok || data[0]&0xe0 != major {
		return nil, false
	}
	return rest, n == uint64(len(rest))
}

// head returns the argument of the item with which data begins, and what follows.
func head(data []byte) (n uint64, rest []byte, ok bool) {
	if len(data) == 0 {
		return 0, nil, false
	}
	rest = data[1:]
	switch arg := data[0] & 0x1f; {
	case arg < 24:
		return uint64(arg), rest, true
	case arg == 24 && len(rest) >= 1:
		return uint64(rest[0]), rest[1:], true
	case arg == 25 && len(rest) >= 2:
		return uint64(binary.BigEndian.Uint16(rest)), rest[2:], true
	case arg == 26 && len(rest) >= 4:
		return uint64(binary.BigEndian.Uint32(rest)), rest[4:], true
	case arg == 27 && len(rest) >= 8:
		return binary.BigEndian.Uint64(rest), rest[8:], true
	}
	return 0, nil, false
}

// modes are how the library encodes and decodes: see the package's comment.
func modes() (cbor.UserBufferEncMode, cbor.DecMode) {
	eo := cbor.CoreDetEncOptions()
	eo.Time, eo.TimeTag = cbor.TimeRFC3339Nano, cbor.EncTagRequired
	eo.ByteArray = cbor.ByteArrayToByteSlice
	eo.TextMarshaler = cbor.TextMarshalerTextString
	em, err := eo.UserBufferEncMode()
	// An array of n elements takes at least n bytes, and the input is checked to be
	// well formed before memory is taken for it: its length is the bound.
	dm, derr := cbor.DecOptions{
		MaxArrayElements:  math.MaxInt32,
		MaxMapPairs:       math.MaxInt32,
		MaxNestedLevels:   4 * maxDepth,
		IntDec:            cbor.IntDecConvertSignedOrBigInt,
		UTF8:              cbor.UTF8DecodeInvalid, // a Go string may hold any bytes
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		TextUnmarshaler:   cbor.TextUnmarshalerTextString,
	}.DecMode()
	if err := errors.Join(err, derr); err != nil {
		panic(err)
	}
	return em, dm
}
