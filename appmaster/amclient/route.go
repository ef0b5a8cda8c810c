package amclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/yarnd/yarnd/identity"
)

// dialTime bounds the attempt at one address, handshake included.
const dialTime = 5 * time.Second

// maxKnown bounds how many addresses are remembered.
const maxKnown = 8

// route finds the way to the application master.
type route struct {
	tls    *tls.Config
	locate func(context.Context) ([]string, error)

	mu      sync.Mutex
	known   []string // the one that worked last comes first; replaced, never changed
	attempt int      // the latest attempt of the application master that was spoken to
	last    error    // why the last attempt failed; nil after a success
}

// dial returns a connection to the application master, its handshake done.
func (r *route) dial(ctx context.Context) (net.Conn, error) {
	r.mu.Lock()
	known := r.known
	r.mu.Unlock()
	conn, err := r.tryAll(ctx, known)
	if err != nil && r.locate != nil && ctx.Err() == nil {
		var fresh []string
		var lerr error
		if fresh, lerr = r.locate(ctx); lerr != nil {
			err = errors.Join(err, lerr)
		} else {
			fresh = slices.DeleteFunc(slices.Clone(fresh), func(a string) bool { return slices.Contains(known, a) })
			if len(fresh) > 0 {
				conn, err = r.tryAll(ctx, fresh)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = err
	return conn, err
}

func (r *route) tryAll(ctx context.Context, addrs []string) (net.Conn, error) {
	err := errors.New("the application master's address is not known")
	for i, addr := range addrs {
		conn, one := r.try(ctx, addr)
		if one == nil {
			if one = r.prefer(addr, conn.attempt); one == nil {
				return conn, nil
			}
			conn.Close()
		}
		if i == 0 {
			err = one
		} else {
			err = errors.Join(err, one)
		}
	}
	return nil, err
}

// prefer puts an address in front of the known ones. With a later attempt than any
// before, the others lead nowhere any more; an earlier one is refused: it may live on
// where the cluster cannot reach it.
func (r *route) prefer(addr string, attempt int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if attempt < r.attempt {
		return fmt.Errorf("%s: attempt %d of the application master is past, there is attempt %d", addr, attempt, r.attempt)
	}
	known := []string{addr}
	if attempt > r.attempt {
		r.attempt, r.known = attempt, known
		return nil
	}
	for _, a := range r.known {
		if a != addr && len(known) < maxKnown {
			known = append(known, a)
		}
	}
	r.known = known
	return nil
}

func (r *route) try(ctx context.Context, addr string) (*firstRead, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(conn, r.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	master, err := identity.Peer(tc.ConnectionState())
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return &firstRead{Conn: tc, tls: tc, route: r, attempt: master.Attempt()}, nil
}

func (r *route) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *route) note(err error) {
	r.mu.Lock()
	r.last = err
	r.mu.Unlock()
}

// firstRead notes why the first read of a connection failed: a TLS 1.3 server
// judges the client's certificate after the client's handshake is over, so that is
// where its judgment arrives.
type firstRead struct {
	net.Conn
	tls     *tls.Conn
	route   *route
	attempt int // of the application master at its other end
	once    sync.Once
}

func (c *firstRead) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.once.Do(func() {
		if err != nil {
			c.route.note(err)
		}
	})
	return n, err
}

// shaken tells gRPC that a connection's handshake has been made.
type shaken struct{}

func (shaken) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(*firstRead)
	if !ok {
		return nil, nil, errors.New("amclient: a connection came past the route")
	}
	info := credentials.TLSInfo{State: c.tls.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	return conn, info, nil
}

func (shaken) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("amclient: these credentials are a client's")
}

func (shaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (shaken) Clone() credentials.TransportCredentials { return shaken{} }

func (shaken) OverrideServerName(string) error { return nil }
