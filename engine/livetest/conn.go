package livetest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes may be on their way before a writer waits.
const window = 256 << 10

// conn is one end of a connection.
type conn struct {
	link          *link
	side          int
	local, remote addr
	in            *stream
	once          sync.Once

	writes chan struct{} // capacity 1: one writes. In virtual time nobody may wait for a mutex for long
	most   int           // see Spool
	rest   []byte        // taken and not written
}

func newConn(k *link, side int) *conn {
	c := &conn{link: k, side: side, in: &stream{}, writes: make(chan struct{}, 1)}
	c.in.news.L = &c.in.mu
	return c
}

// out is what the other end reads.
func (c *conn) out() *stream { return c.link.ends[1-c.side].in }

func (c *conn) delay() time.Duration {
	return c.link.net.delay(c.link.hosts[0], c.link.hosts[1])
}

func (c *conn) separated() bool {
	return c.link.net.separated(c.link.hosts[0], c.link.hosts[1])
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) { return c.in.read(p, c.runs, c.separated) }

// runs reports whether this end's process does anything.
func (c *conn) runs() bool { return c.link.net.runs(c.link.hosts[c.side]) }

// Write implements net.Conn.
func (c *conn) Write(p []byte) (n int, err error) {
	c.writes <- struct{}{}
	defer func() { <-c.writes }()
	if c.most == 0 {
		return c.write(p, true)
	}
	if len(c.rest) == 0 {
		if n, err = c.write(p, false); err != nil {
			return n, err
		}
	}
	if len(c.rest)+len(p)-n > c.most {
		return n, errors.New("too much waits to be written")
	}
	c.rest = append(c.rest, p[n:]...)
	return len(p), nil
}

// write writes all, or, without wait, what there is room for.
func (c *conn) write(p []byte, wait bool) (n int, err error) {
	for n < len(p) && err == nil {
		if wait {
			c.link.net.await(c.link.hosts[c.side])
		} else if !c.runs() {
			break
		}
		part := p[n:min(len(p), n+window/4)]
		if err = c.out().write(part, c.delay(), wait); err == nil {
			n += len(part)
		}
	}
	if err == errNoRoom {
		err = nil
	}
	return n, err
}

// Spool implements rawio.Spooler, like the methods below.
func (c *conn) Spool(most int) {
	c.writes <- struct{}{}
	defer func() { <-c.writes }()
	c.most = most
}

// Rest returns how many bytes were taken and are not written.
func (c *conn) Rest() int {
	c.writes <- struct{}{}
	defer func() { <-c.writes }()
	return len(c.rest)
}

// Settle writes them, and waits for it.
func (c *conn) Settle() error {
	c.writes <- struct{}{}
	defer func() { <-c.writes }()
	_, err := c.write(c.rest, true)
	c.rest = nil
	return err
}

// Close implements net.Conn: what was written arrives.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.in.end(net.ErrClosed, true)
		c.out().end(io.EOF, false)
		if c.out().over() {
			c.link.net.mu.Lock()
			defer c.link.net.mu.Unlock()
			delete(c.link.net.links, c.link)
		}
	})
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	c.out().setDeadline(&c.out().writeBy, t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out().setDeadline(&c.out().writeBy, t)
	return nil
}

// stream is one direction of a connection.
type stream struct {
	mu      sync.Mutex
	news    sync.Cond
	packets []packet
	size    int
	readBy  time.Time
	writeBy time.Time
	err     error // for readers, after all packets or, if hard, at once
	hard    bool
	closed  bool // its reader has closed
}

type packet struct {
	data []byte
	at   time.Time // of its arrival
}

func (s *stream) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news.Broadcast()
}

func (s *stream) setDeadline(which *time.Time, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*which = t
	s.news.Broadcast()
}

// end ends the stream: hard is at once, for both sides.
func (s *stream) end(err error, hard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || hard && !s.hard {
		s.err, s.hard = err, hard
	}
	s.closed = s.closed || err == net.ErrClosed
	if s.hard {
		s.packets, s.size = nil, 0
	}
	s.news.Broadcast()
}

// over reports whether its reader has closed it.
func (s *stream) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// wait waits for news, until t at the latest; zero is for ever. Called with the lock.
func (s *stream) wait(t time.Time) {
	if !t.IsZero() {
		timer := time.AfterFunc(time.Until(t), s.changed)
		defer timer.Stop()
	}
	s.news.Wait()
}

func passed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (s *stream) read(p []byte, runs, separated func() bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case !runs() && !s.closed: // who closes it, runs
			s.wait(time.Time{})
		case s.hard:
			return 0, s.err
		case passed(s.readBy):
			return 0, os.ErrDeadlineExceeded
		case separated():
			s.wait(s.readBy)
		case len(s.packets) == 0 && s.err != nil:
			return 0, s.err
		case len(s.packets) == 0:
			s.wait(s.readBy)
		case !passed(s.packets[0].at):
			t := s.packets[0].at
			if !s.readBy.IsZero() && s.readBy.Before(t) {
				t = s.readBy
			}
			s.wait(t)
		default:
			first := &s.packets[0]
			n := copy(p, first.data)
			s.size -= n
			if first.data = first.data[n:]; len(first.data) == 0 {
				s.packets = s.packets[1:]
			}
			s.news.Broadcast()
			return n, nil
		}
	}
}

var errNoRoom = errors.New("no room")

// write adds p, for which it waits for room if it shall.
func (s *stream) write(p []byte, delay time.Duration, wait bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.err == io.EOF: // of this side's Close
			return net.ErrClosed
		case s.err == net.ErrClosed: // of the other's
			return syscall.EPIPE
		case s.err != nil:
			return s.err
		case passed(s.writeBy):
			return os.ErrDeadlineExceeded
		case s.size > 0 && s.size+len(p) > window && !wait:
			return errNoRoom
		case s.size > 0 && s.size+len(p) > window:
			s.wait(s.writeBy)
		default:
			at := time.Now().Add(delay)
			if n := len(s.packets); n > 0 && s.packets[n-1].at.After(at) {
				at = s.packets[n-1].at
			}
			s.packets = append(s.packets, packet{append([]byte(nil), p...), at})
			s.size += len(p)
			s.news.Broadcast()
			return nil
		}
	}
}
