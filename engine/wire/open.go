package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/yarnd/yarnd/engine/rawio"
	"github.com/yarnd/yarnd/identity"
)

// OpenTimeout is how long the TLS handshake, Hello and Welcome may take together.
const OpenTimeout = 5 * time.Second

// Dial connects to the scheduler at address and says hello. config is identity's
// Client configuration; Dial sets its ALPN. A refusal is an *Error.
func Dial(ctx context.Context, address string, config *tls.Config, hello *Hello, o ConnOptions) (*Conn, *Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	config = config.Clone()
	config.NextProtos = []string{Protocol}
	nc, err := identity.Dial(ctx, quick(o.Dial), address, config)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the scheduler at %s: %w", address, err)
	}
	if got := nc.ConnectionState().NegotiatedProtocol; got != Protocol {
		nc.Close()
		return nil, nil, fmt.Errorf("%s is not a scheduler: it did not accept the protocol %s", address, Protocol)
	}
	c, w, err := open(ctx, nc, hello, o)
	if err != nil {
		return nil, nil, fmt.Errorf("greet the scheduler at %s: %w", address, err)
	}
	return c, w, nil
}

// quick makes connections that can be written to without waiting.
func quick(dial identity.DialFunc) identity.DialFunc {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return rawio.NewConn(nc), nil
	}
}

func open(ctx context.Context, nc net.Conn, hello *Hello, o ConnOptions) (*Conn, *Welcome, error) {
	c := NewConn(nc, SideScheduler, o)
	stop := context.AfterFunc(ctx, func() { c.CloseWith(context.Cause(ctx)) })
	hello.Protocol, hello.ProtocolMin = Version, Version
	err := c.Push(KindHello, hello)
	if err == nil {
		var w *Welcome
		if w, err = next[*Welcome](c); err == nil && stop() {
			if w.Refused == "" && w.Code == 0 {
				c.pingFor(time.Duration(w.LeaseMs) * time.Millisecond)
				return c, w, nil
			}
			err = &Error{Code: w.Code, Message: w.Refused}
		} else if err == nil {
			err = ctx.Err()
		}
	}
	stop()
	c.Close()
	return nil, nil, err
}

// pingFor makes a quiet connection ping often enough for the peer's lease.
func (c *Conn) pingFor(lease time.Duration) {
	if lease > 0 {
		c.ping.Reset(max(min(lease, c.opts.Lease)/pingsPerLease, time.Millisecond))
	}
}

// Accept reads the Hello of whoever dialed nc, which has done its TLS handshake;
// peer is what its certificate says. It checks the protocol version. With an
// error the connection is closed.
func Accept(nc net.Conn, peer Side, o ConnOptions) (*Conn, *Hello, error) {
	c := NewConn(nc, peer, o)
	end := time.Now().Add(OpenTimeout)
	c.deadline.Store(&end)
	c.frames.SetMax(min(MaxHello, c.opts.MaxFrame))
	hello, err := next[*Hello](c)
	if err == nil && (hello.ProtocolMin > Version || hello.Protocol < Version) {
		err = Errorf(Mismatch, "this scheduler speaks protocol %d, the other side %d to %d: use the same version of yarnd on both", Version, hello.ProtocolMin, hello.Protocol)
		c.Refuse(AsError(err))
	}
	if err != nil {
		c.CloseWith(err)
		return nil, nil, err
	}
	c.frames.SetMax(c.opts.MaxFrame)
	return c, hello, nil
}

// Welcome answers Hello. From then on the lease counts.
func (c *Conn) Welcome(w *Welcome) error {
	w.Protocol = Version
	w.LeaseMs = uint32(c.opts.Lease.Milliseconds())
	w.MaxFrame = uint32(c.opts.MaxFrame)
	c.deadline.Store(nil)
	return c.Push(KindWelcome, w)
}

// Refuse answers Hello with a refusal and closes the connection.
func (c *Conn) Refuse(e *Error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.Push(KindWelcome, &Welcome{Protocol: Version, Code: e.Code, Refused: e.Error()}) == nil {
		c.Flush(ctx) //nolint:errcheck // it closes either way
	}
	c.CloseWith(e)
}

// next reads the one message that may come now.
func next[M any](c *Conn) (m M, err error) {
	k, got, err := c.Next()
	if err != nil {
		return m, err
	}
	m, ok := got.(M)
	if !ok {
		return m, &ProtocolError{Kind: k, What: "not the first frame"}
	}
	return m, nil
}

// Gone reports whether err, of Next, says that the peer or the way to it ended
// without a word: a crash, a cut line, silence. The other errors are a goodbye, a
// violation of the protocol, or this side's own doing.
func Gone(err error) bool {
	if err == nil || errors.Is(err, ErrClosed) {
		return false
	}
	if _, bye := errors.AsType[*ByeError](err); bye {
		return false
	}
	_, violation := errors.AsType[*ProtocolError](err)
	return !violation
}
