package hdfs

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
)

const (
	// maxIdle clients wait for the next call, each for idleTime at most: an
	// idle client still renews its lease once a second.
	maxIdle  = 4
	idleTime = 3 * time.Second
)

// dialOptions are what all connections of a pool have in common.
type dialOptions struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// nameNode connects to a NameNode, on clusters with Kerberos; nil: dial does.
	nameNode func(ctx context.Context, addr string) (net.Conn, error)
	answer   time.Duration // for one to a NameNode to be made, and for each of its answers
	stall    time.Duration // for a DataNode to take or give anything
}

// client is one client of the library with the guard of its connections. It is
// lent to one user at a time.
type client struct {
	*hdfs.Client
	guard  *guard
	idleAt time.Time
	once   sync.Once
}

// discard ends the client: calls under way fail, its goroutine stops.
func (c *client) discard() {
	c.once.Do(func() {
		c.guard.close()  // first, so that nothing holds the library's lock
		c.Client.Close() // its error is that of closing a closed connection
	})
}

// watch discards the client when ctx ends. stop reports whether that has not
// happened.
func (c *client) watch(ctx context.Context) (stop func() bool) {
	c.guard.bind(ctx)
	return context.AfterFunc(ctx, c.discard)
}

// pool keeps idle clients. Which NameNode is asked first the proxy knows, for the library's calls and our own.
type pool struct {
	options   hdfs.ClientOptions // without dial functions
	dial      dialOptions
	addresses []string
	proxy     *ipc.Proxy

	mu     sync.Mutex
	idle   []*client // the most recently used last
	timer  *time.Timer
	closed bool
}

// take lends an idle client, or a new one connected within ctx. fresh asks for
// a new one. The error is the cause, not text about it.
func (p *pool) take(ctx context.Context, fresh bool) (*client, error) {
	first := p.proxy.Next()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	for n := len(p.idle); n > 0 && !fresh; n-- {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if *c.guard.server.Load() != first { // that one may hang
			go c.discard()
			continue
		}
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()

	g := newGuard(ctx, p.dial)
	opts := p.options
	opts.Addresses = startingWith(p.addresses, first)
	opts.NamenodeDialFunc = g.connect
	c, err := hdfs.NewClient(opts)
	if err != nil {
		g.close()
		if cause := g.cause(); cause != nil {
			err = cause
		}
		if int(g.nameless.Load()) == len(p.addresses) {
			err = &namelessError{err}
		}
		return nil, err
	}
	return &client{Client: c, guard: g}, nil
}

// namelessError is that no NameNode's host has a name that is known.
type namelessError struct{ error }

func (e *namelessError) Unwrap() error { return e.error }

func startingWith(addresses []string, first string) []string {
	i := slices.Index(addresses, first)
	if i <= 0 {
		return addresses
	}
	return append([]string{first}, slices.Delete(slices.Clone(addresses), i, i+1)...)
}

// give takes back a client that worked.
func (p *pool) give(c *client) {
	p.proxy.Prefer(*c.guard.server.Load())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		go c.discard() // it may wait for a lease renewal; nobody has to
		return
	}
	c.guard.bind(context.Background())
	c.idleAt = time.Now()
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleTime, p.reap)
	}
}

// reap closes clients that have been idle for long enough and comes back for
// the rest.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	cut := 0
	for cut < len(p.idle) && time.Since(p.idle[cut].idleAt) >= idleTime {
		go p.idle[cut].discard()
		cut++
	}
	p.idle = slices.Delete(p.idle, 0, cut)
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(idleTime-time.Since(p.idle[0].idleAt), p.reap)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.discard()
	}
}
