package hadooptest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// raw is a client that says whatever a test wants. What well-behaved clients do is tested in package ipc.
type raw struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func dial(t *testing.T, s *Server, auth wire.Auth) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	nc.Write(wire.AppendConnHeader(nil, wire.ConnHeader{Auth: auth}))
	return &raw{t, nc, bufio.NewReader(nc)}
}

func (r *raw) send(msgs ...proto.Message) {
	r.t.Helper()
	b, err := wire.AppendFrame(nil, msgs...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.nc.Write(b)
}

func (r *raw) read() (*pb.RpcResponseHeader, []byte) {
	r.t.Helper()
	b, err := wire.ReadFrame(r.r, nil, 1<<20)
	if err != nil {
		r.t.Fatal(err)
	}
	var h pb.RpcResponseHeader
	rest, err := wire.ReadMessage(b, &h)
	if err != nil {
		r.t.Fatal(err)
	}
	return &h, rest
}

// refused checks that the server says why and closes.
func (r *raw) refused(class string) {
	r.t.Helper()
	h, _ := r.read()
	if h.GetStatus() != pb.RpcResponseHeader_FATAL || h.GetExceptionClassName() != class || int32(h.GetCallId()) != wire.CallUnauthorized {
		r.t.Errorf("%v", h)
	}
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		r.t.Errorf("after a fatal error: %v", err)
	}
}

func header(id int32) *pb.RpcRequestHeader {
	return &pb.RpcRequestHeader{RpcKind: pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(), RpcOp: pb.RpcRequestHeader_RPC_FINAL_PACKET.Enum(),
		CallId: &id, ClientId: []byte{}, RetryCount: proto.Int32(-1)}
}

func call(method string) *pb.RequestHeader {
	return &pb.RequestHeader{MethodName: &method, DeclaringClassProtocolName: proto.String("P"), ClientProtocolVersion: proto.Uint64(1)}
}

func newServer(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const saslException, serverException, accessDenied = "javax.security.sasl.SaslException", "org.apache.hadoop.ipc.RpcServerException", "org.apache.hadoop.security.AccessControlException"

// The server refuses what Hadoop's refuses, so that a client's mistake shows in fast tests already.
func TestRefusals(t *testing.T) {
	tokens := Options{TokenOnly: true, Passwords: func([]byte) ([]byte, error) { return nil, nil }}
	noKind := header(0)
	noKind.RpcKind = nil
	negotiate := &pb.RpcSasl{State: pb.RpcSasl_NEGOTIATE.Enum()}
	for _, tc := range []struct {
		name string
		o    Options
		auth wire.Auth
		send []proto.Message // header and message, alternating
		want string
	}{
		{"SIMPLE where tokens are demanded", tokens, wire.AuthNone, nil, accessDenied},
		{"unknown authentication", Options{}, 0x42, nil, accessDenied},
		{"a header without its kind", Options{}, wire.AuthNone, []proto.Message{noKind, &pb.RequestHeader{}}, serverException},
		{"a call before the context", Options{}, wire.AuthNone, []proto.Message{header(0), call("m")}, serverException},
		{"a call before authentication", tokens, wire.AuthSASL, []proto.Message{header(0), call("m")}, serverException},
		{"a choice that was not offered", tokens, wire.AuthSASL, []proto.Message{header(wire.CallSASL), &pb.RpcSasl{
			State: pb.RpcSasl_INITIATE.Enum(), Token: []byte{}, Auths: []*pb.RpcSasl_SaslAuth{offer("SIMPLE", "", "", "")}}}, accessDenied},
		{"a response before a choice", tokens, wire.AuthSASL, []proto.Message{header(wire.CallSASL), &pb.RpcSasl{State: pb.RpcSasl_RESPONSE.Enum(), Token: []byte{}}}, saslException},
		{"SASL where none was announced", Options{}, wire.AuthNone, []proto.Message{header(wire.CallSASL), negotiate}, accessDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := dial(t, newServer(t, tc.o), tc.auth)
			if len(tc.send) > 0 {
				// Required fields may be missing on purpose.
				b, err := wire.AppendFrame(nil, tc.send[0])
				if err != nil {
					t.Fatal(err)
				}
				body, err := wire.AppendMessage(b, tc.send[1])
				if err == nil {
					body[3] = byte(len(body) - 4)
				} else {
					body = b
				}
				r.nc.Write(body)
			}
			r.refused(tc.want)
		})
	}
	t.Run("another protocol", func(t *testing.T) {
		nc, err := net.Dial("tcp", newServer(t, Options{}).Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, "GET / HTTP/1.1\r\n\r\n")
		(&raw{t, nc, bufio.NewReader(nc)}).refused("org.apache.hadoop.ipc.RPC$VersionMismatch")
	})
	t.Run("a request that is too long", func(t *testing.T) {
		r := dial(t, newServer(t, Options{MaxRequest: 100}), wire.AuthNone)
		r.nc.Write([]byte{0, 0, 0, 101})
		if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a user beside a token", func(t *testing.T) {
		c := &serverConn{auth: authState{method: "TOKEN"}}
		b, _ := wire.AppendMessage(nil, &pb.IpcConnectionContext{UserInfo: &pb.UserInformation{EffectiveUser: proto.String("alice")}})
		if err := c.context(b); asException(err).Class != accessDenied {
			t.Errorf("%v", err)
		}
		b, _ = wire.AppendMessage(nil, &pb.IpcConnectionContext{UserInfo: &pb.UserInformation{}})
		if err := c.context(b); err != nil {
			t.Errorf("as Java sends it: %v", err)
		}
	})
}

func TestCloseEndsHandlersAndConnections(t *testing.T) {
	s := newServer(t, Options{})
	entered := make(chan struct{})
	Handle(s, "P", "hang", func(ctx context.Context, c *Call, _ *pb.GetNewApplicationRequest) (*pb.GetNewApplicationResponse, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r := dial(t, s, wire.AuthNone)
	r.send(header(wire.CallContext), &pb.IpcConnectionContext{Protocol: proto.String("P")})
	r.send(header(5), call("hang"), &pb.GetNewApplicationRequest{})
	<-entered
	s.Close()
	s.Close()
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("still listening")
	}
	if err := s.Refuse(false); err == nil {
		t.Error("opened again after Close")
	}
	if s.Conns() != 0 {
		t.Errorf("%d connections left", s.Conns())
	}
}

// The port can be opened again at once, although a process that is being started has the listener still.
func TestRefuseWhileOthersHaveTheListener(t *testing.T) {
	var l net.Listener
	s := newServer(t, Options{Listen: func(network, addr string) (_ net.Listener, err error) {
		l, err = net.Listen(network, addr)
		return l, err
	}})
	other, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() {
		other.Close()
		close(ended)
	})
	if err := errors.Join(s.Refuse(true), s.Refuse(false)); err != nil {
		t.Error(err)
	}
	<-ended
}
