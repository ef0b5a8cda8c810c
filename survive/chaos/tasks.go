package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/shuffle"
)

// leafIn is what a leaf has to do: to mark that it runs, to take its time.
type leafIn struct {
	Marks  string
	ID     uint64 // of the task
	Index  int
	Micros int
}

// drawn is a number that is another one whenever it is drawn.
var drawn = engine.Define("drawn", func(_ context.Context, in leafIn) (uint64, error) {
	if err := mark(in); err != nil {
		return 0, err
	}
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	return binary.LittleEndian.Uint64(b[:]), nil
})

// leaf is a number of which anybody knows what it is.
var leaf = engine.Define("leaf", func(_ context.Context, in leafIn) (uint64, error) { return valueOf(in.Index), mark(in) })

// fields are a result of 64 KiB, which stays with its worker.
var fields = engine.Define("fields", func(_ context.Context, in leafIn) ([]byte, error) { return fieldsOf(in.Index), mark(in) })

func fieldsOf(index int) []byte {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte(index + i)
	}
	return b
}

// sum adds up.
var sum = engine.Define("sum", func(_ context.Context, in []engine.Ref[uint64]) (total uint64, err error) {
	for _, r := range in {
		v, _ := r.Get()
		total += v
	}
	return total, nil
})

// digits counts how often each end of three digits comes in runs of numbers. What a map task makes of it stays with its
// worker (executor's limit for small results is 4 KiB), and is lost with that.
var digits = shuffle.Define("digits", shuffle.Spec[int64, int64]{
	Key: shuffle.Int64, Value: shuffle.Int64, Combine: func(a, b int64) int64 { return a + b },
}, func(_ context.Context, from int, out *shuffle.Emitter[int64, int64]) error {
	for digits := range digitsOf(from) {
		if err := out.Emit(digits, 1); err != nil {
			return err
		}
	}
	return nil
}, func(_ context.Context, p shuffle.Part[struct{}], groups *shuffle.Groups[int64, int64]) (map[int64]int64, error) {
	counts := map[int64]int64{}
	for digit, n := range groups.Combined() {
		counts[digit] += n
	}
	return counts, groups.Err()
})

// words counts words of a text that is made from a number: what every second map task makes of it stays with its worker.
var words = shuffle.Define("words", shuffle.Spec[string, int64]{
	Key: shuffle.String, Value: shuffle.Int64, Combine: func(a, b int64) int64 { return a + b },
}, func(_ context.Context, from int, out *shuffle.Emitter[string, int64]) error {
	for word := range wordsOf(from) {
		if err := out.Emit(word, 1); err != nil {
			return err
		}
	}
	return nil
}, func(_ context.Context, p shuffle.Part[struct{}], groups *shuffle.Groups[string, int64]) (map[string]int64, error) {
	counts := map[string]int64{}
	for word, n := range groups.Combined() {
		counts[word] += n
	}
	return counts, groups.Err()
})

// digitsOf are the last three digits of a thousand numbers, from one on.
func digitsOf(from int) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for i := from; i < from+1000 && yield(int64(i%1000)); i++ {
		}
	}
}

// wordsOf are the words of the text of a number: of an even one they are some twelve hundred different ones, of an odd one a
// hundred that come often and seldom.
func wordsOf(from int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range 2000 {
			v := valueOf(from*2000 + i)
			word := fmt.Sprintf("word%d", bits.LeadingZeros64(v)*16+int(v%16))
			if from%2 == 0 {
				word = fmt.Sprintf("word%d", v>>32%2000)
			}
			if !yield(word) {
				return
			}
		}
	}
}

func valueOf(i int) uint64 { return uint64(i)*0x9e3779b97f4a7c15 ^ uint64(i)>>3 }

// inputs are n leaves, with numbers from first on.
func inputs(marks string, first uint64, n, micros int) func(func(leafIn) bool) {
	return func(yield func(leafIn) bool) {
		for i := range n {
			if !yield(leafIn{marks, first + uint64(i), i, micros}) {
				return
			}
		}
	}
}

// shuffleParts are those of each shuffle.
var shuffleParts = shuffle.Hash(4)
