package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/yarnd/yarnd/engine/graph"
)

// maxDepth bounds how deep a value may be nested; a cyclic value is deeper.
const maxDepth = 1000

var encMode, decMode = modes()

// ErrMismatch is wrapped by errors about bytes that are not of the expected type.
var ErrMismatch = errors.New("value of another type")

// Codec encodes and decodes values of type T. It is safe for concurrent use.
type Codec[T any] struct {
	info *info
	fast fast
}

// fast is a type whose values decode past reflection.
type fast uint8

const (
	slow fast = iota
	fastBytes
	fastString
	fastInt
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
	case *int:
		c.fast = fastInt
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
			return append(dst, cborNull), deps, nil
		}
		return append(appendHead(dst, majorBytes, uint64(len(b))), b...), deps, nil
	case fastString:
		s := *any(&v).(*string)
		return append(appendHead(dst, majorText, uint64(len(s))), s...), deps, nil
	}
	return c.append(dst, deps, &v)
}

func (c *Codec[T]) append(dst []byte, deps []graph.TaskID, v *T) (_ []byte, _ []graph.TaskID, err error) {
	w := collector{deps: deps, from: len(deps)}
	whole := len(dst)
	if c.info.direct {
		dst, err = w.append(dst, c.info, reflect.ValueOf(v).Elem(), 0)
	} else {
		if c.info.walked() {
			err = w.value(c.info, reflect.ValueOf(v).Elem(), 0)
		}
		if err == nil {
			dst, err = encode(dst, *v)
		}
	}
	if err != nil {
		return dst[:whole], deps, fmt.Errorf("encode %s: %w", c.info.t, err)
	}
	return dst, w.deps, nil
}

// Decode returns the value that data holds. With own set the value may keep parts
// of data. Refs stay as they are: see Resolve.
func (c *Codec[T]) Decode(data []byte, own bool) (v T, err error) {
	switch c.fast {
	case fastBytes:
		if content, ok := simpleString(data, majorBytes); ok {
			if !own {
				content = bytes.Clone(content)
			}
			*any(&v).(*[]byte) = content
			return v, nil
		}
	case fastString:
		if content, ok := simpleString(data, majorText); ok {
			*any(&v).(*string) = string(content)
			return v, nil
		}
	case fastInt:
		if n, ok := simpleInt(data); ok {
			*any(&v).(*int) = int(n)
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
