package transfer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/yarnd/yarnd/identity"
)

// conn is one connection to a peer. It belongs to one fetch at a time.
type conn struct {
	nc    net.Conn
	r     *bufio.Reader
	used  bool // it has answered a request before
	timer *time.Timer
}

// dial connects and shakes hands. The peer's own judgement of our certificate is
// known only with its first answer.
func dial(ctx context.Context, tcp identity.DialFunc, address string, config *tls.Config, timeout time.Duration) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nc, err := identity.Dial(ctx, tcp, address, config)
	if err != nil {
		return nil, err
	}
	if got := nc.ConnectionState().NegotiatedProtocol; got != Protocol {
		nc.Close()
		return nil, fmt.Errorf("the peer does not speak %s", Protocol)
	}
	return &conn{nc: nc, r: bufio.NewReaderSize(nc, 64<<10)}, nil
}

// ask sends the request and reads the head of the answer. fresh tells that the
// connection gave no sign of life for it: the peer may have closed it long ago.
func (c *conn) ask(o object, stall time.Duration) (size uint64, fresh bool, err error) {
	if err := c.nc.SetDeadline(time.Now().Add(stall)); err != nil {
		return 0, true, err
	}
	if _, err := c.nc.Write(appendRequest(make([]byte, 0, bundleLen), o)); err != nil {
		return 0, true, err
	}
	if _, err := c.r.Peek(1); err != nil {
		return 0, true, err
	}
	st, length, err := readHeader(c.r)
	if err != nil {
		return 0, false, err
	}
	if st == statusFound {
		return length, false, nil
	}
	reason := make([]byte, length)
	if _, err := io.ReadFull(c.r, reason); err != nil {
		return 0, false, err
	}
	return 0, false, &refusal{st, string(reason)}
}

// refusal is an answer that is not the object.
type refusal struct {
	status status
	reason string
}

func (r *refusal) Error() string {
	if r.status == statusMissing {
		return "the peer does not have it"
	}
	return fmt.Sprintf("the peer says: %q", r.reason)
}

// Is makes a missing object an ErrNotFound.
func (r *refusal) Is(target error) bool {
	return target == ErrNotFound && r.status == statusMissing
}

// Fetch is an object being received. It is an io.ReadCloser for one goroutine.
type Fetch struct {
	pool  *Pool
	peer  *peerConns
	conn  *conn
	what  object
	ctx   context.Context
	stop  func() bool // ends the context's hold on the connection
	size  uint64
	left  uint64
	ended bool
	err   error
}

// Size returns the object's length in bytes.
func (f *Fetch) Size() uint64 { return f.size }

// Read reads on. It gives io.EOF after exactly Size bytes; an object that ends
// early is an error. It waits no longer than the fetch's context, and gives up a
// peer that sends nothing for PoolOptions.Stall.
func (f *Fetch) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.left == 0 {
		f.finish(nil)
		return 0, io.EOF
	}
	if uint64(len(p)) > f.left {
		p = p[:f.left]
	}
	f.conn.nc.SetReadDeadline(time.Now().Add(f.pool.opts.Stall)) //nolint:errcheck // Read tells
	if f.ctx.Err() != nil {
		return 0, f.finish(f.pool.fail(f.ctx, f.peer.Peer, f.what, context.Cause(f.ctx)))
	}
	n, err := f.conn.r.Read(p)
	f.left -= uint64(n)
	if err != nil && f.left > 0 {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w with %d of %d bytes missing", io.ErrUnexpectedEOF, f.left, f.size)
		}
		return n, f.finish(f.pool.fail(f.ctx, f.peer.Peer, f.what, err))
	}
	return n, nil
}

// Close ends the fetch. A connection whose answer was read to its end is kept for
// others. It may be called many times.
func (f *Fetch) Close() error {
	if f.left == 0 {
		f.finish(nil)
	} else {
		f.finish(ErrClosed)
	}
	return nil
}

// finish gives the connection back once; err is what reads return from then on.
func (f *Fetch) finish(err error) error {
	if f.ended {
		return f.err
	}
	f.ended, f.err = true, err
	whole := f.stop() && f.left == 0 && err == nil
	f.peer.release(f.conn, whole)
	return err
}
