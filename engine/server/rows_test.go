package server

import (
	"testing"
	"unsafe"

	"github.com/yarnd/yarnd/engine/graph"
)

// TestRows: rows stay where they are while others come, and pages of forgotten tasks go.
func TestRows(t *testing.T) {
	if n := unsafe.Sizeof(row{}); n != 32 {
		t.Errorf("a row takes %d bytes", n)
	}
	var r rows
	for _, n := range []uint32{1, 2, pageLen - 1, pageLen, pageLen + 1, 3*pageLen + 7} {
		r.grow(n)
		if r.n != n || r.at(n-1).kind != notEnded {
			t.Fatalf("%d rows, want %d", r.n, n)
		}
		r.make(n - 1).kept = 7
	}
	for i := range uint32(3 * pageLen) {
		if i != pageLen+5 {
			r.lose(i, i+1)
		}
	}
	if r.at(0) != nil || r.at(3*pageLen-1) != nil {
		t.Error("pages of forgotten tasks are kept")
	}
	if r.at(pageLen).kept != 7 || r.at(3*pageLen+6).kept != 7 {
		t.Error("rows that are of use have changed")
	}
	r.lose(pageLen+5, pageLen+6)
	if r.grow(4 * pageLen); r.at(pageLen) != nil || r.n != 4*pageLen {
		t.Errorf("%d rows", r.n)
	}
	for i := uint32(3 * pageLen); i < 4*pageLen; i++ {
		r.lose(i, i+1)
	}
	if r.grow(4*pageLen + 1); r.n != 4*pageLen+1 {
		t.Errorf("%d rows after a last page that was dropped", r.n)
	}
}

func TestClassRuns(t *testing.T) {
	column := []uint32{4, 4, 4, 1, 4, 4, 9}
	var classes []graph.ClassID
	for _, c := range column {
		classes = append(classes, graph.ClassID(c))
	}
	c := chunk{classes: classRuns(classes)}
	if len(c.classes) != 4 {
		t.Errorf("%d runs", len(c.classes))
	}
	for i, want := range column {
		if got, _ := (&c).spec(uint32(i)); uint32(got) != want {
			t.Errorf("task %d is of class %d, want %d", i, got, want)
		}
	}
}
