package appmaster

import (
	"context"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/identity"
)

var errEnding = status.Error(codes.Unavailable, "the application is ending")

func (l *loop) newServer() *grpc.Server {
	s := grpc.NewServer(
		grpc.Creds(shaken{}),
		grpc.MaxConcurrentStreams(1000),
		grpc.MaxRecvMsgSize(8<<20),
		grpc.ReadBufferSize(1<<10),           // each worker has a line, on which little comes; 32 KiB would be most of our memory
		grpc.ConnectionTimeout(strangerTime), // HTTP/2's own handshake
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	door := doorman{s, l.admitCall}
	ampb.RegisterSessionServer(door, session{loop: l})
	ampb.RegisterControlServer(door, control{loop: l})
	ampb.RegisterMembersServer(door, members{loop: l})
	return s
}

// doorman registers services with a server so that each method asks first who calls. An interceptor would ask too late: when
// it hears of a unary call, gRPC has decoded the message. (grpc.InTapHandle asks even earlier, but forgets to stop the timer
// of a call that it refuses, and how long that runs the caller says.)
type doorman struct {
	grpc.ServiceRegistrar
	admit func(ctx context.Context, method string) error
}

// RegisterService implements grpc.ServiceRegistrar.
func (d doorman) RegisterService(desc *grpc.ServiceDesc, impl any) {
	asked := *desc
	asked.Methods, asked.Streams = slices.Clone(desc.Methods), slices.Clone(desc.Streams)
	for i := range asked.Methods {
		m := &asked.Methods[i]
		name, handler := "/"+desc.ServiceName+"/"+m.MethodName, m.Handler
		m.Handler = func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			if err := d.admit(ctx, name); err != nil {
				return nil, err
			}
			return handler(srv, ctx, decode, interceptor)
		}
	}
	for i := range asked.Streams {
		m := &asked.Streams[i]
		name, handler := "/"+desc.ServiceName+"/"+m.StreamName, m.Handler
		m.Handler = func(srv any, stream grpc.ServerStream) error {
			if err := d.admit(stream.Context(), name); err != nil {
				return err
			}
			return handler(srv, stream)
		}
	}
	d.ServiceRegistrar.RegisterService(&asked, impl)
}

// admitCall lets a call in from somebody who may make it, while this is the application's
// only master.
func (l *loop) admitCall(ctx context.Context, method string) error {
	if err := authorize(ctx, method, l.opt.Spec.User); err != nil {
		return err
	}
	return l.alone()
}

// authorize checks the caller against the method.
func authorize(ctx context.Context, method, owner string) error {
	who := caller(ctx)
	if callers[method].includes(who, owner) {
		return nil
	}
	return status.Errorf(codes.PermissionDenied, "%s may not call %s", who, method)
}

// caller tells who makes a call. The gate has verified it; an unknown caller is
// the zero Subject, which has no role.
func caller(ctx context.Context) identity.Subject {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return identity.Subject{}
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return identity.Subject{}
	}
	who, err := identity.Peer(info.State)
	if err != nil {
		return identity.Subject{}
	}
	return who
}

// shaken tells gRPC what it needs to know of connections whose TLS handshake the
// gate has made.
type shaken struct{}

func (shaken) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(*guest)
	if !ok {
		return nil, nil, status.Error(codes.Internal, "a connection came past the gate")
	}
	info := credentials.TLSInfo{State: c.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	return conn, info, nil
}

func (shaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, status.Error(codes.Internal, "these credentials are a server's")
}

func (shaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (shaken) Clone() credentials.TransportCredentials { return shaken{} }

func (shaken) OverrideServerName(string) error { return nil }
