package shuffle

import (
	"bytes"
	"context"
	"errors"

	"github.com/yarnd/yarnd/engine"
)

const (
	// sampled is of how many inputs a sample is taken, at most, evenly spread.
	sampled = 16
	// sampleKeys is how many keys of each: its first ones.
	sampleKeys = 10_000
)

type sampleIn[In any] struct {
	In   In
	Keys int
}

type cutIn struct {
	Samples []engine.Ref[[][]byte]
	Parts   uint32
}

// spread returns at most n inputs, evenly spread.
func spread[In any](inputs []In, n int) []In {
	if len(inputs) <= n {
		return inputs
	}
	out := make([]In, n)
	for i := range out {
		out[i] = inputs[i*len(inputs)/n]
	}
	return out
}

// runSample is a sample task: it returns an input's first keys.
func runSample[In, K, V any](ctx context.Context, spec *Spec[K, V], mapper func(context.Context, In, *Emitter[K, V]) error, in sampleIn[In]) ([][]byte, error) {
	var keys [][]byte
	err := mapper(ctx, in.In, &Emitter[K, V]{spec: spec, ctx: ctx, emit: func(key []byte, _ V) error {
		if len(keys) == in.Keys {
			return errEnough
		}
		keys = append(keys, bytes.Clone(key))
		return nil
	}})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return keys, nil
}
