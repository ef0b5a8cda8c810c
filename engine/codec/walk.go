package codec

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

var errDeep = fmt.Errorf("nested more than %d deep, or in a cycle", maxDepth)

// collector finds the tasks that a value's Refs name.
type collector struct {
	deps []graph.TaskID
	from int // what was in deps before
	seen map[graph.TaskID]bool
}

// linear is how many dependencies are searched one by one before a set is made.
const linear = 16

func (c *collector) add(id graph.TaskID) {
	mine := c.deps[c.from:]
	if len(mine) < linear {
		if !slices.Contains(mine, id) {
			c.deps = append(c.deps, id)
		}
		return
	}
	if c.seen == nil {
		c.seen = make(map[graph.TaskID]bool, 2*linear)
		for _, d := range mine {
			c.seen[d] = true
		}
	}
	if !c.seen[id] {
		c.seen[id] = true
		c.deps = append(c.deps, id)
	}
}

func (c *collector) value(in *info, v reflect.Value, depth int) error {
	if !in.walked() {
		return nil
	}
	if depth > maxDepth {
		return errDeep
	}
	if in.isRef {
		return c.ref(v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return c.value(in.elem, v.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := c.value(in.elem, v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		return c.mapping(in, v, depth)
	case reflect.Struct:
		for _, f := range in.fields {
			if err := c.value(f.info, v.Field(f.index), depth+1); err != nil {
				return err
			}
		}
	case reflect.Interface:
		return c.dynamic(v, depth)
	}
	return nil
}

// mapping walks a map's values in no order; the tasks found are sorted, so that
// equal inputs have equal dependencies.
func (c *collector) mapping(in *info, v reflect.Value, depth int) error {
	inner := collector{}
	for it := v.MapRange(); it.Next(); {
		if err := inner.value(in.elem, it.Value(), depth+1); err != nil {
			return err
		}
	}
	slices.SortFunc(inner.deps, graph.TaskID.Compare)
	for _, id := range inner.deps {
		c.add(id)
	}
	return nil
}

func (c *collector) ref(v reflect.Value) error {
	r, ok := asRef(v)
	if !ok {
		p := reflect.New(v.Type()) // of a map: not addressable
		p.Elem().Set(v)
		r = p.Interface().(anyRef)
	}
	id, err := r.promise()
	if err != nil {
		return fmt.Errorf("an input that cannot be had: %w", err)
	}
	if id.Job != 0 {
		c.add(id)
	}
	return nil
}

func asRef(v reflect.Value) (anyRef, bool) {
	if !v.CanAddr() {
		return nil, false
	}
	r, ok := v.Addr().Interface().(anyRef)
	return r, ok
}

// dynamic looks into an any: a type without Refs, and without functions, is fine.
func (c *collector) dynamic(v reflect.Value, depth int) error {
	if v.IsNil() {
		return nil
	}
	v = v.Elem()
	in, err := analyse(v.Type())
	if err != nil {
		return err
	}
	if in.refs {
		return errors.New("a Ref within an any would not be found again: give the field a type")
	}
	return c.value(in, v, depth+1)
}

// resolver puts results in the place of a value's Refs.
type resolver struct {
	get func(graph.TaskID) ([]byte, error)
}

func (r resolver) value(in *info, v reflect.Value) error {
	if !in.refs {
		return nil
	}
	if in.isRef {
		return r.ref(v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return r.value(in.elem, v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := r.value(in.elem, v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(it.Value())
			if err := r.value(in.elem, elem); err != nil {
				return err
			}
			v.SetMapIndex(it.Key(), elem)
		}
	case reflect.Struct:
		for _, f := range in.fields {
			if err := r.value(f.info, v.Field(f.index)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r resolver) ref(v reflect.Value) error {
	ref, ok := asRef(v)
	if !ok {
		return fmt.Errorf("%s cannot be reached", v.Type())
	}
	id, _ := ref.promise()
	if id.Job == 0 {
		return nil
	}
	data, err := r.get(id)
	if err != nil {
		return err
	}
	if err := ref.resolve(data); err != nil {
		return fmt.Errorf("result of task %s: %w", id, err)
	}
	return nil
}
