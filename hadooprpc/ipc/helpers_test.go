package ipc

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

const testProtocol = "org.example.EchoProtocolPB"

var (
	echo     = Method{Name: "echo", Idempotent: true}
	echoOnce = Method{Name: "echo"}
)

// server starts an echo server: the reply's token is the request's renewer as service, the caller as kind, and the
// token id as identifier. A request that begins with "wait" is answered when its context ends or release is closed.
func server(t *testing.T, o hadooptest.Options) (s *hadooptest.Server, release chan struct{}) {
	t.Helper()
	s, err := hadooptest.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	release = make(chan struct{})
	hadooptest.Handle(s, testProtocol, "echo", func(ctx context.Context, c *hadooptest.Call, req *pb.GetDelegationTokenRequest) (*pb.GetDelegationTokenResponse, error) {
		if len(req.GetRenewer()) >= 4 && req.GetRenewer()[:4] == "wait" {
			select {
			case <-release:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return &pb.GetDelegationTokenResponse{Token: &pb.Token{
			Identifier: append([]byte{}, c.TokenID...), Password: []byte(c.RealUser), Kind: proto.String(c.User), Service: req.Renewer,
		}}, nil
	})
	return s, release
}

func newTestClient(t *testing.T, addr string, o Options) *Client {
	t.Helper()
	c := NewClient(addr, testProtocol, o)
	t.Cleanup(func() { c.Close() })
	return c
}

type callee interface {
	Call(context.Context, Method, proto.Message, proto.Message) error
}

func say(ctx context.Context, c callee, m Method, text string) (*pb.Token, error) {
	resp := &pb.GetDelegationTokenResponse{}
	err := c.Call(ctx, m, &pb.GetDelegationTokenRequest{Renewer: &text}, resp)
	return resp.GetToken(), err
}

func mustSay(t *testing.T, c callee, text string) *pb.Token {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := say(ctx, c, echo, text)
	if err != nil {
		t.Fatal(err)
	}
	if got.GetService() != text {
		t.Fatalf("said %q, heard %q", text, got.GetService())
	}
	return got
}

func passwords(id []byte) ([]byte, error) { return append([]byte("pw of "), id...), nil }

func tokenFor(id string) *token.Token {
	return &token.Token{Identifier: []byte(id), Password: []byte("pw of " + id), Kind: "TEST"}
}

// realm knows alice, and nn/127.0.0.1.
var realm = &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}

func kerberized(qops ...sasl.QOP) hadooptest.Options {
	const service = "nn/127.0.0.1"
	return hadooptest.Options{Kerberos: func() *gssapi.Acceptor { return realm.Acceptor(service) }, Service: service, QOPs: qops}
}

func withTicket(principal string, least sasl.QOP) Options {
	return Options{Secure: true, Kerberos: &sasl.KerberosMechanism{MinQOP: least, Tickets: gssapi.Tickets{Issuer: realm, Client: "alice"},
		Service: sasl.Service{Principal: principal, Key: "dfs.namenode.kerberos.principal"}}}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func pendingCalls(c *Client) int {
	c.mu.Lock()
	cn := c.cur
	c.mu.Unlock()
	if cn == nil {
		return 0
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return len(cn.pending)
}

// sentCalls counts those of the pending calls that have left the queue.
func sentCalls(c *Client) (n int) {
	c.mu.Lock()
	cn := c.cur
	c.mu.Unlock()
	if cn == nil {
		return 0
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	for _, k := range cn.pending {
		if k.state.Load() != queued {
			n++
		}
	}
	return n
}

var (
	emptyMessage = pb.GetNewApplicationRequest{}
	okHeader     = pb.RpcResponseHeader{CallId: proto.Uint32(1), Status: pb.RpcResponseHeader_SUCCESS.Enum()}
	fatalHeader  = pb.RpcResponseHeader{CallId: proto.Uint32(0xffffffff), Status: pb.RpcResponseHeader_FATAL.Enum(),
		ExceptionClassName: proto.String("a.B"), ErrorMsg: proto.String("no")}
)

func refusing(called func()) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		called()
		return nil, syscall.ECONNREFUSED
	}
}
