package shuffle

import (
	"context"
	"fmt"
	"iter"
)

// Groups are the records of a partition, by key. They can be gone through once.
type Groups[K, V any] struct {
	// Records is how many the map tasks gave to this partition, combined ones as one.
	Records uint64

	ctx  context.Context
	spec *Spec[K, V]
	m    *merger
	key  []byte // of the group
	done uint64
	err  error
}

// All yields each key with its values. It ends early when records cannot be read or ctx
// ends; then the task fails, whatever the reduce function returns.
func (g *Groups[K, V]) All() iter.Seq2[K, iter.Seq[V]] {
	return func(yield func(K, iter.Seq[V]) bool) {
		for {
			k, ok := g.begin()
			if !ok {
				return
			}
			if !yield(k, g.values) {
				return
			}
			for g.inGroup() { // those that were passed over
				if !g.advance() {
					return
				}
			}
		}
	}
}

// Combined yields each key with its values combined. It needs Spec.Combine.
func (g *Groups[K, V]) Combined() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for {
			k, ok := g.begin()
			if !ok {
				return
			}
			v, err := combined(g.spec, g.m, g.key)
			if err != nil {
				g.err = err
				return
			}
			if !yield(k, v) {
				return
			}
		}
	}
}

// Err returns why there are no more groups, nil if all have been yielded: whoever writes
// them somewhere asks before that is made to look complete.
func (g *Groups[K, V]) Err() error { return g.err }

// begin begins the next group.
func (g *Groups[K, V]) begin() (k K, ok bool) {
	c := g.m.top()
	if c == nil || g.err != nil {
		return k, false
	}
	if g.done++; g.done%ctxEvery == 0 && g.ctx.Err() != nil {
		g.err = context.Cause(g.ctx)
		return k, false
	}
	g.key = append(g.key[:0], c.key...)
	if k, g.err = g.spec.Key.Decode(g.key); g.err != nil {
		g.err = fmt.Errorf("decode a key: %w", g.err)
		return k, false
	}
	return k, true
}

// inGroup reports whether the present record is of the group.
func (g *Groups[K, V]) inGroup() bool {
	c := g.m.top()
	return g.err == nil && c != nil && string(c.key) == string(g.key)
}

func (g *Groups[K, V]) advance() bool {
	if g.done++; g.done%ctxEvery == 0 && g.ctx.Err() != nil {
		g.err = context.Cause(g.ctx)
	} else {
		g.err = g.m.advance()
	}
	return g.err == nil
}

// values yields the values of the group that are left.
func (g *Groups[K, V]) values(yield func(V) bool) {
	for g.inGroup() {
		v, err := g.spec.Value.Decode(g.m.top().value)
		if err != nil {
			g.err = fmt.Errorf("decode a value: %w", err)
			return
		}
		on := yield(v)
		if !g.advance() || !on {
			return
		}
	}
}
