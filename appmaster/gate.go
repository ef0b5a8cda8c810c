package appmaster

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/yarnd/yarnd/identity"
	"github.com/yarnd/yarnd/identity/strangers"
)

// Bounds of connections that are not authenticated yet.
const (
	strangerTime   = 5 * time.Second
	strangersTotal = 2048
	strangersFrom  = 256 // per address: one node may well start a hundred workers
)

// gate accepts connections, makes their TLS handshakes, and sends each to the
// protocol that it wants: gRPC's server, to which the gate looks like a listener,
// joining, or claiming. Until a connection is authenticated it holds one of a bounded
// number of places, and these for a bounded time.
type gate struct {
	ln     net.Listener
	tls    *tls.Config
	briefs map[string]brief // by the protocol of its own that a connection names
	log    *slog.Logger

	conns  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	room *strangers.Room

	mu     sync.Mutex
	guests map[*guest]bool // handed on, and open
	shut   bool            // nobody is let in
}

// brief is a protocol of one question and one answer, with who has no certificate. It
// does not close the connection.
type brief func(context.Context, *tls.Conn)

// guest is a connection that is authenticated.
type guest struct {
	*tls.Conn
	gate *gate
	end  *time.Timer // of a person's certificate; nil of others
}

// Close ends the connection. It can be called twice.
func (c *guest) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.guests, c)
	c.gate.mu.Unlock()
	if c.end != nil {
		c.end.Stop()
	}
	return c.Conn.Close()
}

// fence closes the gate, with all connections, or opens it again.
func (g *gate) fence(shut bool) {
	g.mu.Lock()
	g.shut = shut
	var list []*guest
	for c := range g.guests {
		list = append(list, c)
	}
	g.mu.Unlock()
	if !shut {
		return
	}
	for _, c := range list {
		c.NetConn().Close() // at once: a TLS goodbye may wait for the other side
	}
}

func newGate(ln net.Listener, id *identity.Identity, join, claim brief, log *slog.Logger) *gate {
	members := id.Server(slices.Concat(people, []identity.Role{identity.Scheduler, identity.Worker})...)
	members.NextProtos = []string{"h2"}
	joiners, claimants := id.JoinServer(), id.ClaimServer()
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			switch {
			case slices.Equal(hello.SupportedProtos, []string{identity.JoinProtocol}):
				return joiners, nil
			case slices.Equal(hello.SupportedProtos, []string{identity.ClaimProtocol}):
				return claimants, nil
			}
			return members, nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &gate{ln: ln, tls: cfg, briefs: map[string]brief{identity.JoinProtocol: join, identity.ClaimProtocol: claim}, log: log, conns: make(chan net.Conn), ctx: ctx, cancel: cancel, room: strangers.NewRoom(strangersTotal, strangersFrom), guests: map[*guest]bool{}}
	g.wg.Go(g.accept)
	return g
}

func (g *gate) accept() {
	for {
		conn, err := g.ln.Accept()
		if err != nil {
			if g.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, most likely: wait for some to be freed.
			g.log.Warn("cannot accept a connection", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-g.ctx.Done():
				return
			}
		}
		stranger := g.enter(conn)
		if stranger == nil {
			conn.Close()
			continue
		}
		g.wg.Go(func() {
			authenticated := g.greet(conn)
			if authenticated == nil {
				conn.Close()
			}
			stranger.Leave()
			if authenticated != nil {
				g.hand(authenticated)
			}
		})
	}
}

// greet makes the handshake and serves who has no certificate. It returns a connection
// that is authenticated and ready for gRPC.
func (g *gate) greet(conn net.Conn) *guest {
	ctx, cancel := context.WithTimeout(g.ctx, strangerTime)
	defer cancel()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	tc := tls.Server(conn, g.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		g.log.Info("refused a connection", "from", conn.RemoteAddr(), "err", err)
		return nil
	}
	protocol := tc.ConnectionState().NegotiatedProtocol
	if protocol == "h2" {
		if !stop() {
			return nil // its time was up, or ours is
		}
		conn.SetDeadline(time.Time{})
		return g.admit(tc)
	}
	if answer := g.briefs[protocol]; answer != nil {
		answer(ctx, tc)
		tc.Close()
	}
	return nil
}

// admit makes a guest of an authenticated connection. That of a person ends with the
// certificate: who has a new one comes again.
func (g *gate) admit(tc *tls.Conn) *guest {
	c := &guest{Conn: tc, gate: g}
	leaf := tc.ConnectionState().PeerCertificates[0]
	if who, err := identity.Peer(tc.ConnectionState()); err == nil && slices.Contains(people, who.Role) {
		c.end = time.AfterFunc(time.Until(leaf.NotAfter), func() { tc.NetConn().Close() })
	}
	return c
}

func (g *gate) hand(conn *guest) {
	g.mu.Lock()
	g.guests[conn] = true
	shut := g.shut
	g.mu.Unlock()
	if shut { // it was closed during the handshake
		conn.Close()
		return
	}
	select {
	case g.conns <- conn:
	case <-g.ctx.Done():
		conn.Close()
	}
}

// enter gives a connection a place; nil: there is none, or nobody is let in.
func (g *gate) enter(conn net.Conn) *strangers.Stranger {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut {
		return nil
	}
	stranger := g.room.Enter(conn)
	if n, tell := g.room.TurnedAway(time.Now()); tell {
		g.log.Warn("connections are turned away: there are too many without authentication", "number", n, "last from", conn.RemoteAddr())
	}
	return stranger
}

// Accept implements net.Listener: it returns authenticated connections.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case conn := <-g.conns:
		return conn, nil
	case <-g.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (g *gate) Addr() net.Addr { return g.ln.Addr() }

// Close ends the gate and what it has not handed on. It can be called twice.
func (g *gate) Close() error {
	g.cancel()
	err := g.ln.Close()
	g.wg.Wait()
	return err
}
