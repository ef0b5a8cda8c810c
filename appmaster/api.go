package appmaster

import (
	"context"
	"net"
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
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := l.admitCall(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := l.admitCall(ss.Context(), info.FullMethod); err != nil {
				return err
			}
			return handler(srv, ss)
		}),
	)
	ampb.RegisterSessionServer(s, session{loop: l})
	ampb.RegisterControlServer(s, control{loop: l})
	ampb.RegisterMembersServer(s, members{loop: l})
	return s
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
