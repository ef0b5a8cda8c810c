package logagg

import (
	"bytes"
	"encoding/binary"
	"math"
)

// javaReader reads a stream of Java's Object Serialization protocol, version 5
// (Java Object Serialization Specification, chapter 6), into plain values:
// nothing of the stream decides what code runs. Objects become [javaObject],
// strings string, enumeration constants their names, arrays []any, numbers
// int64, float64 or bool. References to earlier objects are followed.
type javaReader struct {
	buf     *bytes.Reader
	handles []any
	depth   int
}

// javaObject is an object with the fields of all its serializable classes, and
// what their writeObject methods wrote beyond the fields: blocks of bytes as
// []byte, and objects.
type javaObject struct {
	class  string
	fields map[string]any
	extra  []any
}

// javaClass describes how a class was written.
type javaClass struct {
	name   string
	flags  byte
	fields []javaField
	super  *javaClass
}

type javaField struct {
	kind byte // B C D F I J S Z, or [ L for objects
	name string
}

// Codes of the protocol.
const (
	tcNull          = 0x70
	tcReference     = 0x71
	tcClassDesc     = 0x72
	tcObject        = 0x73
	tcString        = 0x74
	tcArray         = 0x75
	tcBlockData     = 0x77
	tcEndBlockData  = 0x78
	tcBlockDataLong = 0x7a
	tcLongString    = 0x7c
	tcEnum          = 0x7e

	scWriteMethod  = 0x01
	scSerializable = 0x02

	baseHandle   = 0x7e0000
	maxJavaDepth = 100
)

// parseJava reads one object.
func parseJava(b []byte) (any, error) {
	r := &javaReader{}
	r.reset(b)
	head, err := r.take(4)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(head, []byte{0xac, 0xed, 0, 5}) {
		return nil, corrupt("no serialized Java object of version 5")
	}
	return r.value()
}

func (r *javaReader) reset(b []byte) { r.buf = bytes.NewReader(b) }

// take returns n bytes, which the buffer must have.
func (r *javaReader) take(n int64) ([]byte, error) {
	if n < 0 || n > int64(r.buf.Len()) {
		return nil, corrupt("%d bytes wanted, %d are left", n, r.buf.Len())
	}
	b := make([]byte, n)
	_, err := r.buf.Read(b)
	if n == 0 {
		err = nil
	}
	return b, err
}

func (r *javaReader) number(size int64) (int64, error) {
	b, err := r.take(size)
	if err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return int64(int8(b[0])), nil
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b))), nil
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// utf reads a string with a length of two bytes.
func (r *javaReader) utf() (string, error) {
	n, err := r.number(2)
	if err != nil {
		return "", err
	}
	b, err := r.take(n & 0xffff)
	return fromModifiedUTF(b), err
}

func (r *javaReader) code() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// remember gives the next handle to a value, which may be completed later when
// it is a pointer, and returns its place.
func (r *javaReader) remember(v any) int {
	r.handles = append(r.handles, v)
	return len(r.handles) - 1
}

// value reads any value that has a code of its own.
func (r *javaReader) value() (any, error) {
	c, err := r.code()
	if err != nil {
		return nil, err
	}
	return r.valueOf(c)
}

func (r *javaReader) valueOf(c byte) (any, error) {
	if r.depth++; r.depth > maxJavaDepth {
		return nil, corrupt("objects are nested more than %d deep", maxJavaDepth)
	}
	defer func() { r.depth-- }()
	switch c {
	case tcNull:
		return nil, nil
	case tcReference:
		return r.reference()
	case tcObject:
		return r.object()
	case tcString, tcLongString:
		return r.text(c)
	case tcEnum:
		return r.enum()
	case tcArray:
		return r.array()
	case tcBlockData:
		n, err := r.number(1)
		if err != nil {
			return nil, err
		}
		return r.take(n & 0xff)
	case tcBlockDataLong:
		n, err := r.number(4)
		if err != nil {
			return nil, err
		}
		return r.take(n)
	}
	return nil, corrupt("serialized Java has the code %#x, which is not expected", c)
}

func (r *javaReader) reference() (any, error) {
	h, err := r.number(4)
	if err != nil {
		return nil, err
	}
	i := h - baseHandle
	if i < 0 || i >= int64(len(r.handles)) {
		return nil, corrupt("a reference to object %d of %d", i, len(r.handles))
	}
	return r.handles[i], nil
}

func (r *javaReader) text(c byte) (string, error) {
	size := int64(2)
	if c == tcLongString {
		size = 8
	}
	n, err := r.number(size)
	if err != nil {
		return "", err
	}
	if size == 2 {
		n &= 0xffff
	}
	b, err := r.take(n)
	s := fromModifiedUTF(b)
	r.remember(s)
	return s, err
}

// classDesc reads a class description; nil stands for none.
func (r *javaReader) classDesc() (*javaClass, error) {
	if r.depth++; r.depth > maxJavaDepth {
		return nil, corrupt("classes are nested more than %d deep", maxJavaDepth)
	}
	defer func() { r.depth-- }()
	c, err := r.code()
	if err != nil {
		return nil, err
	}
	switch c {
	case tcNull:
		return nil, nil
	case tcReference:
		v, err := r.reference()
		if err != nil {
			return nil, err
		}
		if d, ok := v.(*javaClass); ok {
			return d, nil
		}
		return nil, corrupt("a reference to a class leads to something else")
	case tcClassDesc:
		return r.newClass()
	}
	return nil, corrupt("a class description begins with %#x", c)
}

func (r *javaReader) newClass() (*javaClass, error) {
	d := &javaClass{}
	var err error
	if d.name, err = r.utf(); err != nil {
		return nil, err
	}
	if _, err = r.take(8); err != nil { // serialVersionUID
		return nil, err
	}
	r.remember(d)
	if d.flags, err = r.code(); err != nil {
		return nil, err
	}
	n, err := r.number(2)
	if err != nil {
		return nil, err
	}
	for range n {
		kind, err := r.code()
		if err != nil {
			return nil, err
		}
		name, err := r.utf()
		if err != nil {
			return nil, err
		}
		if kind == 'L' || kind == '[' {
			if _, err := r.value(); err != nil { // the name of its class
				return nil, err
			}
		}
		d.fields = append(d.fields, javaField{kind, name})
	}
	if _, err := r.untilEnd(); err != nil { // annotations
		return nil, err
	}
	d.super, err = r.classDesc()
	return d, err
}

// untilEnd reads values up to the end of the block they stand in.
func (r *javaReader) untilEnd() ([]any, error) {
	var vs []any
	for {
		c, err := r.code()
		if err != nil {
			return nil, err
		}
		if c == tcEndBlockData {
			return vs, nil
		}
		v, err := r.valueOf(c)
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
}

func (r *javaReader) object() (*javaObject, error) {
	d, err := r.classDesc()
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, corrupt("an object without a class")
	}
	o := &javaObject{class: d.name, fields: make(map[string]any)}
	r.remember(o)
	var line []*javaClass // from the class up
	for c := d; c != nil; c = c.super {
		if line = append(line, c); len(line) > maxJavaDepth {
			return nil, corrupt("a class with more than %d ancestors", maxJavaDepth)
		}
	}
	for i := len(line) - 1; i >= 0; i-- {
		if err := r.classData(o, line[i]); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// classData reads what one class of an object wrote.
func (r *javaReader) classData(o *javaObject, c *javaClass) error {
	if c.flags&scSerializable == 0 {
		return corrupt("class %s is not written in the usual way", c.name)
	}
	for _, f := range c.fields {
		v, err := r.field(f.kind)
		if err != nil {
			return err
		}
		o.fields[f.name] = v
	}
	if c.flags&scWriteMethod == 0 {
		return nil
	}
	extra, err := r.untilEnd()
	o.extra = append(o.extra, extra...)
	return err
}

// field reads a value of a known type.
func (r *javaReader) field(kind byte) (any, error) {
	switch kind {
	case 'B':
		return r.number(1)
	case 'C', 'S':
		return r.number(2)
	case 'I':
		return r.number(4)
	case 'J':
		return r.number(8)
	case 'Z':
		n, err := r.number(1)
		return n != 0, err
	case 'F':
		n, err := r.number(4)
		return float64(math.Float32frombits(uint32(n))), err
	case 'D':
		n, err := r.number(8)
		return math.Float64frombits(uint64(n)), err
	case 'L', '[':
		return r.value()
	}
	return nil, corrupt("a field of type %q", kind)
}

func (r *javaReader) enum() (string, error) {
	if _, err := r.classDesc(); err != nil {
		return "", err
	}
	at := r.remember(nil)
	v, err := r.value()
	if err != nil {
		return "", err
	}
	name, ok := v.(string)
	if !ok {
		return "", corrupt("an enumeration constant without a name")
	}
	r.handles[at] = name
	return name, nil
}

func (r *javaReader) array() ([]any, error) {
	d, err := r.classDesc()
	if err != nil {
		return nil, err
	}
	if d == nil || len(d.name) < 2 || d.name[0] != '[' {
		return nil, corrupt("an array of no type")
	}
	at := r.remember(nil)
	n, err := r.number(4)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(r.buf.Len()) { // each element takes a byte or more
		return nil, corrupt("an array of %d elements", n)
	}
	var vs []any
	for range n {
		v, err := r.field(d.name[1])
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
	r.handles[at] = vs
	return vs, nil
}
