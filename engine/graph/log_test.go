package graph

import (
	"math/rand/v2"
	"testing"
)

// TestLog: a position in the log is for ever, whatever was added by runs.
func TestLog(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var l Log
	var want []uint32
	for len(want) < 4*pieceLen {
		first := rnd.Uint32()
		if rnd.IntN(100) > 0 {
			l.Add(first)
			want = append(want, first)
			continue
		}
		n := rnd.Uint32N(300)
		l.AddRun(first, n)
		for i := range n {
			want = append(want, first+i)
		}
	}
	if l.Len() != len(want) {
		t.Fatalf("%d entries, want %d", l.Len(), len(want))
	}
	for i, w := range want {
		if got := l.At(i); got != w {
			t.Fatalf("entry %d of %d is %d, want %d", i, l.Len(), got, w)
		}
	}
}
