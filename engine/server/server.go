package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/identity/strangers"
)

// ErrClosed is returned by Serve after Close.
var ErrClosed = errors.New("scheduler closed")

// closeTimeout is how long a graceful end waits for goodbyes to be written.
const closeTimeout = 2 * time.Second

// Server is a scheduler. Its methods are safe for concurrent use.
type Server struct {
	opts     Options
	listener net.Listener
	loop     *loop
	data     *transfer.Server
	bundles  *bundleStore    // nil without a directory
	room     *strangers.Room // for who has not said who he is

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	closing bool
	serving bool
	wg      sync.WaitGroup // connections' goroutines
	quit    chan struct{}  // closed by Close
	ended   chan struct{}  // closed when Serve has returned
	fatal   chan error     // capacity 1: why it has to end
}

// New is Open without an end of its patience.
func New(o Options) (*Server, error) { return Open(context.Background(), o) }

// Open listens and returns a scheduler that Serve runs. With a journal it takes over what
// that has, and waits until ctx ends for a store that cannot be read.
func Open(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, conns: map[net.Conn]struct{}{}, room: strangers.NewRoom(maxStrangers, maxStrangersPerHost), quit: make(chan struct{}), ended: make(chan struct{}), fatal: make(chan error, 1)}
	if o.Dir != "" {
		if s.bundles, err = openBundles(o.Dir, o.MaxBundle, o.MaxBundles); err != nil {
			return nil, fmt.Errorf("scheduler: %w", err)
		}
		if o.Bundles != nil {
			if s.bundles.shelf, err = openShelf(o.Bundles); err != nil {
				return nil, fmt.Errorf("scheduler: %w", err)
			}
		}
	}
	s.loop = newLoop(o, s.bundles)
	if o.Journal != nil {
		if err := s.loop.takeOver(ctx, o, func(err error) { s.fatal <- err }); err != nil {
			return nil, fmt.Errorf("scheduler: %w", err)
		}
	}
	if s.listener = o.Listener; s.listener == nil {
		if s.listener, err = net.Listen("tcp", o.Address); err != nil {
			return nil, errors.Join(fmt.Errorf("scheduler: %w", err), s.loop.closeJournal())
		}
	}
	s.data = transfer.NewServer(source{s.loop, s.bundles}, transfer.ServerOptions{Log: o.Log})
	return s, nil
}

// Addr returns the address that it listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve serves until ctx ends or Close is called, says goodbye to everybody, and
// waits for all that it started. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	if s.serving || s.closing {
		s.mu.Unlock()
		s.listener.Close()
		return ErrClosed
	}
	s.serving = true
	s.mu.Unlock()
	defer close(s.ended)

	go s.loop.run()
	accepted := make(chan error, 1)
	go func() { accepted <- s.accept() }()

	err := ErrClosed
	select {
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-s.quit:
	case err = <-s.fatal:
		s.opts.Log.Error("another scheduler has taken over", "err", err)
	case err = <-accepted:
		accepted <- nil
	}
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.listener.Close()
	<-accepted
	close(s.loop.stop)
	<-s.loop.done
	if jerr := s.loop.closeJournal(); jerr != nil {
		s.opts.Log.Warn("the journal was not closed in order", "err", jerr)
	}
	s.data.Close()
	s.mu.Lock()
	for nc := range s.conns {
		nc.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.bundles.close()
	return err
}

// Close ends Serve and waits for it. It may be called many times.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		close(s.quit)
	}
	serving := s.serving
	s.mu.Unlock()
	if !serving {
		if err := s.loop.closeJournal(); err != nil {
			return err
		}
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
	<-s.ended
	return nil
}

// ContainerExited tells that a worker's container is gone: whether its tasks may
// be the cause, and why in words. It is exact where the broken connection alone
// leaves open what happened.
func (s *Server) ContainerExited(name string, blame bool, why string) {
	s.loop.send(containerExited{name: name, blame: blame, why: why})
}

// Shrink asks for a pool to be drained down to so many workers; Fleet.Release tells
// which may go.
func (s *Server) Shrink(pool string, to int) {
	s.loop.send(shrink{pool: pool, to: max(to, 0)})
}

// Drain asks for workers, by the names of their containers, to be drained one by
// one; Fleet.Release tells which may go. One that is not here holds nothing and may
// go at once.
func (s *Server) Drain(names []string, why string) {
	s.loop.send(drain{names: names, why: why})
}

// track registers a connection so that the end of Serve closes it.
func (s *Server) track(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[nc] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) untrack(nc net.Conn) {
	nc.Close()
	s.mu.Lock()
	delete(s.conns, nc)
	s.mu.Unlock()
	s.wg.Done()
}
