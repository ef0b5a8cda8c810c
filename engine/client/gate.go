package client

import (
	"context"
	"fmt"

	"github.com/yarnd/yarnd/engine/wire"
)

// Held is a permit of a semaphore, or a lock, that this client has.
type Held struct {
	c     *Client
	name  string
	token uint64
	over  chan struct{} // closed when it is lost or was released
}

// Token is a number that is larger than that of every grant before, of all names.
func (h *Held) Token() uint64 { return h.token }

// Lost returns a channel that is closed when the permit is not held any more: it was
// released, or the session ended.
func (h *Held) Lost() <-chan struct{} { return h.over }

// loseHolds is the end of a session. Called with c.mu.
func (c *Client) loseHolds() {
	for h := range c.holds {
		close(h.over)
	}
	clear(c.holds)
}

// drop forgets that h is held, and reports whether it was.
func (h *Held) drop() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if _, ok := h.c.holds[h]; !ok {
		return false
	}
	delete(h.c.holds, h)
	close(h.over)
	return true
}

// Release gives the permit back. The error is ErrState when it is not held any more.
// When ctx ends it may be given back all the same.
func (h *Held) Release(ctx context.Context) error {
	if !h.drop() {
		return &Error{Kind: ErrState, Err: fmt.Errorf("release %q: it is not held any more", h.name)}
	}
	return h.c.gate(ctx, &wire.Gate{Name: h.name, Op: wire.GateOp_RELEASE, Token: h.token}, nil)
}

// Acquire waits for a permit of the semaphore of that name, which has so many; all who
// use it must say the same. Those that wait are served in the order in which they came.
func (c *Client) Acquire(ctx context.Context, name string, permits int) (*Held, error) {
	if permits < 1 || permits > 1<<31-1 {
		return nil, fmt.Errorf("semaphore %q of %d permits: at least 1 is needed", name, permits)
	}
	h := &Held{c: c, name: name, over: make(chan struct{})}
	err := c.gate(ctx, &wire.Gate{Name: name, Op: wire.GateOp_ACQUIRE, Permits: uint32(permits)}, func(r *wire.Reply) {
		h.token = r.GetGranted().GetToken()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			close(h.over)
			return
		}
		if c.holds == nil {
			c.holds = map[*Held]struct{}{}
		}
		c.holds[h] = struct{}{}
	})
	if err != nil {
		h.drop() // it may have come when ctx ended
		return nil, err
	}
	return h, nil
}

// WaitEvent waits until the event of that name is set.
func (c *Client) WaitEvent(ctx context.Context, name string) error {
	return c.gate(ctx, &wire.Gate{Name: name, Op: wire.GateOp_WAIT}, nil)
}

// SetEvent sets the event of that name, until somebody clears it.
func (c *Client) SetEvent(ctx context.Context, name string, on bool) error {
	op := wire.GateOp_SET
	if !on {
		op = wire.GateOp_CLEAR
	}
	return c.gate(ctx, &wire.Gate{Name: name, Op: op}, nil)
}

// gate asks for it. What was not granted before ctx ended is taken back.
func (c *Client) gate(ctx context.Context, m *wire.Gate, then func(*wire.Reply)) error {
	if then == nil {
		then = func(*wire.Reply) {}
	}
	req := &wire.Request{Body: &wire.Request_Gate{Gate: m}}
	if m.Op == wire.GateOp_ACQUIRE || m.Op == wire.GateOp_WAIT {
		defer c.Wait()()
	}
	_, err := c.askThen(ctx, nil, req, then)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && (m.Op == wire.GateOp_ACQUIRE || m.Op == wire.GateOp_WAIT) && req.Id != 0 {
		back := &wire.Gate{Name: m.Name, Op: wire.GateOp_ABANDON, Request: req.Id}
		_ = c.start(&call{ // an error: the session ends, and the claim with it
			req: &wire.Request{Body: &wire.Request_Gate{Gate: back}}, done: func(*wire.Reply, error) {},
		})
	}
	return fmt.Errorf("%q: %w", m.Name, err)
}
