package client

import (
	"errors"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/wire"
)

// delivers gives s calls of these ids.
func delivers(s *Serving, round uint32, ids ...uint64) {
	m := &wire.Delivery{Round: round}
	for _, id := range ids {
		m.Call = append(m.Call, &wire.Delivered{Id: id})
	}
	s.take(&wire.Reply{Body: &wire.Reply_Delivery{Delivery: m}}, nil)
}

// said returns the answers that wait to be sent, in order.
func said(c *Client) (out []*wire.Answer) {
	for id := uint64(1); id <= c.lastID; id++ {
		if k := c.calls[id]; k != nil && k.req.GetAnswer() != nil {
			out = append(out, k.req.GetAnswer())
		}
	}
	return out
}

// What is here when a call takes its time goes back, and so does what is on its way: it
// comes again, and is done then.
func TestServingGoesBack(t *testing.T) {
	c := newClient(Options{})
	s, err := c.Serve()
	if err != nil {
		t.Fatal(err)
	}
	next := func(want uint64) {
		t.Helper()
		d, err := s.Next(func() {})
		if err != nil || d.GetId() != want {
			t.Fatalf("%v, %v; want %d", d, err, want)
		}
	}
	s.Slow() // late: nothing runs
	delivers(s, 0, 1, 2, 3)
	delivers(s, 0, 2, 3) // again, as after a connection broke
	next(1)
	s.Slow()
	delivers(s, 0, 4)
	s.Answer([]byte("one"), nil, 9)
	next(0)
	delivers(s, 1, 5, 6)
	next(5)
	delivers(s, 1, 7)
	s.Answer(nil, nil, 9)
	next(6)
	next6 := said(c)
	if len(next6) != 3 || next6[0].Round != 1 || next6[0].Id != 1 || string(next6[1].Result) != "one" || next6[2].Id != 5 {
		t.Errorf("%v", next6)
	}
	s.Slow()
	delivers(s, 2, 8) // it comes while a slow call runs
	if all := said(c); len(all) != 5 || all[3].Round != 2 || all[4].Round != 3 {
		t.Errorf("%v", all)
	}
}

// Who waits no more is heard of: what runs is stopped, what waits is passed over.
func TestServingWithdrawn(t *testing.T) {
	c := newClient(Options{})
	s, err := c.Serve()
	if err != nil {
		t.Fatal(err)
	}
	delivers(s, 0, 1, 2, 3)
	stopped := 0
	if _, err := s.Next(func() { stopped++ }); err != nil {
		t.Fatal(err)
	}
	s.take(&wire.Reply{Body: &wire.Reply_Delivery{Delivery: &wire.Delivery{Withdrawn: []uint64{1, 2}, Leave: true}}}, nil)
	s.Answer(nil, nil, 1)
	d, err := s.Next(func() {})
	if err != nil || d.Id != 3 || stopped != 1 {
		t.Errorf("%v, %v, stopped %d times", d, err, stopped)
	}
	var ids []uint64
	for _, a := range said(c) {
		ids = append(ids, a.Id)
	}
	if !slices.Equal(ids, []uint64{1, 2}) {
		t.Errorf("%v", ids)
	}
	s.Answer(nil, nil, 1)
	if _, err := s.Next(func() {}); !errors.Is(err, ErrLeave) {
		t.Errorf("%v", err)
	}
	c.end(ErrClosed)
	if _, err := s.Next(func() {}); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

// A call whose session was lost is not sent in another one, unless it may be done twice.
func TestCutCalls(t *testing.T) {
	c := newClient(Options{})
	once, twice := c.Ask(t.Context(), &ActorCall{}), c.Ask(t.Context(), &ActorCall{Idempotent: true})
	c.mu.Lock()
	cut := c.cutCalls()
	c.mu.Unlock()
	for _, k := range cut {
		k.done(nil, errCut)
	}
	if _, _, err := once.Wait(t.Context()); !errors.Is(err, ErrInterrupted) {
		t.Errorf("%v", err)
	}
	select {
	case <-twice.Done():
		t.Error("it has ended")
	default:
	}
	c.end(ErrClosed)
	if _, _, err := twice.Wait(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}
