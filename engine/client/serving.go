package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// Serving gives an actor its calls, one at a time. One goroutine uses it; it ends with
// its client.
type Serving struct {
	c    *Client
	call *call // its Serve

	mu      sync.Mutex
	past    past
	from    callerID // of running
	queue   []*wire.Delivered
	last    uint64              // the highest id that has come
	running uint64              // the call that Next gave
	stop    func()              // of running, when nobody waits for it any more
	gone    map[uint64]struct{} // of queue: nobody waits
	slow    bool                // running takes its time: nothing else is taken ahead
	round   uint32              // how often calls went back
	leave   bool
	over    bool // Last was called
	err     error
	news    chan struct{} // capacity 1
}

// ErrLeave tells an actor to leave its worker.
var ErrLeave = errors.New("the actor's worker is to leave")

// Serve asks for the calls of the actor that the client is within.
func (c *Client) Serve() (*Serving, error) {
	s := &Serving{c: c, gone: map[uint64]struct{}{}, news: make(chan struct{}, 1)}
	s.call = &call{
		stream: true,
		req:    &wire.Request{Body: &wire.Request_Serve{Serve: &wire.Serve{Window: 1}}},
		done:   s.take,
		anew:   s.anew,
	}
	return s, c.start(s.call)
}

// anew is the reader's, before the Serve is sent to another scheduler. That knows nothing of
// what was delivered: what has not begun here comes again if anybody still wants it.
func (s *Serving) anew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
	clear(s.gone)
	m := &wire.Serve{Window: 1, Last: s.last, Round: s.round, Over: s.over, Begun: s.past.begun.Message()}
	if s.stop != nil && s.from.session != 0 {
		m.Running, m.RunningId = &wire.Caller{Session: s.from.session, Request: s.from.request}, s.running
	}
	s.call.req.Body = &wire.Request_Serve{Serve: m}
}

// take is the reader's.
func (s *Serving) take(r *wire.Reply, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = err
	}
	m := r.GetDelivery()
	if b := m.GetBegun(); b != nil {
		s.past.begun.Since = b.Since
		s.past.begun.Learn(b)
	}
	for _, d := range m.GetCall() {
		// Not one that went back, nor one that comes again after a connection broke.
		if m.Round >= s.round && d.Id > s.last {
			s.last = d.Id
			s.deliver(d)
		}
	}
	for _, g := range m.GetGone() {
		s.withdraw(callerID{g.Session, g.Request})
	}
	for _, id := range m.GetWithdrawn() {
		if id == s.running && s.stop != nil {
			s.stop()
		} else if slices.ContainsFunc(s.queue, func(d *wire.Delivered) bool { return d.Id == id }) { // running may have come again, above those
			s.gone[id] = struct{}{}
		}
	}
	s.leave = s.leave || m.GetLeave()
	if s.slow {
		s.giveBack()
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// deliver takes a call in. One that another scheduler may have delivered before is answered at
// once if it is not to be done. Called with s.mu.
func (s *Serving) deliver(d *wire.Delivered) {
	if d.Sent != 0 {
		if s.stop != nil && s.from == callerOf(d) {
			s.running = d.Id // it is that one
			return
		}
		if a := s.past.judge(d); a != nil {
			a.Id, a.Window, a.Round = d.Id, 1, s.round
			s.send(a, nil)
			return
		}
	}
	s.queue = append(s.queue, d)
}

// withdraw says that nobody waits for a call of an earlier scheduler's. Called with s.mu.
func (s *Serving) withdraw(id callerID) {
	if s.stop != nil && s.from == id {
		s.stop()
	}
}

// Slow says that the running call takes its time: those that wait here go back, so that they
// are not cut off with it should this process die.
func (s *Serving) Slow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.slow = true
		s.giveBack()
	}
}

// giveBack gives back all that waits here. Called with s.mu.
func (s *Serving) giveBack() {
	if len(s.queue) == 0 {
		return
	}
	s.round++
	s.queue = nil
	clear(s.gone)
	s.send(&wire.Answer{Id: s.running, Window: 1, Round: s.round, Back: true}, nil)
}

// News returns a channel that has something when Next may have.
func (s *Serving) News() <-chan struct{} { return s.news }

// Next returns the next call, nil when there is none. stop is called, at most once, when
// nobody waits for that call any more, and must not wait. The error is ErrLeave when
// there will be none here, or why there cannot be.
func (s *Serving) Next(stop func()) (*wire.Delivered, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && s.err == nil {
		d := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.running = d.Id
		if _, gone := s.gone[d.Id]; gone {
			delete(s.gone, d.Id)
			s.send(&wire.Answer{Id: d.Id, Window: 1, Round: s.round}, nil)
			continue
		}
		s.stop, s.from = stop, callerOf(d)
		if s.from.session != 0 {
			s.past.begun.Add(s.from.session, s.from.request)
		}
		return d, nil
	}
	if s.err == nil && s.leave {
		return nil, ErrLeave
	}
	return nil, s.err
}

// Answer answers the call that Next gave. window is how many calls may be here at a time
// from now on.
func (s *Serving) Answer(result []byte, failure *graph.Failure, window int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(s.answer(result, failure, window), nil)
}

// answer makes the answer to the running call. Called with s.mu.
func (s *Serving) answer(result []byte, failure *graph.Failure, window int) *wire.Answer {
	m := &wire.Answer{Id: s.running, Result: result, Window: uint32(window), Round: s.round}
	if failure != nil {
		m.Result, m.Failure = nil, wire.FailureToWire(failure.Task, failure.Attempt, failure)
	}
	s.past.keep(s.from, m)
	s.stop, s.slow = nil, false
	return m
}

// send sends an answer, again over a later connection if it must.
func (s *Serving) send(m *wire.Answer, done func()) {
	k := &call{req: &wire.Request{Body: &wire.Request_Answer{Answer: m}}, done: func(*wire.Reply, error) {
		if done != nil {
			done()
		}
	}}
	if s.c.start(k) != nil && done != nil { // the client has ended: so has the attempt
		done()
	}
}

// Last answers the running call, if there is one, and takes no more: the scheduler has all
// answers when Last returns, and what else was delivered waits for the next attempt. An
// attempt that ends without it may overtake its answers.
func (s *Serving) Last(ctx context.Context, failure *graph.Failure) {
	there := make(chan struct{})
	s.mu.Lock()
	m := &wire.Answer{Round: s.round}
	if s.stop != nil {
		m = s.answer(nil, failure, 1)
	}
	m.Last, s.over = true, true
	s.send(m, func() { close(there) })
	s.mu.Unlock()
	select {
	case <-there:
	case <-ctx.Done():
	}
}

// Checkpoint keeps bytes at the scheduler for the next attempt of the actor that the
// client is within.
func (c *Client) Checkpoint(ctx context.Context, data []byte) error {
	_, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_Checkpoint{Checkpoint: &wire.Checkpoint{Data: data}}})
	if err != nil {
		return fmt.Errorf("checkpoint of %d bytes: %w", len(data), err)
	}
	return nil
}

// Restored returns what an earlier attempt of the actor has kept.
func (c *Client) Restored(ctx context.Context) (data []byte, ok bool, err error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_Checkpoint{Checkpoint: &wire.Checkpoint{Read: true}}})
	if err != nil {
		return nil, false, fmt.Errorf("read the last checkpoint: %w", err)
	}
	m := r.GetCheckpoint()
	return m.GetData(), m.GetHas(), nil
}
