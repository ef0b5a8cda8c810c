package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/executor"
)

// valueLen is how many bytes of a result are its value, little-endian. What follows is
// filler, of the byte filler.
const (
	valueLen = 8
	filler   = 0xa5
)

// splitmix64 is the published SplitMix64 (Steele, Lea, Flood 2014; Vigna's
// splitmix64.c): one step of the generator from state x, its increment included.
func splitmix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// work is what one task is told. On the wire it is uvarints:
//
//	id | duration in µs | bytes of the result | count of each input …
//
// The counts are there only when an input is named more than once.
type work struct {
	id    uint64
	us    uint64
	bytes uint64
	count []uint64
}

func (w *work) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, w.id)
	dst = binary.AppendUvarint(dst, w.us)
	dst = binary.AppendUvarint(dst, w.bytes)
	for _, c := range w.count {
		dst = binary.AppendUvarint(dst, c)
	}
	return dst
}

var errPayload = errors.New("not the payload of a benchmark's task")

// parseWork reads what append wrote for a task of so many inputs.
func parseWork(b []byte, inputs int) (w work, err error) {
	next := func() (v uint64) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			err, b = errPayload, nil
			return 0
		}
		b = b[n:]
		return v
	}
	w.id, w.us, w.bytes = next(), next(), next()
	for len(b) > 0 && err == nil {
		w.count = append(w.count, next())
	}
	if err == nil && len(w.count) != 0 && len(w.count) != inputs {
		err = errPayload
	}
	return w, err
}

// run is the task itself, given the values of its inputs: it waits busily and returns
// the result.
func (w *work) run(inputs []uint64) []byte {
	began := time.Now()
	sum := w.id
	for i, v := range inputs {
		if w.count != nil {
			v *= w.count[i]
		}
		sum += v
	}
	out := make([]byte, max(w.bytes, valueLen))
	binary.LittleEndian.PutUint64(out, splitmix64(sum))
	fill(out[valueLen:])
	for d := time.Duration(w.us) * time.Microsecond; d > 0 && time.Since(began) < d; {
	}
	return out
}

// fill writes the filler, by doubling.
func fill(b []byte) {
	if len(b) == 0 {
		return
	}
	b[0] = filler
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// taskName is what tasks of the benchmark are called.
const taskName = "bench"

// functions are the functions of this program that are called by their bytes.
type functions struct{ typed executor.Funcs }

// Lookup finds the benchmark's task, or one that was defined with types.
func (f functions) Lookup(name string) (executor.Func, bool) {
	if name == taskName {
		return runTask, true
	}
	return f.typed.Lookup(name)
}

// runTask is the benchmark's task. Of a large input it reads the value alone.
func runTask(_ context.Context, call *executor.Call) ([]byte, error) {
	w, err := parseWork(call.Payload, len(call.Inputs))
	if err != nil {
		return nil, err
	}
	inputs := make([]uint64, len(call.Inputs))
	for i, in := range call.Inputs {
		var b [valueLen]byte
		if _, err := io.ReadFull(in.Open(), b[:]); err != nil {
			return nil, fmt.Errorf("the value of task %s: %w", in.Task, err)
		}
		inputs[i] = binary.LittleEndian.Uint64(b[:])
	}
	return w.run(inputs), nil
}

// valueOf reads the value of a result.
func valueOf(result []byte) (uint64, error) {
	if len(result) < valueLen {
		return 0, fmt.Errorf("a result of %d bytes holds no value", len(result))
	}
	return binary.LittleEndian.Uint64(result), nil
}

// checksum computes what the run must come to, one task after the other: the sum of
// the values of all tasks that no other needs.
func checksum(s source) uint64 {
	values, sum := make([]uint64, s.len()), uint64(0)
	needed := newBits(s.len())
	var deps []uint32
	for i := range values {
		t := s.at(i)
		deps = s.deps(i, deps[:0])
		x := t.id
		for _, d := range deps {
			x += values[d]
			needed.set(int(d))
		}
		values[i] = splitmix64(x)
	}
	for i, v := range values {
		if !needed.get(i) {
			sum += v
		}
	}
	return sum
}

// bits is a set of small numbers.
type bits []uint64

func newBits(n int) bits      { return make(bits, (n+63)/64) }
func (b bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) get(i int) bool { return b[i/64]>>(i%64)&1 == 1 }

// lastUses tells for each task the last one that needs it; 0 is none.
type lastUses []uint32

func (u lastUses) needed(i int) bool { return u[i] != 0 }

func lastUsesOf(s source) lastUses {
	last := make(lastUses, s.len())
	var deps []uint32
	for i := range last {
		deps = s.deps(i, deps[:0])
		for _, d := range deps {
			last[d] = uint32(i)
		}
	}
	return last
}

// unique sorts deps, takes out what is there more than once, and returns how often
// each was there; counts is nil when none was there twice.
func unique(deps []uint32, counts []uint64) ([]uint32, []uint64) {
	twice := false
	if len(deps) <= 8 {
		for i, d := range deps {
			twice = twice || slices.Contains(deps[:i], d)
		}
	} else if !slices.IsSorted(deps) || hasTwins(deps) {
		slices.Sort(deps)
		twice = hasTwins(deps)
	}
	if !twice {
		return deps, nil
	}
	slices.Sort(deps)
	n := 0
	for i, d := range deps {
		if i > 0 && d == deps[n-1] {
			counts[n-1]++
			continue
		}
		deps[n], counts = d, append(counts[:n], 1)
		n++
	}
	return deps[:n], counts
}

// hasTwins reports whether neighbours are equal.
func hasTwins(sorted []uint32) bool {
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return true
		}
	}
	return false
}
