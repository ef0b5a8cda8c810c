package client

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

func small(data []byte) *Outcome {
	return &Outcome{Outcome: graph.Outcome{Size: uint64(len(data)), Inline: data}, Attempt: 3}
}

// A page keeps the small results that are held, gives the others' bytes back, and
// leaves views alone.
func TestPageBytes(t *testing.T) {
	var tab table
	var to news
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 4000) }
	views := map[int][]byte{}
	const n = 3 * pageSize
	for i := range n {
		tab.hold(uint32(i)).end(small(content(i)), &to)
		o, ok := tab.find(uint32(i)).outcome(graph.TaskID{Index: uint32(i)})
		if !ok || o.Attempt != 3 || !o.IsInline() {
			t.Fatalf("outcome %d: %+v, %v", i, o, ok)
		}
		views[i] = o.Inline
	}
	for i := range n {
		if i%8 != 0 {
			tab.forget(uint32(i))
		}
	}
	for at, p := range tab.pages {
		if p.live != pageSize/8 || len(p.bytes) > 3*p.live*4000 {
			t.Errorf("page %d: %d bytes for %d results", at, len(p.bytes), p.live)
		}
	}
	for i := range n {
		if !bytes.Equal(views[i], content(i)) {
			t.Fatalf("the view of result %d has changed", i)
		}
		c := tab.find(uint32(i))
		if c.held() != (i%8 == 0) {
			t.Fatalf("task %d: held %v", i, c.held())
		}
		if !c.held() {
			continue
		}
		if o, ok := c.outcome(graph.TaskID{}); !ok || !bytes.Equal(o.Inline, content(i)) {
			t.Fatalf("result %d is wrong", i)
		}
		tab.forget(uint32(i))
	}
	if len(tab.pages) != 0 {
		t.Errorf("%d pages for nothing", len(tab.pages))
	}
}

// Sinks are told once, many tasks at a time.
func TestNews(t *testing.T) {
	var tab table
	var a, b sinkOf
	for i := range uint32(10) {
		s := &a
		if i >= 6 {
			s = &b
		}
		tab.hold(i).tell(told{s, 100 + i})
	}
	var to news
	for i := range uint32(10) {
		tab.find(i).end(small(nil), &to)
	}
	tab.find(0).put(&Outcome{Outcome: graph.Outcome{Failure: &graph.Failure{}}})
	tab.find(0).again()
	tab.find(0).end(small(nil), &to)
	to.tell()
	if got := fmt.Sprint(a, b); got != "[[100 101 102 103 104 105]] [[106 107 108 109]]" {
		t.Errorf("told %s", got)
	}
}

type sinkOf [][]uint32

func (s *sinkOf) Ended(tags []uint32) { *s = append(*s, tags) }
