package client

import (
	"context"
	"testing"

	"github.com/yarnd/yarnd/engine/wire"
)

// doubted is a call of an earlier scheduler's, delivered by the next one.
func doubted(id, session, request, sent uint64) *wire.Delivered {
	return &wire.Delivered{Id: id, From: &wire.Caller{Session: session, Request: request}, Sent: sent}
}

// Another scheduler delivers calls that the last one may have delivered: what runs is not begun
// again, what is answered is answered so, what has begun is interrupted, and the rest is done.
func TestServingInDoubt(t *testing.T) {
	c := newClient(Options{})
	s, err := c.Serve()
	if err != nil {
		t.Fatal(err)
	}
	give := func(begun *wire.Begun, calls ...*wire.Delivered) {
		s.take(&wire.Reply{Body: &wire.Reply_Delivery{Delivery: &wire.Delivery{Call: calls, Begun: begun}}}, nil)
	}
	give(&wire.Begun{Since: 1, Caller: []uint64{8}, Request: []uint64{3}})
	give(nil, doubted(1, 7, 1, 0), doubted(2, 7, 2, 0), doubted(3, 7, 3, 0))
	stopped := false
	if _, err := s.Next(func() {}); err != nil {
		t.Fatal(err)
	}
	s.Answer([]byte("one"), nil, 9)
	if d, err := s.Next(func() { stopped = true }); err != nil || d.Id != 2 {
		t.Fatal(d, err)
	}
	s.anew()
	m := s.call.req.GetServe()
	if m.Running.GetSession() != 7 || m.Running.GetRequest() != 2 || m.RunningId != 2 || m.Last != 3 || m.Begun.GetSince() != 1 || len(m.Begun.Caller) != 2 {
		t.Fatalf("%v", m)
	}
	give(nil, doubted(4, 7, 1, 1), doubted(5, 7, 2, 1), doubted(6, 7, 3, 1), doubted(7, 8, 3, 1), doubted(8, 9, 1, 1))
	s.take(&wire.Reply{Body: &wire.Reply_Delivery{Delivery: &wire.Delivery{Gone: []*wire.Caller{{Session: 7, Request: 2}}}}}, nil)
	if !stopped {
		t.Error("what runs was not taken back")
	}
	s.Answer([]byte("two"), nil, 9)
	for _, want := range []uint64{6, 8} {
		if d, err := s.Next(func() {}); err != nil || d.GetId() != want {
			t.Errorf("%v, %v; want %d", d, err, want)
		}
		s.Answer(nil, nil, 9)
	}
	got := said(c)
	for i, want := range []struct {
		id          uint64
		result      string
		interrupted bool
	}{{1, "one", false}, {4, "one", false}, {7, "", true}, {5, "two", false}, {6, "", false}, {8, "", false}} {
		if i >= len(got) || got[i].Id != want.id || string(got[i].Result) != want.result || got[i].Interrupted != want.interrupted {
			t.Fatalf("answer %d: %v, want %v", i, got, want)
		}
	}
}

// Another scheduler is told that no more is taken, and what was begun though nobody has said yet what others before have.
func TestServingAnewAfterLast(t *testing.T) {
	c := newClient(Options{})
	s, err := c.Serve()
	if err != nil {
		t.Fatal(err)
	}
	s.take(&wire.Reply{Body: &wire.Reply_Delivery{Delivery: &wire.Delivery{Call: []*wire.Delivered{doubted(1, 7, 1, 0)}}}}, nil)
	if _, err := s.Next(func() {}); err != nil {
		t.Fatal(err)
	}
	s.anew()
	if m := s.call.req.GetServe(); m.Over || m.Begun.GetSince() != 0 || len(m.Begun.GetCaller()) != 1 {
		t.Errorf("%v", m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Last(ctx, nil)
	s.anew()
	if m := s.call.req.GetServe(); !m.Over || m.Running != nil {
		t.Errorf("after Last: %v", m)
	}
}

// A call that waits is passed over when it is taken back, also when the one that runs has come again behind it.
func TestServingWithdrawnBelowWhatRuns(t *testing.T) {
	c := newClient(Options{})
	s, err := c.Serve()
	if err != nil {
		t.Fatal(err)
	}
	take := func(d *wire.Delivery) { s.take(&wire.Reply{Body: &wire.Reply_Delivery{Delivery: d}}, nil) }
	take(&wire.Delivery{Call: []*wire.Delivered{doubted(1, 7, 1, 0)}})
	if _, err := s.Next(func() {}); err != nil {
		t.Fatal(err)
	}
	s.anew()
	take(&wire.Delivery{Begun: &wire.Begun{Since: 1}, Call: []*wire.Delivered{doubted(2, 8, 1, 0), doubted(3, 7, 1, 1)}})
	take(&wire.Delivery{Withdrawn: []uint64{2}})
	s.Answer(nil, nil, 9)
	if d, err := s.Next(func() {}); err != nil || d != nil {
		t.Errorf("%v, %v: it was taken back", d, err)
	}
}

// Of answers the last ones are kept, within bounds, and none that is too large.
func TestPastBounds(t *testing.T) {
	var p past
	for i := range uint64(3 * maxKept) {
		p.keep(callerID{1, i}, &wire.Answer{Result: make([]byte, 300)})
	}
	p.keep(callerID{2, 1}, &wire.Answer{Result: make([]byte, maxKeptBytes+1)})
	if p.bytes > maxKeptBytes || len(p.kept) > maxKept || len(p.order) != len(p.kept) || p.kept[callerID{1, 3*maxKept - 1}] == nil || p.kept[callerID{2, 1}] != nil {
		t.Errorf("%d bytes, %d answers, %d in order", p.bytes, len(p.kept), len(p.order))
	}
}
