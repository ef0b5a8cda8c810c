package transfer

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

// PoolOptions are a pool's limits. The zero value has the defaults.
type PoolOptions struct {
	Conns    int           // to one peer at once for results, and as many for all else; 0 is 4
	Dial     time.Duration // for connecting and shaking hands; 0 is 5 s
	Idle     time.Duration // after which an unused connection is closed; 0 is 60 s
	Stall    time.Duration // without a byte from the peer; 0 is 30 s
	InFlight int64         // bytes of results asked for and not received yet; 0 is 256 MiB
	MaxSize  uint64        // bytes of the largest result that Result takes; 0 is 4 GiB
	Log      *slog.Logger  // nil discards

	TCP identity.DialFunc // makes TCP connections; nil is a net.Dialer
}

// Pool fetches objects and keeps connections to those who have them. It is safe
// for concurrent use.
type Pool struct {
	id     *identity.Identity
	opts   PoolOptions
	flight *semaphore.Weighted

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu    sync.Mutex
	peers map[Peer]*peerConns // with a connection or somebody who wants one
	lines map[Peer]*peerLines // likewise, for results
	wg    sync.WaitGroup      // one for each line
}

// peerConns are the connections to one peer.
type peerConns struct {
	Peer
	pool  *Pool
	slots chan struct{} // one for each fetch with a connection

	// under pool.mu
	idle  []*conn // the last one was used last
	users int     // fetches that have or want a connection
}

// NewPool returns a pool that shows id's certificate.
func NewPool(id *identity.Identity, o PoolOptions) *Pool {
	if o.Conns == 0 {
		o.Conns = 4
	}
	if o.Dial == 0 {
		o.Dial = 5 * time.Second
	}
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.InFlight == 0 {
		o.InFlight = 256 << 20
	}
	if o.MaxSize == 0 {
		o.MaxSize = 4 << 30
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{id: id, opts: o, flight: semaphore.NewWeighted(o.InFlight), peers: map[Peer]*peerConns{}, lines: map[Peer]*peerLines{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// OpenBundle fetches a bundle as a stream, which the caller closes and whose
// digest the caller checks. Errors are *Error.
func (p *Pool) OpenBundle(ctx context.Context, from Peer, d graph.Digest) (*Fetch, error) {
	return p.fetch(ctx, from, bundleOf(d))
}

// MaxPiece bounds one answer of Output, in bytes.
const MaxPiece = 1 << 20

// Output fetches what a command that runs has written to a stream from an offset on,
// at most MaxPiece bytes; nothing at present is no error. Errors are *Error, Missing
// when the peer runs no such command, or no more.
func (p *Pool) Output(ctx context.Context, from Peer, t graph.TaskID, a graph.Attempt, stream byte, offset uint64) ([]byte, error) {
	what := object{op: opOutput, task: t, attempt: a, stream: stream, offset: offset}
	f, err := p.fetch(ctx, from, what)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.size > MaxPiece {
		return nil, &Error{Peer: from, Object: what.String(), kind: wrong, Err: fmt.Errorf("it sends %d bytes, more than %d", f.size, MaxPiece)}
	}
	data := make([]byte, f.size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return data, nil
}

// MaxInput bounds the bytes of one Input.
const MaxInput = 64 << 10

// Input gives a command that runs a piece of at most MaxInput bytes of its standard
// input, which begins at offset; last says that nothing follows. It tells how many bytes
// the command has been given so far, which may be less than all of the piece, and
// whether it wants no more. Errors are *Error, Missing when the peer runs no such
// command; then it is not known whether the piece was taken, and it may be given again.
func (p *Pool) Input(ctx context.Context, to Peer, t graph.TaskID, a graph.Attempt, offset uint64, data []byte, last bool) (have uint64, over bool, err error) {
	what := object{op: opInput, task: t, attempt: a, offset: offset, data: data}
	if last {
		what.stream = 1
	}
	f, err := p.fetch(ctx, to, what)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	var b [givenLen]byte
	if f.size != givenLen {
		return 0, false, &Error{Peer: to, Object: what.String(), kind: wrong, Err: fmt.Errorf("it answers with %d bytes, not %d", f.size, givenLen)}
	}
	if _, err := io.ReadFull(f, b[:]); err != nil {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(b[:]), b[8] == 1, nil
}

// Signal sends a signal to the processes of a command that runs, perhaps twice. Errors
// are *Error, Missing when the peer runs no such command.
func (p *Pool) Signal(ctx context.Context, to Peer, t graph.TaskID, a graph.Attempt, sig syscall.Signal) error {
	f, err := p.fetch(ctx, to, object{op: opSignal, task: t, attempt: a, stream: byte(sig)})
	if err != nil {
		return err
	}
	return f.Close()
}

// fetch asks for an object on a cached connection or a new one. A cached
// connection on which the peer gives no sign of life was closed by it meanwhile;
// as a request may be made twice, the next connection is tried.
func (p *Pool) fetch(ctx context.Context, from Peer, what object) (*Fetch, error) {
	pc, err := p.enter(ctx, from)
	if err != nil {
		return nil, p.fail(ctx, from, what, err)
	}
	for {
		c, err := pc.take(ctx)
		if err != nil {
			pc.leave()
			return nil, p.fail(ctx, from, what, err)
		}
		// The context's end, or the pool's, makes all reads and writes return.
		stop := p.guard(ctx, c)
		size, fresh, err := c.ask(what, p.opts.Stall)
		if err == nil {
			return &Fetch{pool: p, peer: pc, conn: c, what: what, ctx: ctx, stop: stop, size: size, left: size}, nil
		}
		alive := stop()
		if _, refused := errors.AsType[*refusal](err); refused && alive {
			pc.release(c, true)
			return nil, p.fail(ctx, from, what, err)
		}
		hangUp(c.nc)
		if !fresh || !c.used || !alive {
			pc.leave()
			return nil, p.fail(ctx, from, what, err)
		}
	}
}

// guard closes c when ctx or the pool ends. stop ends that and reports whether it
// has not happened.
func (p *Pool) guard(ctx context.Context, c *conn) (stop func() bool) {
	one := context.AfterFunc(ctx, func() { hangUp(c.nc) })
	two := context.AfterFunc(p.ctx, func() { hangUp(c.nc) })
	return func() bool {
		a, b := one(), two()
		return a && b
	}
}

// fail makes the error of a fetch.
func (p *Pool) fail(ctx context.Context, from Peer, what object, err error) error {
	e := &Error{Peer: from, Object: what.String(), Err: err}
	r, refused := errors.AsType[*refusal](err)
	switch {
	case p.ctx.Err() != nil:
		e.kind, e.Err = abandoned, ErrClosed
	case ctx.Err() != nil:
		e.kind, e.Err = abandoned, context.Cause(ctx)
	case late(ctx):
		e.kind, e.Err = abandoned, context.DeadlineExceeded
	case refused && r.status == statusMissing:
		e.kind = missing
	case refused && r.status == statusFailed:
		e.kind = unreadable
	case errors.Is(err, errDamaged):
		e.kind = damaged
	case errors.Is(err, errWrong):
		e.kind = wrong
	case refused:
		e.kind = wrong
	}
	return e
}

// late reports whether ctx's time is over. A connection that has the same deadline may
// notice it before the context does.
func late(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && !time.Now().Before(end)
}

// enter waits for one of the peer's connection slots.
func (p *Pool) enter(ctx context.Context, from Peer) (*peerConns, error) {
	p.mu.Lock()
	pc := p.peers[from]
	if pc == nil {
		pc = &peerConns{Peer: from, pool: p, slots: make(chan struct{}, p.opts.Conns)}
		p.peers[from] = pc
	}
	pc.users++
	p.mu.Unlock()
	var err error
	if err = ctx.Err(); err == nil {
		select {
		case pc.slots <- struct{}{}:
			return pc, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-p.ctx.Done():
			err = ErrClosed
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pc.forget()
	return nil, err
}

// take returns an idle connection or a new one.
func (pc *peerConns) take(ctx context.Context) (*conn, error) {
	p := pc.pool
	p.mu.Lock()
	if n := len(pc.idle); n > 0 {
		c := pc.idle[n-1]
		pc.idle = pc.idle[:n-1]
		c.timer.Stop()
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	if p.ctx.Err() != nil {
		return nil, ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	return dial(ctx, p.opts.TCP, pc.Address, p.config(pc.Peer), p.opts.Dial)
}

// config is the TLS configuration for a peer. Records are as large as they may be from
// the first on: what is small fits into one, and what is large is not waited for.
func (p *Pool) config(peer Peer) *tls.Config {
	config := p.id.Client(peer.Role, peer.Name)
	config.NextProtos = []string{Protocol}
	config.DynamicRecordSizingDisabled = true
	return config
}

// leave gives the slot back.
func (pc *peerConns) leave() {
	<-pc.slots
	pc.pool.mu.Lock()
	defer pc.pool.mu.Unlock()
	pc.forget()
}

// forget ends one use. Called with the pool's lock.
func (pc *peerConns) forget() {
	pc.users--
	pc.prune()
}

func (pc *peerConns) prune() {
	if pc.users == 0 && len(pc.idle) == 0 && pc.pool.peers[pc.Peer] == pc {
		delete(pc.pool.peers, pc.Peer)
	}
}

// release gives a connection back, to be used again when it is whole.
func (pc *peerConns) release(c *conn, whole bool) {
	if !whole {
		hangUp(c.nc)
		pc.leave()
		return
	}
	p := pc.pool
	p.mu.Lock()
	if p.ctx.Err() != nil {
		hangUp(c.nc)
	} else {
		c.used = true
		pc.idle = append(pc.idle, c)
		c.timer = time.AfterFunc(p.opts.Idle, func() { pc.expire(c) })
	}
	p.mu.Unlock()
	pc.leave()
}

// expire closes a connection that nobody took in time.
func (pc *peerConns) expire(c *conn) {
	pc.pool.mu.Lock()
	defer pc.pool.mu.Unlock()
	for i, d := range pc.idle {
		if c == d {
			pc.idle = append(pc.idle[:i], pc.idle[i+1:]...)
			hangUp(c.nc)
			pc.prune()
			return
		}
	}
}

// Idle returns how many connections wait for use.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, pc := range p.peers {
		n += len(pc.idle)
	}
	for _, pl := range p.lines {
		for _, l := range pl.lines {
			if l.load == 0 {
				n++
			}
		}
	}
	return n
}

// Close ends all fetches and closes all connections, and waits for those of results. It
// may be called many times.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.cancel()
	for _, pl := range p.lines {
		for _, l := range pl.lines {
			hangUp(l.nc)
		}
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pc := range p.peers {
		for _, c := range pc.idle {
			c.timer.Stop()
			hangUp(c.nc)
		}
		pc.idle = nil
		pc.prune()
	}
	return nil
}
