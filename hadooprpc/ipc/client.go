package ipc

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Client calls one protocol of one server under one identity. It keeps at most one connection that takes calls, dials
// when a call needs one, and never sends a call twice. It is safe for concurrent use.
type Client struct {
	addr, protocol string
	opts           Options
	tickets        *tickets
	slots          chan struct{} // one element per call in flight

	stop   context.CancelCauseFunc // ends dials
	ctx    context.Context
	leave  sync.WaitGroup // dials, and connections on their way out
	mu     sync.Mutex
	token  *token.Token
	cur    *conn
	dial   *dialing // non-nil while one is under way
	closed bool
}

// dialing is one attempt to connect, shared by all calls that wait for it.
type dialing struct {
	done  chan struct{} // closed when cn or err is set
	cn    *conn
	err   error
	stale bool // the token changed meanwhile: the connection is not to be used
}

// NewClient returns a client for the server at addr ("host:port"). It does not connect yet.
func NewClient(addr, protocol string, o Options) *Client {
	return newClient(addr, protocol, o.withDefaults(), newTickets())
}

func newClient(addr, protocol string, o Options, t *tickets) *Client {
	c := &Client{
		addr: addr, protocol: protocol, opts: o, tickets: t, token: o.Token,
		slots: make(chan struct{}, o.MaxInFlight),
	}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	return c
}

// Call calls a method and decodes its reply into resp. See the package's documentation for what it can end in.
func (c *Client) Call(ctx context.Context, m Method, req, resp proto.Message) error {
	return c.attempt(ctx, c.tickets.next(), m, req, resp)
}

// attempt sends the call once, at most.
func (c *Client) attempt(ctx context.Context, t ticket, m Method, req, resp proto.Message) error {
	if c.opts.CallTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.opts.CallTimeout, ErrTimeout)
		defer cancel()
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return &ConnError{Addr: c.addr, Method: m.Name, Op: "wait for", Err: reason(ctx)}
	}
	call, err := newCall(t, c.protocol, m, req)
	if err != nil {
		return err
	}
	cn, err := c.enroll(ctx, call)
	if err != nil {
		return err
	}
	began := time.Now()
	body, err := cn.wait(ctx, call)
	if err != nil {
		if errors.Is(err, ErrTimeout) && cn.silentSince(began) {
			// Not a word in all that time: whatever is at the other end, the next call should not wait for it.
			cn.end("wait for", ErrTimeout)
		}
		return err
	}
	if body, err = responseBody(body); err == nil {
		err = proto.Unmarshal(body, resp)
	}
	if err != nil {
		return &ConnError{Addr: c.addr, Method: m.Name, Op: "decode reply of", Sent: true, Err: err}
	}
	return nil
}

// enroll puts call on a live connection. A pooled connection that ended meanwhile is replaced.
func (c *Client) enroll(ctx context.Context, call *call) (*conn, error) {
	for {
		cn, err := c.connection(ctx)
		if err != nil {
			var ce *ConnError
			if errors.As(err, &ce) {
				named := *ce // the error is shared by all calls that waited
				named.Method = call.method
				return nil, &named
			}
			return nil, err
		}
		if cn.enroll(call) {
			return cn, nil
		}
	}
}

// connection returns the live connection, dialling one if there is none.
func (c *Client) connection(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		if c.cur != nil && c.cur.alive() {
			cn := c.cur
			c.mu.Unlock()
			return cn, nil
		}
		if c.dial == nil {
			c.dial = &dialing{done: make(chan struct{})}
			d, tok := c.dial, c.token
			c.leave.Go(func() { c.connect(d, tok) })
		}
		d := c.dial
		c.mu.Unlock()

		select {
		case <-d.done:
		case <-ctx.Done():
			return nil, &ConnError{Addr: c.addr, Op: "connect", Err: reason(ctx)}
		}
		if d.err != nil {
			return nil, d.err
		}
		if !d.stale {
			return d.cn, nil
		}
	}
}

// connect dials for all who wait on d.
func (c *Client) connect(d *dialing, tok *token.Token) {
	cn, err := dial(c.ctx, c.addr, c.protocol, c.opts, tok)
	c.mu.Lock()
	d.cn, d.err = cn, err
	if cn != nil {
		c.leave.Go(func() {
			defer context.AfterFunc(c.ctx, func() { cn.end("close", ErrClosed) })()
			cn.wg.Wait()
		})
		if !d.stale {
			c.cur = cn // also after Close: the end of c.ctx ends cn
		}
	}
	if c.dial == d {
		c.dial = nil
	}
	unused := cn != nil && c.cur != cn
	c.mu.Unlock()
	close(d.done)
	if unused {
		cn.retire()
	}
}

// SetToken changes the identity: calls from now on use a new connection. Calls in flight finish on the old one.
func (c *Client) SetToken(t token.Token) {
	c.mu.Lock()
	c.token = &t
	old := c.cur
	c.cur = nil
	if c.dial != nil {
		c.dial.stale = true
		c.dial = nil
	}
	c.mu.Unlock()
	if old != nil {
		old.retire()
	}
}

// Addr is the server's address.
func (c *Client) Addr() string { return c.addr }

// Close ends all calls in flight with ErrClosed and waits until nothing of the client is left. It may be called twice.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop(ErrClosed) // reaches the dial under way and every connection, retired ones too
	c.leave.Wait()
	return nil
}
