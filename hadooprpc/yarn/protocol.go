package yarn

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Protocols are the Java interfaces that declare the methods, as servers know them.
const (
	ClientProtocol    = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB"
	MasterProtocol    = "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"
	ContainerProtocol = "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB"
)

// Options say where a service is and how to call it.
type Options struct {
	// Addresses of the service, "host:port", at least one; several for ResourceManager HA.
	Addresses []string
	// IPC tells who calls and how patiently.
	IPC ipc.Options
}

// safe methods may be executed twice. They are those that Hadoop annotates @Idempotent, plus reads that it forgot.
func safe(name string) ipc.Method { return ipc.Method{Name: name, Idempotent: true} }

// once methods may not.
func once(name string) ipc.Method { return ipc.Method{Name: name} }

// caller is what the clients need of an *ipc.Proxy.
type caller interface {
	Call(ctx context.Context, m ipc.Method, req, resp proto.Message) error
}

// invoke calls m and returns the reply.
func invoke[PResp interface {
	*Resp
	proto.Message
}, Resp any](ctx context.Context, c caller, m ipc.Method, req proto.Message) (PResp, error) {
	resp := PResp(new(Resp))
	if err := c.Call(ctx, m, req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// TokenFromPB reads a token message; nil gives the zero token.
func TokenFromPB(m *pb.Token) token.Token {
	return token.Token{Identifier: m.GetIdentifier(), Password: m.GetPassword(), Kind: m.GetKind(), Service: m.GetService()}
}

// TokenToPB makes a message of t. All four fields are required on the wire, so empty ones are there, too.
func TokenToPB(t token.Token) *pb.Token {
	return &pb.Token{
		Identifier: append([]byte{}, t.Identifier...), Password: append([]byte{}, t.Password...),
		Kind: proto.String(t.Kind), Service: proto.String(t.Service),
	}
}
