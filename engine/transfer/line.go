package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/checksum"
)

// line is a connection for results. Many requests are under way on it, and answers come
// in their order, so that small results do not wait for a round trip each:
//
//	ask ─┐                       ┌─► its blocks, into the sink
//	ask ─┼─► out ──► peer ──► reader
//	ask ─┘    (who comes first       (the line's goroutine)
//	           writes for all)
type line struct {
	pool *Pool
	peer *peerLines
	nc   net.Conn
	r    *bufio.Reader
	load int64 // bytes asked for, and a bit for each request; under pool.mu

	mu      sync.Mutex
	queue   []*ask // written or about to be, not answered
	out     []byte // requests to write
	spare   []byte // the other buffer
	writing bool
	used    bool      // it has answered
	cut     bool      // somebody here has ended it
	err     error     // the connection is of no use any more
	since   time.Time // the deadline was moved then; of who reads, or begins the queue
}

// ask is a request for blocks.
type ask struct {
	what object
	d    *Download
	size int64 // bytes that are asked for
	end  chan error
	got  bool // the answer has begun
	left bool // nobody waits; under line.mu
}

// errAgain is the error of an ask that is to be made on another connection: this one
// ended for a reason that is not the peer's, or had been closed by it long ago.
var errAgain = errors.New("ask on another connection")

// errIdle is the end of a line that nobody uses.
var errIdle = errors.New("idle")

const (
	// askLoad is what a request counts beside its bytes when lines are compared.
	askLoad = 4 << 10
	// fullLoad is from which load on another line is opened.
	fullLoad = 1 << 20
	// drain is how many bytes are read in vain rather than to close a line.
	drain = 256 << 10
)

// ask makes a request and waits for its end.
func (l *line) ask(ctx context.Context, a *ask) error {
	defer l.unload(a.size + askLoad)
	l.mu.Lock()
	if err := l.err; err != nil {
		defer l.mu.Unlock()
		if l.used || l.cut {
			return errAgain
		}
		return err // the peer did not let us in
	}
	if l.queue = append(l.queue, a); len(l.queue) == 1 {
		l.deadline(l.pool.opts.Stall)
	}
	l.out = appendRequest(l.out, a.what)
	if !l.writing {
		l.writing = true
		l.write()
	}
	l.mu.Unlock()
	select {
	case err := <-a.end:
		return err
	case <-ctx.Done():
	case <-l.pool.ctx.Done():
	}
	return l.giveUp(ctx, a)
}

// write writes what there is, also what comes meanwhile. Called with the lock, which it
// does not hold while it writes.
func (l *line) write() {
	for len(l.out) > 0 && l.err == nil {
		b := l.out
		l.out = l.spare[:0]
		l.mu.Unlock()
		l.nc.SetWriteDeadline(time.Now().Add(l.pool.opts.Stall)) //nolint:errcheck // Write tells
		_, err := l.nc.Write(b)
		l.mu.Lock()
		l.spare = b
		if err != nil {
			hangUp(l.nc) // the reader tells everybody
			break
		}
	}
	l.writing = false
}

// giveUp ends an ask before its time. The reader may be filling its blocks: it has to
// have stopped before they are somebody else's.
func (l *line) giveUp(ctx context.Context, a *ask) error {
	l.mu.Lock()
	if a.got || a.size > drain {
		l.cut = true
		l.mu.Unlock()
		hangUp(l.nc)
		<-a.end
	} else {
		a.left = true
		l.mu.Unlock()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return ErrClosed
}

// deadline is until when the peer must give a sign of life.
func (l *line) deadline(d time.Duration) {
	l.since = time.Now()
	l.nc.SetReadDeadline(l.since.Add(d)) //nolint:errcheck // Read tells
}

// read is the line's goroutine: it reads answers until the connection ends.
func (l *line) read() {
	defer l.pool.wg.Done()
	var err error
	for err == nil {
		err = l.answer()
	}
	hangUp(l.nc)
	l.retire()
	l.mu.Lock()
	l.err = err
	queue := l.queue
	l.queue = nil
	used, cut := l.used, l.cut
	l.mu.Unlock()
	for i, a := range queue {
		// A broken answer is the peer's failure, and so is a new connection that breaks
		// before its first answer: it would not let us in.
		if !cut && (a.got || !used && i == 0) {
			a.end <- err
		} else {
			a.end <- errAgain
		}
	}
}

// answer reads the answer to the first ask, when there is one.
func (l *line) answer() error {
	if _, err := l.r.Peek(1); err != nil {
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() && l.idle() {
			return errIdle
		}
		return err
	}
	l.mu.Lock()
	if len(l.queue) == 0 {
		l.mu.Unlock()
		return fmt.Errorf("%w: an answer to nothing", errWrong)
	}
	a := l.queue[0]
	a.got = true
	left := a.left
	l.mu.Unlock()
	err := l.take(a, left)
	var end error
	switch e := err.(type) { //nolint:errorlint // as take returns it
	case *over:
		err, end = nil, e.err
	case nil:
	default:
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = true
	l.queue = l.queue[1:]
	if len(l.queue) == 0 {
		l.queue = nil
		l.deadline(l.pool.opts.Idle)
	} else {
		l.deadline(l.pool.opts.Stall)
	}
	a.end <- end
	return nil
}

func (l *line) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0
}

// over is the end of an ask without its blocks, after which the line goes on.
type over struct{ err error }

func (o *over) Error() string { return o.err.Error() }

// take reads one answer. Errors other than *over end the line.
func (l *line) take(a *ask, left bool) error {
	st, n, err := readHeader(l.r)
	if err != nil {
		return err
	}
	if st != statusFound {
		reason := make([]byte, n)
		if _, err := io.ReadFull(l.r, reason); err != nil {
			return err
		}
		if st == statusRefused {
			return &refusal{st, string(reason)} // the peer closes
		}
		return &over{&refusal{st, string(reason)}}
	}
	if n != a.d.size {
		return fmt.Errorf("%w: it has %d bytes there, not %d", errWrong, n, a.d.size)
	}
	var bad error
	for i := int(a.what.first); i < int(a.what.first+a.what.count); i++ {
		err := l.block(a, i, left)
		switch {
		case errors.Is(err, errDamaged):
			bad = err // what follows may be good
		case err != nil:
			return err
		}
	}
	if bad != nil {
		return &over{bad}
	}
	return nil
}

// block reads one block into the sink, or in vain.
func (l *line) block(a *ask, i int, inVain bool) error {
	st, sum, err := readMark(l.r)
	if err != nil {
		return err
	}
	if st != statusFound {
		reason := make([]byte, sum)
		if _, err := io.ReadFull(l.r, reason); err != nil {
			return err
		}
		return &over{&refusal{st, string(reason)}}
	}
	if inVain {
		_, err := l.r.Discard(checksum.Len(int64(a.d.size), i))
		return err
	}
	b, err := a.d.sink.Block(i)
	if err != nil {
		return &sinkError{err}
	}
	got, err := l.fill(b)
	if err == nil && got != sum {
		err = fmt.Errorf("block %d: %w", i, errDamaged)
	}
	if err != nil {
		a.d.sink.Drop(i, b)
		return err
	}
	if err := a.d.sink.Filled(i, b, sum); err != nil {
		return &sinkError{err}
	}
	a.d.arrived(i)
	return nil
}

// fill reads all of b and returns its checksum, taken piece by piece while they are in
// the processor's cache.
func (l *line) fill(b []byte) (sum uint32, err error) {
	for have := 0; have < len(b); {
		n, err := l.r.Read(b[have:])
		sum = checksum.Update(sum, b[have:have+n])
		have += n
		if err != nil && have < len(b) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		// The peer may be slow, but not silent.
		if stall := l.pool.opts.Stall; time.Since(l.since) > stall/8 {
			l.deadline(stall)
		}
	}
	return sum, nil
}
