package hdfs

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// guard owns every connection that one client of the HDFS library makes: the
// one to the NameNode and those to DataNodes. The library has no contexts and
// never gives up waiting; a guard bounds each wait and can end them all.
type guard struct {
	dialOptions

	mu     sync.Mutex
	ctx    context.Context // of the operation under way; dials end with it
	conns  map[*guardedConn]struct{}
	closed bool

	failure     atomic.Pointer[error]  // failure of a dial or connection: the first, or a refusal
	dataFailure atomic.Pointer[error]  // first failure of a connection to a DataNode
	server      atomic.Pointer[string] // the NameNode connected to last
	silent      atomic.Pointer[string] // the NameNode of which a dial or connection failed last
	nameless    atomic.Int32           // how many dials found that there is no NameNode's host of that name
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

// dialNameNode and dialDataNode are what the library calls. The context it
// gives is always Background and is not used.
func (g *guard) dialNameNode(_ context.Context, network, addr string) (net.Conn, error) {
	c, err := g.connect(network, addr, g.answer, false)
	if err == nil {
		g.server.Store(&addr)
	}
	return c, err
}

func (g *guard) dialDataNode(_ context.Context, network, addr string) (net.Conn, error) {
	return g.connect(network, addr, g.stall, true)
}

func (g *guard) connect(network, addr string, wait time.Duration, data bool) (net.Conn, error) {
	g.mu.Lock()
	ctx, closed := g.ctx, g.closed
	g.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	patience := g.answer
	if data {
		patience = min(g.timeout, defaultTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var c net.Conn
	var err error
	if data && g.admits != nil {
		err = g.admits(addr)
	}
	switch {
	case err != nil:
	case data || g.nameNode == nil:
		c, err = g.dial(ctx, network, addr)
	default:
		c, err = g.nameNode(ctx, addr)
	}
	if err != nil {
		g.note(err, addr, data)
		return nil, err
	}
	gc := &guardedConn{Conn: c, g: g, addr: addr, wait: wait, data: data}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		c.Close()
		return nil, errClosed
	}
	g.conns[gc] = struct{}{}
	return gc, nil
}

// note keeps the first failure, and before that one a NameNode's refusal: it says more than the silence of another. The
// library turns causes into text; here they stay errors that can be asked what they are.
func (g *guard) note(err error, addr string, data bool) {
	if refused(err) {
		g.failure.Store(&err)
	}
	g.failure.CompareAndSwap(nil, &err)
	if data {
		g.dataFailure.CompareAndSwap(nil, &err)
		return
	}
	g.silent.Store(&addr)
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
		g.nameless.Add(1)
	}
}

// cause returns the failure below RPC, or nil.
func (g *guard) cause() error { return deref(g.failure.Load()) }

// dataCause is cause for the connections to DataNodes alone.
func (g *guard) dataCause() error { return deref(g.dataFailure.Load()) }

func deref(p *error) error {
	if p == nil {
		return nil
	}
	return *p
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
//
// A connection to a DataNode that has failed takes writes without a word and
// fails reads. Nothing is lost by that, since every write to a DataNode is
// followed by reading its answer. But the library, when a write of its last
// packet fails, leaves behind a goroutine that waits for ever; a read that
// fails is what makes it end in order.
type guardedConn struct {
	net.Conn
	g    *guard
	addr string
	wait time.Duration
	data bool
	err  atomic.Pointer[error]
}

func (c *guardedConn) fail(err error) error {
	c.err.CompareAndSwap(nil, &err)
	return *c.err.Load()
}

func (c *guardedConn) Read(b []byte) (int, error) {
	if p := c.err.Load(); p != nil {
		return 0, *p
	}
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, c.fail(err)
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.g.note(err, c.addr, c.data)
		return n, c.fail(err)
	}
	return n, nil
}

func (c *guardedConn) Write(b []byte) (int, error) {
	if p := c.err.Load(); p != nil {
		return c.written(len(b), *p)
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.wait)); err != nil {
		return c.written(len(b), c.fail(err))
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		c.g.note(err, c.addr, c.data)
		c.fail(err)
		if c.data {
			c.Conn.Close() // so that a reader of acknowledgements wakes up
		}
		return c.written(len(b), err)
	}
	return n, nil
}

func (c *guardedConn) written(n int, err error) (int, error) {
	if c.data {
		return n, nil
	}
	return 0, err
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
