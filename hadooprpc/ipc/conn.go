package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// Why a connection ended without anybody's fault.
var (
	errIdle    = errors.New("connection was idle")
	errRetired = errors.New("connection was replaced")

	errServerClosed = fmt.Errorf("server closed the connection: %w", io.EOF)
)

// conn is one authenticated connection.
//
//	caller ──enroll──► pending ──queue──► writer ──► socket ──► reader ──► pending ──complete──► caller
//
// The table of pending calls is what callers, reader and the end of the connection share, so a mutex guards it. Its
// rule: a call is completed by whoever takes it out, so a reply, a cancellation and the end of the connection cannot
// both answer the same call. The socket has one owner per direction.
type conn struct {
	addr        string
	nc          net.Conn
	in          io.Reader  // buffered and, if agreed on, unwrapping
	layer       sasl.Layer // nil: unprotected
	auth        sasl.Method
	log         *slog.Logger
	maxResponse int
	ping        time.Duration
	idleAfter   time.Duration

	queue chan *call
	done  chan struct{} // closed when the connection ended
	wg    sync.WaitGroup

	mu       sync.Mutex
	pending  map[int32]*call
	err      error // why the connection ended, nil while it lives
	writeErr error // what the writer met, until the reader has said why
	retired  bool  // takes no more calls, ends with the last pending one
	idle     *time.Timer
	heard    time.Time // when the last frame came
}

// start brings the connection to life after it was introduced.
func (cn *conn) start() {
	cn.mu.Lock()
	if cn.idleAfter > 0 {
		cn.idle = time.AfterFunc(cn.idleAfter, cn.endIfIdle)
	}
	cn.mu.Unlock()
	cn.wg.Go(cn.read)
	cn.wg.Go(cn.write)
}

// enroll puts c into the table. It fails when the connection takes no more calls; c was not sent then.
func (cn *conn) enroll(c *call) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.err != nil || cn.retired {
		return false
	}
	cn.pending[c.id] = c
	return true
}

// take removes the call with this id from the table and returns it, nil when there is none. Whoever gets a call
// completes it.
func (cn *conn) take(id int32) *call {
	cn.mu.Lock()
	c := cn.pending[id]
	delete(cn.pending, id)
	last := c != nil && len(cn.pending) == 0 && cn.err == nil
	retired := cn.retired
	if last && !retired && cn.idle != nil {
		cn.idle.Reset(cn.idleAfter)
	}
	cn.mu.Unlock()
	if last && retired {
		cn.end("close", errRetired)
	}
	return c
}

// wait sends c, which was enrolled, and returns what comes after the reply's header. When ctx ends first, the error
// is its cause, and c leaves no trace.
func (cn *conn) wait(ctx context.Context, c *call) ([]byte, error) {
	select {
	case cn.queue <- c:
	case <-c.done: // the connection ended
	case <-ctx.Done():
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if cn.take(c.id) != nil {
			unsent := c.state.CompareAndSwap(queued, abandoned)
			return nil, &ConnError{Addr: cn.addr, Method: c.method, Op: "wait for", Sent: !unsent, Err: reason(ctx)}
		}
		<-c.done // the reply won the race
	}
	return c.body, c.err
}

// write sends queued calls, several at once when they wait, and pings.
func (cn *conn) write() {
	tick := time.NewTicker(cn.ping)
	defer tick.Stop()
	var buf, out []byte
	for {
		buf = buf[:0]
		select {
		case <-cn.done:
			return
		case c := <-cn.queue:
			buf = cn.gather(buf, c)
		case <-tick.C:
			if cn.waiting() {
				buf, _ = wire.AppendFrame(buf, setupHeader(wire.CallPing))
			}
		}
		if len(buf) == 0 {
			continue
		}
		var err error
		if cn.layer == nil {
			_, err = cn.nc.Write(buf)
		} else if out, err = cn.protect(out[:0], buf); err == nil {
			_, err = cn.nc.Write(out)
		}
		if err != nil {
			cn.writeFailed(err)
			return
		}
		if cap(buf) > keepBuffer {
			buf, out = nil, nil
		}
	}
}

const (
	gatherLimit = 64 << 10  // stop collecting calls for one write beyond this many bytes
	keepBuffer  = 256 << 10 // a larger write buffer is given back
)

// gather appends c and the calls behind it in the queue, leaving out those that were abandoned.
func (cn *conn) gather(buf []byte, c *call) []byte {
	for {
		if c.state.CompareAndSwap(queued, sent) {
			buf = append(buf, c.frame...)
		}
		c.frame = nil
		if len(buf) >= gatherLimit {
			return buf
		}
		select {
		case c = <-cn.queue:
		default:
			return buf
		}
	}
}

// protect appends stream to dst as it goes over the wire.
func (cn *conn) protect(dst, stream []byte) ([]byte, error) {
	if cn.layer == nil {
		return append(dst, stream...), nil
	}
	return appendWrapped(dst, cn.layer, stream)
}

// writeFailed leaves the end of the connection to the reader for a moment: a server that refuses us says why before
// it closes, and that is worth more than "broken pipe".
func (cn *conn) writeFailed(err error) {
	cn.mu.Lock()
	cn.writeErr = err
	cn.mu.Unlock()
	cn.nc.SetReadDeadline(time.Now().Add(time.Second))
}

// read hands replies to their calls until the connection ends.
func (cn *conn) read() {
	defer cn.nc.Close()
	for {
		frame, err := wire.ReadFrame(cn.in, nil, cn.maxResponse)
		switch {
		case err == nil:
			err = cn.dispatch(frame)
		case err == io.EOF:
			err = errServerClosed
		}
		if err != nil {
			cn.mu.Lock()
			op := "read from"
			if cn.writeErr != nil {
				var remote *RemoteError
				if op = "write to"; !errors.As(err, &remote) {
					err = cn.writeErr
				}
			}
			cn.mu.Unlock()
			cn.end(op, err)
			return
		}
	}
}

// dispatch completes the call that frame answers. Its error ends the connection.
func (cn *conn) dispatch(frame []byte) error {
	cn.mu.Lock()
	cn.heard = time.Now()
	cn.mu.Unlock()
	var h pb.RpcResponseHeader
	body, err := wire.ReadMessage(frame, &h)
	if err != nil {
		return err
	}
	id := int32(h.GetCallId())
	c := cn.take(id) // nil: it was cancelled, or id stands for the connection
	if h.GetStatus() == pb.RpcResponseHeader_SUCCESS {
		if c != nil {
			c.complete(body, nil)
		}
		return nil
	}
	remote := newRemoteError(cn.addr, "", &h)
	if c != nil {
		remote.Method = c.method
		c.complete(nil, remote)
	}
	switch {
	case !remote.Fatal:
		return nil
	case c == nil && id < 0:
		return remote // the connection was refused: all calls on it were
	default:
		return fmt.Errorf("server closed the connection over another call (%s: %s)", shortClass(remote.Class), remote.Message)
	}
}

// end closes the connection, once, and completes all calls on it.
func (cn *conn) end(op string, err error) {
	cn.mu.Lock()
	if cn.err != nil {
		cn.mu.Unlock()
		return
	}
	cn.err = err
	orphans := cn.pending
	cn.pending = nil
	if cn.idle != nil {
		cn.idle.Stop()
	}
	close(cn.done)
	cn.mu.Unlock()
	cn.nc.Close()
	cn.log.Debug("hadoop rpc connection ended", "addr", cn.addr, "calls", len(orphans), "why", err)
	for _, c := range orphans {
		unsent := c.state.CompareAndSwap(queued, abandoned)
		c.complete(nil, &ConnError{Addr: cn.addr, Method: c.method, Op: op, Sent: !unsent, Err: err})
	}
}

// endIfIdle is the idle timer's. While calls wait it does nothing: the last of them sets the timer again.
func (cn *conn) endIfIdle() {
	if !cn.waiting() {
		cn.retire()
	}
}

// retire lets pending calls finish and takes no more.
func (cn *conn) retire() {
	cn.mu.Lock()
	cn.retired = true
	empty := len(cn.pending) == 0
	cn.mu.Unlock()
	if empty {
		cn.end("close", errIdle)
	}
}

func (cn *conn) waiting() bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return len(cn.pending) > 0
}

// alive tells whether the connection takes calls.
func (cn *conn) alive() bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.err == nil && !cn.retired
}

// silentSince tells whether nothing at all was heard from the server since t.
func (cn *conn) silentSince(t time.Time) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.heard.Before(t)
}

// responseBody unwraps the delimited message that a successful reply holds. Java checks that nothing follows it.
func responseBody(b []byte) ([]byte, error) {
	body, n := protowire.ConsumeBytes(b)
	if n != len(b) {
		return nil, fmt.Errorf("%w: a response of %d bytes", wire.ErrMalformed, len(b))
	}
	return body, nil
}
