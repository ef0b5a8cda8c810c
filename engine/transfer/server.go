package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
	"github.com/yarnd/yarnd/identity/strangers"
)

// Source is what a Server serves from. Its methods are called from many
// goroutines. What they return is closed after use, and what is read of it stays valid
// until then; the reader gives exactly size bytes. An object that is not there is
// ErrNotFound.
type Source interface {
	OpenResult(graph.TaskID, graph.Attempt) (Object, error)
	OpenBundle(graph.Digest) (r io.ReadCloser, size int64, err error)
}

// OutputSource is a Source that has the output of commands that run: what one has
// written to a stream (1 is standard output, 2 standard error) from an offset on, or a
// first part of that. Without such a command it is ErrNotFound.
type OutputSource interface {
	OpenOutput(t graph.TaskID, a graph.Attempt, stream byte, offset uint64) (r io.ReadCloser, size int64, err error)
}

// InputSource is a Source that takes input for commands that run. GiveInput offers a
// piece of standard input that begins at offset, tells how many bytes the command has
// been given so far and whether it wants no more, and waits some seconds for room, at
// the most until ctx ends. Without such a command both are ErrNotFound.
type InputSource interface {
	GiveInput(ctx context.Context, t graph.TaskID, a graph.Attempt, offset uint64, data []byte, last bool) (have uint64, over bool, err error)
	SignalCommand(t graph.TaskID, a graph.Attempt, sig syscall.Signal) error
}

// ServerOptions are a server's limits. The zero value has the defaults.
type ServerOptions struct {
	// Conns is how many connections there may be at once whose handshake is made; 0 is
	// 4096: each of 2,000 workers and their clients keeps one for small results, and
	// opens more while it waits for large ones. When all are taken, the one that has been
	// idle longest is closed for the next, which its peer does not notice: it asks again
	// on another. An idle one takes some 40 KiB.
	Conns     int
	Handshake time.Duration // for Accept's TLS handshakes; 0 is 5 s
	Idle      time.Duration // without a request; 0 is 5 min
	Stall     time.Duration // without the peer taking bytes; 0 is 30 s
	Log       *slog.Logger  // nil discards
}

// Limits on connections whose handshake is not made.
const (
	maxStrangers        = 2048 // at once
	maxStrangersPerHost = 1024 // all workers of a node, and what they fetch in parallel
)

// Server answers requests for objects. It is safe for concurrent use.
type Server struct {
	source Source
	opts   ServerOptions
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]*session
	// strangers are those that Accept makes handshakes with; the room bounds them.
	strangers map[net.Conn]struct{}
	lns       map[net.Listener]struct{}
	closed    bool
	wg        sync.WaitGroup // one for each of conns, strangers and lns

	room *strangers.Room
}

// NewServer returns a server of what source has.
func NewServer(source Source, o ServerOptions) *Server {
	if o.Conns == 0 {
		o.Conns = 4096
	}
	if o.Handshake == 0 {
		o.Handshake = 5 * time.Second
	}
	if o.Idle == 0 {
		o.Idle = 5 * time.Minute
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{source: source, opts: o, conns: map[net.Conn]*session{}, strangers: map[net.Conn]struct{}{}, room: strangers.NewRoom(maxStrangers, maxStrangersPerHost), lns: map[net.Listener]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Accept serves the connections that ln accepts until the server is closed or ln
// fails. config is identity's Server configuration; Accept sets its ALPN. It
// closes ln. A process that serves more than the data plane on its listener uses
// Serve instead.
func (s *Server) Accept(ln net.Listener, config *tls.Config) error {
	config = config.Clone()
	config.NextProtos = []string{Protocol}
	config.DynamicRecordSizingDisabled = true
	if !s.addListener(ln) {
		ln.Close()
		return ErrClosed
	}
	defer s.dropListener(ln)
	for pause := time.Millisecond; ; {
		nc, err := ln.Accept()
		if s.isClosed() {
			if err == nil {
				nc.Close()
			}
			return ErrClosed
		}
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			time.Sleep(pause) // out of descriptors: others will close theirs
			pause = min(2*pause, time.Second)
			continue
		}
		if err != nil {
			return fmt.Errorf("data plane: accept: %w", err)
		}
		pause = time.Millisecond
		stranger := s.room.Enter(nc)
		if n, tell := s.room.TurnedAway(time.Now()); tell {
			s.opts.Log.Warn("data plane: too many connections that have not said who they are", "turned away", n, "remote", nc.RemoteAddr())
		}
		if stranger == nil {
			nc.Close()
			continue
		}
		if !s.greet(nc) {
			stranger.Leave()
			nc.Close()
			continue
		}
		go func() {
			known := func() { stranger.Leave(); s.greeted(nc) }
			defer s.wg.Done()
			defer nc.Close()
			defer known()
			s.handshake(tls.Server(nc, config), known)
		}()
	}
}

// handshake makes the handshake, calls known, and serves.
func (s *Server) handshake(tc *tls.Conn, known func()) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Handshake)
	err := tc.HandshakeContext(ctx)
	cancel()
	switch {
	case err != nil:
		s.opts.Log.Debug("data plane: handshake failed", "remote", tc.RemoteAddr(), "err", err)
	case tc.ConnectionState().NegotiatedProtocol != Protocol:
		s.opts.Log.Debug("data plane: a connection without our protocol", "remote", tc.RemoteAddr())
	default:
		known()
		s.Serve(tc)
	}
}

// greet enters a connection whose handshake is to be made; false: the server is closed.
func (s *Server) greet(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.strangers[nc] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) greeted(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.strangers, nc)
}

// Serve answers the requests of one connection, whose handshake is done and whose
// peer may see everything, until the connection ends or the server is closed. It
// closes nc.
func (s *Server) Serve(nc net.Conn) {
	session := s.add(nc)
	if session == nil {
		nc.Close()
		return
	}
	defer s.drop(nc)
	s.serve(nc, session)
}

func (s *Server) serve(nc net.Conn, session *session) {
	r := bufio.NewReaderSize(nc, 4<<10)
	w := &stallWriter{nc: nc, stall: s.opts.Stall}
	for {
		// Answers to requests that came together leave together.
		if r.Buffered() == 0 || len(w.buf) > piece/2 {
			if w.flush() != nil || nc.SetReadDeadline(time.Now().Add(s.opts.Idle)) != nil {
				return
			}
			session.waits()
		}
		o, err := readRequest(r)
		session.works()
		if errors.Is(err, errOp) {
			w.refuse(statusRefused, err)
			w.flush() //nolint:errcheck // it closes either way
			return
		}
		if err != nil {
			return
		}
		if (o.op == opInput || o.op == opSignal) && !fromClient(nc) {
			w.refuse(statusRefused, errRole)
			w.flush() //nolint:errcheck // it closes either way
			return
		}
		if o.op == opResult {
			err = s.result(w, o)
		} else {
			err = s.answer(w, o)
		}
		if err != nil {
			s.opts.Log.Debug("data plane: answer failed", "remote", nc.RemoteAddr(), "object", o.String(), "err", err)
			return
		}
	}
}

// result answers with blocks of a result. With an error the connection is unusable.
func (s *Server) result(w *stallWriter, o object) error {
	body, err := s.source.OpenResult(o.task, o.attempt)
	if err != nil {
		s.cannot(w, o, err)
		return nil
	}
	defer body.Close()
	w.buf = appendHeader(w.buf, statusFound, uint64(body.Size()))
	sums := body.Sums()
	end := min(uint64(o.first)+uint64(o.count), uint64(len(sums)))
	for i := uint64(o.first); i < end; i++ {
		b, err := body.Block(int(i))
		if err != nil {
			s.opts.Log.Warn("data plane: cannot read", "object", o.String(), "err", err)
			reason := reasonOf(err)
			w.buf = append(appendMark(w.buf, statusFailed, uint32(len(reason))), reason...)
			return nil
		}
		w.buf = appendMark(w.buf, statusFound, sums[i])
		if err := w.add(b); err != nil {
			return err
		}
	}
	return nil
}

// cannot answers a request for what cannot be opened.
func (s *Server) cannot(w *stallWriter, o object, err error) {
	if errors.Is(err, ErrNotFound) {
		w.refuse(statusMissing, err)
		return
	}
	s.opts.Log.Warn("data plane: cannot open", "object", o.String(), "err", err)
	w.refuse(statusFailed, err)
}

// answer sends one object other than a result, or why not. With an error the connection
// is unusable.
func (s *Server) answer(w *stallWriter, o object) error {
	if err := w.flush(); err != nil { // what follows may take its time
		return err
	}
	body, size, err := s.open(o)
	if err != nil {
		s.cannot(w, o, err)
		return nil
	}
	defer body.Close()
	// Header and first bytes leave in one write.
	w.buf = appendHeader(w.buf, statusFound, uint64(size))
	n, err := io.Copy(w, io.LimitReader(body, size))
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d of %d bytes", io.ErrUnexpectedEOF, n, size)
	}
	if err != nil {
		return err
	}
	return w.flush()
}

func (s *Server) open(o object) (io.ReadCloser, int64, error) {
	if o.op == opBundle {
		return s.source.OpenBundle(o.digest)
	}
	if o.op == opInput || o.op == opSignal {
		return s.input(o)
	}
	if o.op == opRange {
		return s.part(o)
	}
	if source, ok := s.source.(OutputSource); ok {
		return source.OpenOutput(o.task, o.attempt, o.stream, o.offset)
	}
	return nil, 0, ErrNotFound
}

var errRole = errors.New("only a client gives input to commands")

// fromClient reports whether the peer of a connection is a client.
func fromClient(nc net.Conn) bool {
	tc, ok := nc.(*tls.Conn)
	if !ok {
		return false
	}
	who, err := identity.Peer(tc.ConnectionState())
	return err == nil && who.Role == identity.Client
}

// input gives a command what a request brings.
func (s *Server) input(o object) (io.ReadCloser, int64, error) {
	source, ok := s.source.(InputSource)
	if !ok {
		return nil, 0, ErrNotFound
	}
	var answer []byte
	if o.op == opSignal {
		if err := source.SignalCommand(o.task, o.attempt, syscall.Signal(o.stream)); err != nil {
			return nil, 0, err
		}
	} else {
		have, over, err := source.GiveInput(s.ctx, o.task, o.attempt, o.offset, o.data, o.stream == 1)
		if err != nil {
			return nil, 0, err
		}
		answer = append(binary.BigEndian.AppendUint64(nil, have), 0)
		if over {
			answer[8] = 1
		}
	}
	return io.NopCloser(bytes.NewReader(answer)), int64(len(answer)), nil
}

func reasonOf(err error) string {
	text := err.Error()
	return text[:min(len(text), maxReason)]
}

// Close ends all connections and Accepts, and waits for them. It may be called
// many times.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.cancel()
	for nc := range s.strangers {
		hangUp(nc)
	}
	for nc := range s.conns {
		hangUp(nc)
	}
	for ln := range s.lns {
		ln.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// hangUp makes everybody who waits for nc return at once. A TLS close would first
// wait for its alert to be written.
func hangUp(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	nc.Close()
}

// Conns returns how many connections there are.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// session is what the server knows of a connection.
type session struct {
	idle atomic.Int64 // it waits for a request since then (Unix, ns); 0: it does not
}

func (s *session) waits() { s.idle.Store(time.Now().UnixNano()) }
func (s *session) works() { s.idle.Store(0) }

// add enters a connection; nil means that there is no room for it.
func (s *Server) add(nc net.Conn) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if len(s.conns) >= s.opts.Conns && !s.evict() {
		s.opts.Log.Warn("data plane: too many connections", "remote", nc.RemoteAddr(), "limit", s.opts.Conns)
		return nil
	}
	c := &session{}
	s.conns[nc] = c
	s.wg.Add(1)
	return c
}

// evict closes the connection that has been idle longest. Called with the lock.
func (s *Server) evict() bool {
	var victim net.Conn
	var oldest int64
	for nc, c := range s.conns {
		if since := c.idle.Load(); since != 0 && (victim == nil || since < oldest) {
			victim, oldest = nc, since
		}
	}
	if victim == nil {
		return false
	}
	delete(s.conns, victim)
	hangUp(victim)
	return true
}

func (s *Server) drop(nc net.Conn) {
	nc.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, nc)
	s.wg.Done()
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.lns[ln] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) dropListener(ln net.Listener) {
	ln.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lns, ln)
	s.wg.Done()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
