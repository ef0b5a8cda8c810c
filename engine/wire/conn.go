package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/rawio"
	"github.com/yarnd/yarnd/identity"
)

// Defaults of ConnOptions.
const (
	DefaultLease  = 30 * time.Second
	DefaultOutbox = 4 << 20
	// overflowFactor times the outbox is where a connection that is pushed to
	// beyond its room is given up.
	overflowFactor = 32
	// pingsPerLease is how often in its lease a quiet side may say that it lives.
	pingsPerLease = 4
	// writeChunk is written under one deadline, so that a slow but living peer is
	// not mistaken for a dead one.
	writeChunk = 256 << 10
	// writeAtOnce is how many bytes whoever has something to say may write itself: more
	// are left to the writing goroutine.
	writeAtOnce = 4 << 10
	// calm is how long nothing has left before whoever has something to say writes it
	// itself: where much is said, what gathers while the writing goroutine wakes up makes
	// for fewer and larger frames.
	calm = 150 * time.Microsecond
)

// ErrClosed is returned for a connection that this side has closed.
var ErrClosed = errors.New("connection closed")

// ErrSlow ends a connection whose peer does not read what it is sent.
var ErrSlow = errors.New("the peer does not keep up with what it is sent")

// A ByeError is the end of a connection that the peer announced.
type ByeError struct{ Reason string }

func (e *ByeError) Error() string { return "the peer said goodbye: " + e.Reason }

// ConnOptions are a connection's limits. The zero value has the defaults.
type ConnOptions struct {
	MaxFrame int           // bytes of the largest frame to read; 0 is MaxFrame
	Outbox   int           // bytes waiting to be written at which Send waits; 0 is DefaultOutbox
	Lease    time.Duration // a peer silent, or not reading, for so long is gone; 0 is DefaultLease
	// Dial makes the TCP connection of the function Dial; nil is a net.Dialer.
	Dial identity.DialFunc
	// Drained, if set, is called by the writing goroutine when the outbox is empty
	// again after Room said no. It must not block.
	Drained func()
}

// Conn carries frames both ways. One goroutine may call Next; everything else is
// safe for concurrent use. A Conn starts a goroutine that ends with Close.
//
// A few bytes are written by whoever pushes them, without waiting (rawio.Spooler): it
// costs less than waking the writing goroutine, and time. That one writes the rest: what
// is more, what came meanwhile, what the socket had no room for. There is one pen: who
// makes writing more than 0 has it, and looks for more before it lets go of it.
type Conn struct {
	nc   net.Conn
	raw  rawio.Spooler // below nc; nil: all is left to the writing goroutine
	peer Side
	opts ConnOptions

	frames   *Reader
	deadline atomic.Pointer[time.Time] // of the opening; nil: the lease counts
	reading  time.Time                 // the read deadline that is set; of the reading goroutine

	mu       sync.Mutex
	pending  []byte        // frames to be written
	spare    []byte        // the buffer not in use
	writing  int           // bytes in the write under way: somebody has the pen
	parts    int           // bytes of PutPart since the outbox was last empty
	rest     bool          // the pen is the writing goroutine's: what the socket had no room for
	departed time.Time     // the last Depart with something to write
	quiet    bool          // nothing was written since the last tick of ping
	pressed  bool          // Room said no since the outbox was last empty
	room     chan struct{} // closed when there is room again; nil when nobody waits
	err      error         // why the connection is closed

	ping    *time.Ticker
	wake    chan struct{} // capacity 1: there is something to write
	done    chan struct{} // closed with the connection
	stopped chan struct{} // closed when the writer has ended
}

// NewConn returns a connection over nc that reads only frames which peer may send.
func NewConn(nc net.Conn, peer Side, o ConnOptions) *Conn {
	if o.MaxFrame == 0 {
		o.MaxFrame = MaxFrame
	}
	if o.Outbox == 0 {
		o.Outbox = DefaultOutbox
	}
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	c := &Conn{
		nc: nc, peer: peer, opts: o, ping: time.NewTicker(o.Lease / pingsPerLease),
		wake: make(chan struct{}, 1), done: make(chan struct{}), stopped: make(chan struct{}),
	}
	if c.raw = rawio.Under(nc); c.raw != nil {
		c.raw.Spool(2 * writeChunk)
	}
	c.frames = NewReader(bufio.NewReaderSize(leasedReader{c}, 64<<10), o.MaxFrame)
	go c.write()
	return c
}

// leasedReader gives every read the lease as its deadline, or up to an eighth more: a
// deadline for each would cost as much as the read.
type leasedReader struct{ c *Conn }

func (r leasedReader) Read(p []byte) (int, error) {
	c := r.c
	now := time.Now()
	at := now.Add(c.opts.Lease + c.opts.Lease/8)
	if d := c.deadline.Load(); d != nil {
		at = *d
	} else if left := c.reading.Sub(now); left >= c.opts.Lease && left <= c.opts.Lease+c.opts.Lease/8 {
		return c.nc.Read(p)
	}
	if err := c.nc.SetReadDeadline(at); err != nil {
		return 0, err
	}
	c.reading = at
	return c.nc.Read(p)
}

// NetConn returns what the connection runs over, for its addresses and TLS state.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Next returns the next message, checked. It swallows pings and turns a Bye into a
// *ByeError. A *ProtocolError, like any other error, ends the connection for
// good: the caller closes it.
func (c *Conn) Next() (Kind, proto.Message, error) {
	for {
		k, body, err := c.frames.Next()
		if err != nil {
			return 0, nil, c.readError(err)
		}
		if !k.From(c.peer) {
			return 0, nil, &ProtocolError{Kind: k, What: fmt.Sprintf("a %s may not send it", c.peer)}
		}
		m, err := Unmarshal(k, body)
		if err != nil {
			return 0, nil, err
		}
		switch k {
		case KindPing:
			continue
		case KindBye:
			return 0, nil, &ByeError{Reason: m.(*Bye).Reason}
		}
		return k, m, nil
	}
}

// readError tells a close by this side from one by the other.
func (c *Conn) readError(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return fmt.Errorf("nothing heard for %v: %w", c.opts.Lease, err)
	}
	return err
}

// Send queues a message, and first waits for room in the outbox.
func (c *Conn) Send(ctx context.Context, k Kind, m proto.Message) error {
	if err := c.WaitRoom(ctx); err != nil {
		return err
	}
	return c.Push(k, m)
}

// Push queues a message without waiting, and has it written. Somebody who pushes far
// beyond the room there is loses the connection with ErrSlow.
func (c *Conn) Push(k Kind, m proto.Message) error {
	if err := c.Put(k, m); err != nil {
		return err
	}
	c.Depart()
	return nil
}

// Put is Push for one of several messages: none is written before Depart, or before
// somebody else pushes.
func (c *Conn) Put(k Kind, m proto.Message) error { return c.put(k, m, false) }

// PutPart is Put for a part of something that is large by its nature: it does not count
// as pushed beyond the room. A peer that does not read it is found by its lease.
func (c *Conn) PutPart(k Kind, m proto.Message) error { return c.put(k, m, true) }

// PutFrames is Put for frames that were made by AppendFrame.
func (c *Conn) PutFrames(frames []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayPut(); err != nil {
		return err
	}
	c.pending = append(c.pending, frames...)
	return nil
}

// mayPut reports why nothing can be put. Called with c.mu.
func (c *Conn) mayPut() error {
	if c.err == nil && len(c.pending)+c.writing-c.parts > overflowFactor*c.opts.Outbox {
		c.closeLocked(ErrSlow)
		return ErrSlow
	}
	return c.err
}

func (c *Conn) put(k Kind, m proto.Message, part bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayPut(); err != nil {
		return err
	}
	buf, err := AppendFrame(c.pending, k, m)
	if err != nil {
		return err
	}
	if part {
		c.parts += len(buf) - len(c.pending)
	}
	c.pending = buf
	return nil
}

// Depart has all that is queued written: at once, if it is little.
func (c *Conn) Depart() {
	c.mu.Lock()
	switch n := len(c.pending); {
	case n == 0 || c.writing > 0 || c.err != nil: // who has the pen sees to it
		c.mu.Unlock()
		return
	case !c.isCalm() || n > writeAtOnce || c.pressed || c.raw == nil: // Drained is the writing goroutine's to call
		c.mu.Unlock()
		c.wakeWriter()
		return
	}
	buf := c.takePen()
	c.mu.Unlock()
	_, err := c.nc.Write(buf)
	if err != nil {
		c.CloseWith(err)
		return
	}
	c.mu.Lock()
	if c.rest = c.raw.Rest() > 0; c.rest {
		c.spare = buf
		c.mu.Unlock()
		c.wakeWriter()
		return
	}
	c.dropPen(buf)
}

// isCalm notes that something leaves, and reports whether nothing has for a while. Called
// with c.mu.
func (c *Conn) isCalm() bool {
	now := time.Now()
	was := c.departed
	c.departed = now
	return now.Sub(was) >= calm
}

func (c *Conn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Room reports whether the outbox has room.
func (c *Conn) Room() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := c.roomLocked()
	c.pressed = c.pressed || !ok
	return ok
}

func (c *Conn) roomLocked() bool { return len(c.pending)+c.writing < c.opts.Outbox }

func (c *Conn) flushedLocked() bool { return len(c.pending)+c.writing == 0 }

// WaitRoom waits until the outbox has room.
func (c *Conn) WaitRoom(ctx context.Context) error { return c.await(ctx, (*Conn).roomLocked) }

// Flush waits until everything queued so far has been written.
func (c *Conn) Flush(ctx context.Context) error { return c.await(ctx, (*Conn).flushedLocked) }

// await waits until the outbox is as wanted, or the connection is closed. The writer
// closes room after every write that leaves room; an outbox that is full is waited for
// all the same.
func (c *Conn) await(ctx context.Context, wanted func(*Conn) bool) error {
	for {
		c.mu.Lock()
		if c.err != nil || wanted(c) {
			defer c.mu.Unlock()
			return c.err
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// write is the writing goroutine: it writes whatever has gathered, and a Ping when
// nothing has for a while.
func (c *Conn) write() {
	defer close(c.stopped)
	defer c.ping.Stop()
	for {
		select {
		case <-c.wake:
			if err := c.flush(); err != nil {
				c.CloseWith(err)
				return
			}
		case <-c.ping.C:
			if c.wasQuiet() && c.Push(KindPing, nil) != nil {
				return
			}
		case <-c.done:
			return
		}
	}
}

// wasQuiet reports whether nothing was written since it was last asked.
func (c *Conn) wasQuiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.quiet
	c.quiet = true
	return was
}

// takePen takes what is pending to be written. Called with c.mu.
func (c *Conn) takePen() []byte {
	buf := c.pending
	c.pending, c.spare, c.writing, c.quiet = c.spare[:0], nil, len(buf), false
	return buf
}

// dropPen is the end of writing buf. Called with c.mu, which it gives up.
func (c *Conn) dropPen(buf []byte) {
	c.writing = 0
	if cap(buf) <= keepBuffer {
		c.spare = buf
	}
	empty := len(c.pending) == 0
	if empty {
		c.parts = 0
	}
	var drained func()
	if c.roomLocked() && c.room != nil {
		close(c.room)
		c.room = nil
	}
	if empty && c.pressed {
		c.pressed = false
		drained = c.opts.Drained
	}
	c.mu.Unlock()
	if drained != nil {
		drained()
	}
	if !empty {
		c.wakeWriter()
	}
}

// flush is the writing goroutine's turn: it writes what is pending, or the rest of what
// somebody else wrote.
func (c *Conn) flush() error {
	c.mu.Lock()
	if c.rest {
		c.rest = false
		c.mu.Unlock()
		if err := c.settle(); err != nil {
			return err
		}
		c.mu.Lock()
		c.dropPen(c.spare)
		return nil
	}
	if len(c.pending) == 0 || c.writing > 0 {
		c.mu.Unlock()
		return nil
	}
	buf := c.takePen()
	c.mu.Unlock()
	if err := c.writeAll(buf); err != nil {
		return err
	}
	c.mu.Lock()
	c.dropPen(buf)
	return nil
}

func (c *Conn) writeAll(buf []byte) error {
	for len(buf) > 0 {
		if c.raw == nil {
			if err := c.nc.SetWriteDeadline(time.Now().Add(c.opts.Lease)); err != nil {
				return err
			}
		}
		n, err := c.nc.Write(buf[:min(len(buf), writeChunk)])
		if err == nil && c.raw != nil {
			err = c.settle()
		}
		if err != nil {
			return err
		}
		buf = buf[n:]
	}
	return nil
}

// settle waits until the socket has taken all, the lease at most.
func (c *Conn) settle() error {
	if c.raw.Rest() == 0 {
		return nil
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.opts.Lease)); err != nil {
		return err
	}
	if err := c.raw.Settle(); err != nil {
		return err
	}
	return c.nc.SetWriteDeadline(time.Time{})
}

// Bye tells the peer why, waits until that is written, and closes.
func (c *Conn) Bye(ctx context.Context, reason string) error {
	err := c.Push(KindBye, &Bye{Reason: text(reason, MaxText)})
	if err == nil {
		err = c.Flush(ctx)
	}
	c.Close()
	return err
}

// Close ends the connection at once. What is queued is lost. It may be called many
// times.
func (c *Conn) Close() error { return c.CloseWith(ErrClosed) }

// CloseWith is Close with the error that others see. It does not wait for the
// writing goroutine, which ends soon after; Done tells when the connection closes.
func (c *Conn) CloseWith(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(err)
	return nil
}

func (c *Conn) closeLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	// A TLS close waits for its alert to be written; nobody here shall wait.
	if tc, ok := c.nc.(*tls.Conn); ok {
		tc.NetConn().Close()
	} else {
		c.nc.Close()
	}
}

// Done is closed when the connection is.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection is closed, or nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
