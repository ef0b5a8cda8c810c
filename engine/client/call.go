package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/wire"
)

// call is a request that waits for its reply, or a stream of them.
type call struct {
	job *Job // whose fate it shares, or nil
	// before goes out right before req and has no reply of its own.
	before, req *wire.Request
	// done gets the reply or an error, once; a stream also all replies before. It is
	// called by the reader, without locks, or by whoever ends the client.
	done   func(*wire.Reply, error)
	stream bool
	sent   bool // so what it asks for may have been done without our having heard
	// anew, if set, is called before req is sent to another scheduler than the last one.
	anew func()
}

// start registers a call and sends it if there is a connection; if not, the next
// one will. An error means that done will not be called.
func (c *Client) start(k *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if k.job != nil && k.job.gone != nil {
		return k.job.gone
	}
	if k.before != nil {
		c.lastID++
		k.before.Id = c.lastID
	}
	c.lastID++
	k.req.Id = c.lastID
	c.calls[k.req.Id] = k
	c.send(k)
	return nil
}

// send pushes a call onto the connection. What the connection does not take is
// sent again on the next one. Called with c.mu.
func (c *Client) send(k *call) {
	if c.conn == nil || (k.job != nil && k.job.suspended) {
		return
	}
	conn := c.conn
	if !k.sent {
		c.stamp(k.req)
	}
	k.sent = true
	for _, r := range []*wire.Request{k.before, k.req} {
		if r == nil {
			continue
		}
		if err := conn.Push(wire.KindRequest, r); err != nil {
			conn.CloseWith(err) // the reader sees it and dials again
			return
		}
	}
}

// stamp has a call of an actor say to which scheduler it was sent first. Called with c.mu.
func (c *Client) stamp(r *wire.Request) {
	switch b := r.Body.(type) {
	case *wire.Request_Call:
		b.Call.Sent = c.epoch
	case *wire.Request_Withdraw:
		if b.Withdraw.Sent == 0 {
			b.Withdraw.Sent = c.epoch
		}
	}
}

// sendAll sends all pending calls that match again, in order. Called with c.mu.
func (c *Client) sendAll(match func(*call) bool) {
	for _, id := range slices.Sorted(maps.Keys(c.calls)) {
		if k := c.calls[id]; match(k) {
			c.send(k)
		}
	}
}

// errBusy ends a connection on which the scheduler could not take a submission just
// now: all that is pending is sent again later, in its order.
var errBusy = errors.New("the scheduler cannot take more tasks just now")

// answer gives a reply to its call. An error is one of the connection.
func (c *Client) answer(r *wire.Reply) error {
	c.mu.Lock()
	k := c.calls[r.Id]
	if k == nil {
		c.mu.Unlock()
		return nil // of a stream that was stopped, or a second answer to a repeated request
	}
	if submits(k.req) && r.Error != nil && errors.Is(r.Error, wire.Unavailable) {
		c.mu.Unlock()
		return fmt.Errorf("%w: %w", errBusy, r.Error)
	}
	if w := k.req.GetWatch(); w != nil && r.Error == nil {
		w.From = r.GetEnded().GetNext() // where it goes on after a broken connection
	}
	if !k.stream || r.Error != nil {
		delete(c.calls, r.Id)
	}
	c.mu.Unlock()
	if r.Error != nil {
		k.done(nil, fromReply(r.Error))
		return nil
	}
	k.done(r, nil)
	return nil
}

// submits reports whether a request brings tasks.
func submits(r *wire.Request) bool { return r.GetSubmit() != nil || r.GetSubmitRange() != nil }

// drop forgets calls that match and fails them.
func (c *Client) drop(err error, match func(*call) bool) {
	c.mu.Lock()
	var failed []*call
	for _, id := range slices.Sorted(maps.Keys(c.calls)) {
		if k := c.calls[id]; match(k) {
			delete(c.calls, id)
			failed = append(failed, k)
		}
	}
	c.mu.Unlock()
	for _, k := range failed {
		k.done(nil, err)
	}
}

// ask sends a request and waits for the reply. When ctx ends the request may still
// be carried out.
func (c *Client) ask(ctx context.Context, job *Job, req *wire.Request) (*wire.Reply, error) {
	return c.askThen(ctx, job, req, func(*wire.Reply) {})
}

// askThen is ask with something that the reader does with the reply before it reads on.
func (c *Client) askThen(ctx context.Context, job *Job, req *wire.Request, then func(*wire.Reply)) (*wire.Reply, error) {
	type answer struct {
		reply *wire.Reply
		err   error
	}
	ch := make(chan answer, 1)
	k := &call{job: job, req: req, done: func(r *wire.Reply, err error) {
		if err == nil {
			then(r)
		}
		ch <- answer{r, err}
	}}
	if err := c.start(k); err != nil {
		return nil, err
	}
	select {
	case a := <-ch:
		return a.reply, a.err
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.calls, req.Id)
		c.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}
