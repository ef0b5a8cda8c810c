package hadooptest

import (
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// authState is the server's half of authentication, as Server.Connection plays it.
type authState struct {
	opts     Options
	digest   *sasl.DigestServer
	kerberos *sasl.KerberosServer   // nil until it was chosen
	offered  []*pb.RpcSasl_SaslAuth // without challenges: what INITIATE is compared with
	method   sasl.Method
	tokenID  []byte
	client   string // by Kerberos
	done     bool
}

func denied(msg string) error {
	return &Exception{Class: "org.apache.hadoop.security.AccessControlException", Message: msg,
		Code: pb.RpcResponseHeader_FATAL_UNAUTHORIZED, Fatal: true}
}

func (a *authState) begin(o Options, auth wire.Auth) error {
	a.opts = o
	switch {
	case auth == wire.AuthSASL:
		return nil
	case auth != wire.AuthNone:
		return denied("unknown authentication protocol")
	case o.TokenOnly || o.Kerberos != nil:
		return denied("SIMPLE authentication is not enabled.  Available:" + available(o))
	}
	a.method, a.done = sasl.Simple, true
	return nil
}

func available(o Options) string {
	if o.Kerberos == nil {
		return "[TOKEN]"
	}
	return "[TOKEN, KERBEROS]"
}

func (a *authState) step(m *pb.RpcSasl) (*pb.RpcSasl, error) {
	if a.done {
		return nil, denied("Negotiation is already complete")
	}
	switch m.GetState() {
	case pb.RpcSasl_NEGOTIATE:
		return a.negotiate()
	case pb.RpcSasl_INITIATE:
		return a.initiate(m)
	case pb.RpcSasl_RESPONSE:
		return a.evaluate(m)
	}
	return nil, fmt.Errorf("Client sent unsupported state %s", m.GetState())
}

func offer(method sasl.Method, mechanism, protocol, serverID string) *pb.RpcSasl_SaslAuth {
	return &pb.RpcSasl_SaslAuth{Method: proto.String(string(method)), Mechanism: &mechanism, Protocol: &protocol, ServerId: &serverID}
}

func (a *authState) negotiate() (*pb.RpcSasl, error) {
	if a.offered != nil {
		return nil, denied("Client already attempted negotiation")
	}
	if a.opts.Passwords == nil && a.opts.Kerberos == nil {
		a.method, a.done = sasl.Simple, true
		return &pb.RpcSasl{State: pb.RpcSasl_SUCCESS.Enum()}, nil
	}
	out := &pb.RpcSasl{State: pb.RpcSasl_NEGOTIATE.Enum()}
	add := func(o *pb.RpcSasl_SaslAuth, challenge []byte) {
		a.offered = append(a.offered, o)
		o = proto.CloneOf(o)
		o.Challenge = challenge
		out.Auths = append(out.Auths, o)
	}
	if a.opts.Passwords != nil {
		a.digest = &sasl.DigestServer{Password: a.opts.Passwords, QOPs: a.opts.QOPs}
		add(offer(sasl.Token, sasl.DigestMD5, "", "default"), a.digest.Challenge())
	}
	if a.opts.Kerberos != nil {
		service, host, _ := strings.Cut(a.opts.Service, "/")
		add(offer(sasl.Kerberos, sasl.GSSAPI, service, host), nil)
	} else if !a.opts.TokenOnly {
		add(offer(sasl.Simple, "", "", ""), nil)
	}
	return out, nil
}

func (a *authState) initiate(m *pb.RpcSasl) (*pb.RpcSasl, error) {
	if len(m.GetAuths()) != 1 {
		return nil, fmt.Errorf("Client mechanism is malformed")
	}
	chosen := m.GetAuths()[0]
	for _, o := range a.offered {
		if !proto.Equal(o, chosen) {
			continue
		}
		switch sasl.Method(chosen.GetMethod()) {
		case sasl.Simple:
			a.method, a.done = sasl.Simple, true
			return nil, nil
		case sasl.Kerberos:
			a.digest, a.kerberos = nil, &sasl.KerberosServer{Acceptor: a.opts.Kerberos(), QOPs: a.opts.QOPs}
		}
		return a.evaluate(m)
	}
	return nil, denied(chosen.GetMethod() + " authentication is not enabled.")
}

func (a *authState) evaluate(m *pb.RpcSasl) (*pb.RpcSasl, error) {
	if m.Token == nil {
		return nil, fmt.Errorf("Client did not send a token")
	}
	if a.kerberos != nil {
		return a.kerberosStep(m.GetToken())
	}
	if a.digest == nil {
		return nil, fmt.Errorf("no mechanism was chosen")
	}
	proof, err := a.digest.Step(m.GetToken())
	if err != nil {
		return nil, err
	}
	a.method, a.tokenID, a.done = sasl.Token, a.digest.Identifier(), true
	return &pb.RpcSasl{State: pb.RpcSasl_SUCCESS.Enum(), Token: proof}, nil
}

func (a *authState) kerberosStep(token []byte) (*pb.RpcSasl, error) {
	out, err := a.kerberos.Step(token)
	if err != nil {
		return nil, err
	}
	if !a.kerberos.Done() {
		return &pb.RpcSasl{State: pb.RpcSasl_CHALLENGE.Enum(), Token: out}, nil
	}
	a.method, a.client, a.done = sasl.Kerberos, a.kerberos.Client(), true
	return &pb.RpcSasl{State: pb.RpcSasl_SUCCESS.Enum()}, nil
}

// layer is the protection in force from the next byte on, nil for none.
func (a *authState) layer() sasl.Layer {
	switch {
	case a.done && a.kerberos != nil:
		return a.kerberos.Layer()
	case a.done && a.digest != nil && a.digest.Done():
		return a.digest.Layer()
	}
	return nil
}

// unwrapper is the stream inside a protected connection, server side.
type unwrapper struct {
	r     io.Reader
	layer sasl.Layer
	limit int
	rest  []byte
}

func (u *unwrapper) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		frame, err := wire.ReadFrame(u.r, nil, u.limit)
		if err != nil {
			return 0, err
		}
		var h pb.RpcRequestHeader
		var m pb.RpcSasl
		rest, err := wire.ReadMessage(frame, &h)
		if err == nil {
			err = wire.ReadLast(rest, &m)
		}
		if err == nil && (h.GetCallId() != wire.CallSASL || m.GetState() != pb.RpcSasl_WRAP) {
			err = denied("the connection is protected, the request was not")
		}
		if err == nil {
			u.rest, err = u.layer.Unwrap(m.GetToken())
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func wrap(l sasl.Layer, h *pb.RpcResponseHeader, frame []byte) ([]byte, error) {
	var out []byte
	for len(frame) > 0 {
		n := min(len(frame), l.MaxWrap())
		token, err := l.Wrap(nil, frame[:n])
		if err != nil {
			return nil, err
		}
		frame = frame[n:]
		if out, err = wire.AppendFrame(out, h, &pb.RpcSasl{State: pb.RpcSasl_WRAP.Enum(), Token: token}); err != nil {
			return nil, err
		}
	}
	return out, nil
}
