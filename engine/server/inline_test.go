package server

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestInlineStore compares the store with a map under random work, and its memory
// with what lives.
func TestInlineStore(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var r rows
	r.grow(4000)
	s, want := newInlineStore(&r), map[uint32][]byte{}
	check := func(index uint32) {
		got, ok := s.get(index, 1)
		if w, has := want[index]; ok != has || !bytes.Equal(got, w) {
			t.Fatalf("result %d: %v %v, want %v %v", index, got, ok, w, has)
		}
	}
	for step := range 200_000 {
		index := uint32(rnd.IntN(3000))
		// The second half of the run lets the store shrink.
		if rnd.IntN(3) == 0 || step > 100_000 && rnd.IntN(2) == 0 {
			s.drop(index, 2) // another attempt's: nothing
			s.drop(index, 1)
			delete(want, index)
		} else {
			result := make([]byte, rnd.IntN(300)>>(rnd.IntN(2)*5)) // half of them tiny
			for i := range result {
				result[i] = byte(rnd.Uint32())
			}
			s.put(index, 1, result)
			want[index] = result
		}
		check(index)
		check(uint32(rnd.IntN(4000)))
	}
	live, held := 0, 0
	for index, result := range want {
		check(index)
		if len(result) > 8 {
			live += entryHeader + len(result)
		}
	}
	for _, b := range s.slabs {
		held += cap(b.data)
	}
	if held > 4*live+2*slabSize {
		t.Errorf("holds %d bytes for %d", held, live)
	}
	for index := range uint32(4000) {
		s.drop(index, 1)
	}
	s.seal()
	for n, b := range s.slabs {
		if b.data != nil {
			t.Errorf("slab %d is kept for nothing", n)
		}
	}
}
