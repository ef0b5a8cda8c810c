package hadooptest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// Options describe a server. The zero value believes every name, as a cluster without security does.
type Options struct {
	// Addr to listen on; "" takes a free port of 127.0.0.1.
	Addr string
	// Listen opens the port; nil is net.Listen.
	Listen func(network, addr string) (net.Listener, error)
	// Passwords finds the password of a token by its identifier; nil offers no TOKEN. An *Exception is sent as it is.
	Passwords func(identifier []byte) ([]byte, error)
	// TokenOnly refuses SIMPLE, as schedulers and NodeManagers do even without security.
	TokenOnly bool
	// Kerberos makes the server's half of a Kerberos exchange, and Service is who the server says it is ("nn/host").
	// With it names are not believed any more. nil offers no KERBEROS.
	Kerberos func() *gssapi.Acceptor
	Service  string
	// QOPs are the protections to offer with TOKEN and KERBEROS; none is auth alone.
	QOPs []sasl.QOP
	// MaxRequest is the longest request taken in bytes. 0: 64 MiB (ipc.maximum.data.length's default).
	MaxRequest int
	// Logger hears about connections and calls at debug level. nil: nobody does.
	Logger *slog.Logger
}

// Handler answers one method. Its error goes back as an exception: an *Exception as it is, anything else as a
// java.io.IOException.
type Handler func(ctx context.Context, c *Call) (proto.Message, error)

// Server is a Hadoop RPC server for tests.
type Server struct {
	opts Options
	addr string
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	accepted, pings atomic.Int64

	mu       sync.Mutex
	handlers map[string]Handler // by protocol/method
	known    map[string]bool    // protocols
	fault    func(*Call) Fault
	cut      func(identifier []byte) bool
	listener net.Listener // nil while refusing
	release  func()       // of the port, while refusing
	conns    map[*serverConn]bool
	closed   bool
}

// NewServer starts a server.
func NewServer(o Options) (*Server, error) {
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	o.MaxRequest = cmp.Or(o.MaxRequest, 64<<20)
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: o, handlers: make(map[string]Handler), known: make(map[string]bool), conns: make(map[*serverConn]bool)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	l, err := o.Listen("tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	s.addr = l.Addr().String()
	s.serve(l)
	return s, nil
}

// Addr is where the server listens, "host:port".
func (s *Server) Addr() string { return s.addr }

// HandleFunc registers the handler of a method. It may be called while the server runs; the last registration wins.
func (s *Server) HandleFunc(protocol, method string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[protocol+"/"+method] = h
	s.known[protocol] = true
}

// Handle is HandleFunc for typed requests and responses.
func Handle[Resp proto.Message, PReq interface {
	*Req
	proto.Message
}, Req any](s *Server, protocol, method string, h func(ctx context.Context, c *Call, req PReq) (Resp, error)) {
	s.HandleFunc(protocol, method, func(ctx context.Context, c *Call) (proto.Message, error) {
		req := PReq(new(Req))
		if err := c.Decode(req); err != nil {
			return nil, err
		}
		return h(ctx, c, req)
	})
}

// SetFault decides what becomes of each call from now on; nil means no faults. f is called by many goroutines.
func (s *Server) SetFault(f func(*Call) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Cut closes the connections of whoever has such a token, in place of any answer to what comes from now on, a refusal of
// the token too: a network that parts the server from some of its clients. nil ends that. f is called by many goroutines.
func (s *Server) Cut(f func(identifier []byte) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = f
}

// errCut ends a connection without an answer.
var errCut = errors.New("cut off")

// password is Options.Passwords, for those who are not cut off.
func (s *Server) password(identifier []byte) ([]byte, error) {
	if s.isCut(identifier) {
		return nil, errCut
	}
	return s.opts.Passwords(identifier)
}

func (s *Server) isCut(identifier []byte) bool {
	s.mu.Lock()
	f := s.cut
	s.mu.Unlock()
	return f != nil && f(identifier)
}

// Refuse closes the port, so that connecting fails, or opens the same port again. Connections stay.
func (s *Server) Refuse(refuse bool) error {
	s.mu.Lock()
	l := s.listener
	closed := s.closed
	if refuse {
		s.listener = nil
	}
	s.mu.Unlock()
	switch {
	case closed:
		return errors.New("hadooptest: server is closed")
	case refuse && l != nil:
		err := l.Close()
		s.keep(Reserve(s.addr))
		return err
	case refuse || l != nil:
		return nil
	}
	l, err := s.opts.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.keep(nil)
	s.serve(l)
	return nil
}

// keep holds the port, or with nil lets it go.
func (s *Server) keep(release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release != nil {
		s.release()
	}
	s.release = release
}

// CloseConns closes all connections, as a restart or an idle time-out does.
func (s *Server) CloseConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.nc.Close()
	}
}

// Peers are the addresses, without ports, from which connections are open: one for each.
func (s *Server) Peers() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		all = append(all, host(c.nc))
	}
	return all
}

// host is the address of the other end of a connection.
func host(c net.Conn) string {
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	return host
}

// Conns is the number of open connections, Accepted of all there ever were, Pings of pings received.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Accepted is the number of connections there ever were.
func (s *Server) Accepted() int { return int(s.accepted.Load()) }

// Pings is the number of pings received.
func (s *Server) Pings() int { return int(s.pings.Load()) }

// Close stops the server and waits for its handlers, whose contexts end. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	l := s.listener
	s.listener = nil
	s.mu.Unlock()
	s.stop()
	if l != nil {
		l.Close()
	}
	s.CloseConns()
	s.keep(nil)
	s.wg.Wait()
	return nil
}

func (s *Server) serve(l net.Listener) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		l.Close()
		return
	}
	s.listener = l
	s.wg.Go(func() { s.accept(l) })
	s.mu.Unlock()
}

func (s *Server) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		serial := s.accepted.Add(1)
		c := newServerConn(s, nc, int(serial))
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			nc.Close()
			continue
		}
		s.conns[c] = true
		s.wg.Go(func() {
			c.run()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
		s.mu.Unlock()
	}
}

// lookup finds a method's handler, or the exception with which Hadoop answers for want of one.
func (s *Server) lookup(c *Call) (Handler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.handlers[c.Protocol+"/"+c.Method]; h != nil {
		return h, nil
	}
	if !s.known[c.Protocol] {
		return nil, &Exception{Class: "org.apache.hadoop.ipc.RpcNoSuchProtocolException",
			Message: "Unknown protocol: " + c.Protocol, Code: pb.RpcResponseHeader_ERROR_NO_SUCH_PROTOCOL}
	}
	return nil, &Exception{Class: "org.apache.hadoop.ipc.RpcNoSuchMethodException",
		Message: fmt.Sprintf("Unknown method %s called on %s protocol.", c.Method, c.Protocol), Code: pb.RpcResponseHeader_ERROR_NO_SUCH_METHOD}
}

func (s *Server) faultFor(c *Call) Fault {
	s.mu.Lock()
	f := s.fault
	s.mu.Unlock()
	if f == nil {
		return Fault{}
	}
	return f(c)
}
