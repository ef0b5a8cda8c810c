package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// Client is a session with a scheduler. It is safe for concurrent use.
type Client struct {
	opts   Options
	pool   *transfer.Pool // nil within a task
	inside Inside         // the way to the cluster from within a task; else nil

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	stopped chan struct{} // closed when the reader has ended
	closing sync.Once
	endErr  error // what Close returns

	bundle   ownBundle
	maxFrame atomic.Int64 // bytes that the scheduler takes

	mu       sync.Mutex
	conn     *wire.Conn   // nil while there is none
	endpoint string       // of conn, or of the last one
	session  string       // to resume
	epoch    uint64       // of the scheduler of the session
	workers  graph.Digest // the workers' own program; zero: not known
	calls    map[uint64]*call
	lastID   uint64
	jobs     map[graph.JobID]*Job
	err      error // why it has ended
	holds    map[*Held]struct{}

	defaultMu  sync.Mutex // held while the unnamed job is opened
	defaultJob *Job
}

const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 5 * time.Second
	byeTimeout   = 3 * time.Second
	flushTimeout = 10 * time.Second
	busyPause    = time.Second // after the scheduler said that it cannot take more now
)

// Dial connects to the scheduler. It tries until ctx ends or Options.Patience is
// over, unless the error is one that will stay: ErrAuth, ErrMismatch, or one that
// Options.Scheduler marked by Permanent.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if o.Identity == nil || o.Scheduler == nil {
		return nil, errors.New("client: Options without Identity or Scheduler")
	}
	o.setDefaults()
	c := newClient(o)
	c.pool = transfer.NewPool(o.Identity, transfer.PoolOptions{Log: o.Log, TCP: o.Dial})
	if err := c.begin(ctx); err != nil {
		c.pool.Close()
		return nil, err
	}
	return c, nil
}

func newClient(o Options) *Client {
	c := &Client{
		opts: o, bundle: ownBundle{turn: make(chan struct{}, 1)},
		stopped: make(chan struct{}),
		calls:   map[uint64]*call{}, jobs: map[graph.JobID]*Job{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// begin connects for the first time.
func (c *Client) begin(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		c.cancel()
		return err
	}
	go c.run(conn)
	return nil
}

// run is the reader: it lives as long as the client.
func (c *Client) run(conn *wire.Conn) {
	defer close(c.stopped)
	fruitless := firstBackoff // the pause after a connection on which nothing was said
	for {
		replies, err := c.read(conn)
		conn.Close()
		c.mu.Lock()
		c.conn = nil
		c.mu.Unlock()
		if c.Err() != nil {
			return
		}
		c.opts.Log.Warn("lost the scheduler, connecting again", "err", err)
		switch {
		case errors.Is(err, errBusy):
			c.pause(busyPause)
		case replies > 0:
			fruitless = firstBackoff
		default:
			c.pause(fruitless)
			fruitless = min(2*fruitless, maxBackoff)
		}
		if conn, err = c.dial(c.ctx); err != nil {
			c.end(err)
			return
		}
		c.opts.Log.Info("connected to the scheduler again", "endpoint", c.endpoint)
	}
}

// pause waits, or less when the client is closed.
func (c *Client) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// read takes replies until the connection ends, and returns how many there were.
func (c *Client) read(conn *wire.Conn) (replies int, _ error) {
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	for {
		k, m, err := conn.Next()
		if err != nil {
			return replies, err
		}
		r, ok := m.(*wire.Reply)
		if !ok {
			return replies, &wire.ProtocolError{Kind: k, What: "not for a client"}
		}
		if err := c.answer(r); err != nil {
			return replies, err
		}
		replies++
	}
}

// dial connects, with back-off, and takes the connection into use.
func (c *Client) dial(ctx context.Context) (*wire.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Patience)
	defer cancel()
	var last error // that was not our own giving up
	for wait := firstBackoff; ; wait = min(2*wait, maxBackoff) {
		conn, err := c.dialOnce(ctx)
		if err == nil {
			return conn, nil
		}
		named, again := fromDial(err)
		if !again {
			return nil, named
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		c.opts.Log.Debug("connect to the scheduler", "err", err)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			if c.ctx.Err() != nil {
				return nil, ErrClosed
			}
			return nil, &Error{Kind: ErrUnreachable, Err: fmt.Errorf("%w: %w", ErrUnreachable, last)}
		}
	}
}

func (c *Client) dialOnce(ctx context.Context) (*wire.Conn, error) {
	if c.inside != nil {
		return c.dialInside(ctx)
	}
	endpoint, epoch, err := c.opts.Scheduler(ctx)
	if err != nil {
		return nil, err
	}
	conn, w, err := wire.Dial(ctx, endpoint, c.opts.Identity.Client(identity.Scheduler, ""), &wire.Hello{
		Build: build(),
		Who:   &wire.Hello_Client{Client: &wire.ClientHello{User: c.opts.User, Host: c.opts.Host, Session: c.session}},
	}, wire.ConnOptions{Lease: c.opts.Lease, Dial: c.opts.Dial})
	if err != nil {
		return nil, err
	}
	if w.Epoch < epoch {
		conn.Close()
		return nil, fmt.Errorf("the scheduler at %s is of epoch %d, replaced by %d", endpoint, w.Epoch, epoch)
	}
	c.adopt(conn, w, endpoint)
	return conn, nil
}

// adopt takes a new connection into use: what was pending is sent again.
func (c *Client) adopt(conn *wire.Conn, w *wire.Welcome, endpoint string) {
	resumed := c.session == w.Session
	first := c.session == ""
	// A scheduler that took over knows the session, but not who held what. Calls of actors
	// that were under way are sent to it again: it asks the actors which came how far.
	same := resumed && c.epoch == w.Epoch
	if !same && !first {
		c.beginAnew()
	}
	c.mu.Lock()
	c.conn, c.endpoint, c.session, c.epoch = conn, endpoint, w.Session, w.Epoch
	c.workers = graph.Digest{}
	copy(c.workers[:], w.Bundle)
	c.maxFrame.Store(int64(cmp.Or(w.MaxFrame, wire.MaxFrame)))
	jobs := slices.Collect(maps.Values(c.jobs))
	if !resumed {
		for _, j := range jobs {
			j.suspended = true
		}
	}
	var cut []*call
	if !same {
		c.loseHolds()
	}
	if !resumed {
		cut = c.cutCalls()
	}
	c.sendAll(func(*call) bool { return true })
	c.mu.Unlock()
	for _, k := range cut {
		k.done(nil, errCut)
	}
	if resumed || first {
		return
	}
	c.opts.Log.Warn("the scheduler does not know this session any more", "epoch", w.Epoch)
	for _, j := range jobs {
		j.reopen()
	}
}

// beginAnew has requests made anew that go to another scheduler: only the reader sends what was
// sent before.
func (c *Client) beginAnew() {
	c.mu.Lock()
	var anew []func()
	for _, k := range c.calls {
		if k.anew != nil {
			anew = append(anew, k.anew)
		}
	}
	c.mu.Unlock()
	for _, f := range anew {
		f()
	}
}

// end fails all that wait, and all that will.
func (c *Client) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	err = c.err
	c.loseHolds()
	jobs := slices.Collect(maps.Values(c.jobs))
	c.mu.Unlock()
	for _, j := range jobs {
		j.fail(err)
	}
	c.drop(err, func(*call) bool { return true })
}

// Err returns why the client has ended by itself, or nil.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close hands over what was submitted, for which it takes ten seconds at most,
// ends the unnamed job, and says goodbye. Tasks of named jobs go on, and their
// results are kept. Whoever waits gets ErrClosed. It may be called many times.
func (c *Client) Close() error {
	c.closing.Do(func() {
		ctx, cancel := context.WithTimeout(c.ctx, flushTimeout)
		defer cancel()
		if c.Err() == nil {
			c.endErr = c.closeJobs(ctx)
		}
		c.end(ErrClosed)
		c.mu.Lock()
		conn := c.conn
		c.mu.Unlock()
		if conn != nil {
			ctx, cancel := context.WithTimeout(c.ctx, byeTimeout)
			defer cancel()
			_ = conn.Bye(ctx, "the client is done") // the lease tells as well
		}
		c.cancel()
		<-c.stopped
		if c.pool != nil {
			c.pool.Close()
		}
	})
	<-c.stopped
	return c.endErr
}

// closeJobs flushes named jobs and closes the others.
func (c *Client) closeJobs(ctx context.Context) error {
	c.mu.Lock()
	jobs := slices.Collect(maps.Values(c.jobs))
	connected := c.conn != nil
	c.mu.Unlock()
	err := c.flushNamed(ctx)
	for _, j := range jobs {
		if j.name == "" && j.own && connected {
			_ = j.Close(ctx) // it ends with the session's lease as well
		}
	}
	return err
}

// flushNamed hands over what was submitted to jobs with names.
func (c *Client) flushNamed(ctx context.Context) error {
	c.mu.Lock()
	jobs := slices.Collect(maps.Values(c.jobs))
	c.mu.Unlock()
	var errs []error
	for _, j := range jobs {
		if j.name == "" {
			continue
		}
		j.releaseLoose()
		if err := j.Flush(ctx); err != nil {
			errs = append(errs, fmt.Errorf("job %q: not all tasks have reached the scheduler: %w", j.name, err))
		}
	}
	return errors.Join(errs...)
}
