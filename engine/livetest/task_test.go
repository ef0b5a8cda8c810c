package livetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/executor"
)

// work is what a task does: its payload.
type work struct {
	takes time.Duration // virtual
	size  uint32        // bytes of the result, at least 8
	fails uint16        // how many attempts fail; always: all
}

const always = 1 << 15

func (w work) payload() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(w.takes))
	b = binary.LittleEndian.AppendUint32(b, w.size)
	return binary.LittleEndian.AppendUint16(b, w.fails)
}

// valueOf is a task's value: of its index and its inputs' values, as they came.
func valueOf(index uint32, inputs ...uint64) uint64 {
	x := uint64(index)
	for _, v := range inputs {
		x += v
	}
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// resultOf is the value and filler made of it.
func resultOf(v uint64, size uint32) []byte {
	return bytes.Repeat(binary.LittleEndian.AppendUint64(nil, v), int(size+7)/8)
}

var errMeant = errors.New("it is meant to fail")

// funcs has the function that tasks run, and the actor's.
type funcs struct{}

func (funcs) Lookup(name string) (executor.Func, bool) {
	if name != "work" {
		return engine.Funcs().Lookup(name)
	}
	return func(ctx context.Context, c *executor.Call) ([]byte, error) {
		takes := time.Duration(binary.LittleEndian.Uint64(c.Payload))
		size := binary.LittleEndian.Uint32(c.Payload[8:])
		fails := binary.LittleEndian.Uint16(c.Payload[12:])
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if fails == always || int(c.Attempt) <= int(fails) {
			return nil, errMeant
		}
		var inputs []uint64
		for _, in := range c.Inputs {
			b, err := in.Bytes()
			if err != nil {
				return nil, err
			}
			v := binary.LittleEndian.Uint64(b)
			if !bytes.Equal(b, resultOf(v, uint32(len(b)))) {
				return nil, fmt.Errorf("input %s is damaged", in.Task)
			}
			inputs = append(inputs, v)
		}
		return resultOf(valueOf(c.Task.Index, inputs...), size), nil
	}, true
}
