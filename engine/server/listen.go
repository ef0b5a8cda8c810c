package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/yarnd/yarnd/engine/rawio"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// Limits on connections that have not said who they are.
const (
	maxStrangers        = 1024 // at once
	maxStrangersPerHost = 256
)

// accept takes connections until the listener is closed.
func (s *Server) accept() error {
	config := s.opts.Identity.Server(identity.Worker, identity.Client)
	config.NextProtos = []string{wire.Protocol, transfer.Protocol}
	for pause := time.Millisecond; ; {
		nc, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return ErrClosed
		}
		if err != nil {
			// Out of descriptors, or a connection that died in the queue.
			s.opts.Log.Warn("accept failed", "err", err)
			select {
			case <-time.After(pause):
			case <-s.quit:
				return ErrClosed
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		nc = rawio.NewConn(nc)
		stranger := s.room.Enter(nc)
		if n, tell := s.room.TurnedAway(time.Now()); tell {
			s.opts.Log.Warn("too many connections that have not said who they are", "turned away", n, "remote", nc.RemoteAddr())
		}
		if stranger == nil {
			nc.Close()
			continue
		}
		if !s.track(nc) {
			stranger.Leave()
			nc.Close()
			continue
		}
		go func() {
			defer s.untrack(nc)
			defer s.contain(nc)
			defer stranger.Leave()
			s.greet(nc, config, stranger.Leave)
		}()
	}
}

// contain makes a panic on a connection's goroutine the end of that connection
// alone.
func (s *Server) contain(nc net.Conn) {
	if p := recover(); p != nil {
		s.opts.Log.Error("a connection's reader panicked", "remote", nc.RemoteAddr(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
}

// greet does the TLS handshake and hands the connection on by its protocol. known
// is called when the peer has said who it is.
func (s *Server) greet(nc net.Conn, config *tls.Config, known func()) {
	ctx, cancel := context.WithTimeout(context.Background(), wire.OpenTimeout)
	defer cancel()
	tc := tls.Server(nc, config)
	if err := tc.HandshakeContext(ctx); err != nil {
		s.opts.Log.Warn("handshake failed", "remote", nc.RemoteAddr(), "err", err)
		return
	}
	peer, err := identity.Peer(tc.ConnectionState())
	if err != nil {
		s.opts.Log.Warn("handshake without an identity", "remote", nc.RemoteAddr(), "err", err)
		return
	}
	switch proto := tc.ConnectionState().NegotiatedProtocol; proto {
	case transfer.Protocol:
		known()
		s.data.Serve(tc)
	case wire.Protocol:
		s.control(tc, peer, known)
	default:
		s.opts.Log.Warn("connection without a protocol of ours", "remote", nc.RemoteAddr(), "peer", peer.String(), "protocol", proto)
	}
}

// control serves a connection of the control plane.
func (s *Server) control(tc *tls.Conn, peer identity.Subject, known func()) {
	side := wire.SideClient
	if peer.Role == identity.Worker {
		side = wire.SideWorker
	}
	var conn *wire.Conn
	var hello *wire.Hello
	var err error
	o := wire.ConnOptions{
		MaxFrame: s.opts.MaxFrame, Outbox: s.opts.Outbox, Lease: s.opts.Lease,
		// The loop pushes only what Accept has returned, so conn is set by then.
		Drained: func() { s.loop.send(drained{conn}) },
	}
	conn, hello, err = wire.Accept(tc, side, o)
	if err != nil {
		s.opts.Log.Warn("no sound hello", "peer", peer.String(), "remote", tc.RemoteAddr(), "err", err)
		return
	}
	known()
	defer conn.Close()
	if side == wire.SideWorker {
		s.serveWorker(conn, hello, peer)
	} else {
		s.serveClient(conn, hello, peer)
	}
}

// hangUp closes a connection after the error err; one that broke the protocol is
// told so.
func hangUp(conn *wire.Conn, err error) {
	if _, ok := errors.AsType[*wire.ProtocolError](err); ok {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		conn.Bye(ctx, err.Error()) //nolint:errcheck // it closes either way
	}
	conn.Close()
}
