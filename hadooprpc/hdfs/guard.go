package hdfs

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// guard owns every connection that one client of the HDFS library makes: to
// NameNodes, since our own reader and writer speak to DataNodes. The library
// has no contexts and never gives up waiting; a guard bounds each wait and can
// end them all.
type guard struct {
	dialOptions

	mu     sync.Mutex
	ctx    context.Context // of the operation under way; dials end with it
	conns  map[*guardedConn]struct{}
	closed bool

	failure  atomic.Pointer[error]  // failure of a dial or connection: the first, or a refusal
	server   atomic.Pointer[string] // the NameNode connected to last
	silent   atomic.Pointer[string] // the NameNode of which a dial or connection failed last
	nameless atomic.Int32           // how many dials found that there is no NameNode's host of that name
}

var errClosed = errors.New("the connection was closed by us")

func newGuard(ctx context.Context, opts dialOptions) *guard {
	return &guard{dialOptions: opts, ctx: ctx, conns: make(map[*guardedConn]struct{})}
}

// bind makes later dials end with ctx.
func (g *guard) bind(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ctx = ctx
}

// connect is what the library calls. The context it gives is always Background
// and is not used.
func (g *guard) connect(_ context.Context, network, addr string) (net.Conn, error) {
	g.mu.Lock()
	ctx, closed := g.ctx, g.closed
	g.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, g.answer)
	defer cancel()
	var c net.Conn
	var err error
	if g.nameNode == nil {
		c, err = g.dial(ctx, network, addr)
	} else {
		c, err = g.nameNode(ctx, addr)
	}
	if err != nil {
		g.note(err, addr)
		return nil, err
	}
	gc := &guardedConn{Conn: c, g: g, addr: addr}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		c.Close()
		return nil, errClosed
	}
	g.conns[gc] = struct{}{}
	g.server.Store(&addr)
	return gc, nil
}

// note keeps the first failure, and before that one a NameNode's refusal: it says more than the silence of another. The
// library turns causes into text; here they stay errors that can be asked what they are.
func (g *guard) note(err error, addr string) {
	if refused(err) {
		g.failure.Store(&err)
	}
	g.failure.CompareAndSwap(nil, &err)
	g.silent.Store(&addr)
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
		g.nameless.Add(1)
	}
}

// cause returns the failure below RPC, or nil.
func (g *guard) cause() error {
	if p := g.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// close ends every connection and refuses new ones. Calls that wait on one
// return with an error.
func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for c := range g.conns {
		c.fail(errClosed)
		c.Conn.Close()
	}
	clear(g.conns)
}

// guardedConn bounds how long each read and write may take. Deadlines that the
// library sets are ignored: it only ever clears them.
type guardedConn struct {
	net.Conn
	g    *guard
	addr string
	err  atomic.Pointer[error]
}

func (c *guardedConn) fail(err error) error {
	c.err.CompareAndSwap(nil, &err)
	return *c.err.Load()
}

func (c *guardedConn) Read(b []byte) (int, error) {
	return c.bounded(b, c.Conn.SetReadDeadline, c.Conn.Read)
}

func (c *guardedConn) Write(b []byte) (int, error) {
	return c.bounded(b, c.Conn.SetWriteDeadline, c.Conn.Write)
}

func (c *guardedConn) bounded(b []byte, deadline func(time.Time) error, do func([]byte) (int, error)) (int, error) {
	if p := c.err.Load(); p != nil {
		return 0, *p
	}
	if err := deadline(time.Now().Add(c.g.answer)); err != nil {
		return 0, c.fail(err)
	}
	n, err := do(b)
	if err != nil {
		c.g.note(err, c.addr)
		return n, c.fail(err)
	}
	return n, nil
}

func (c *guardedConn) Close() error {
	c.g.mu.Lock()
	delete(c.g.conns, c)
	c.g.mu.Unlock()
	return c.Conn.Close()
}

func (c *guardedConn) SetDeadline(time.Time) error      { return nil }
func (c *guardedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *guardedConn) SetWriteDeadline(time.Time) error { return nil }
