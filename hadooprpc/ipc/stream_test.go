package ipc

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// Calls by hand on an authenticated stream, whatever protects it.
func TestStream(t *testing.T) {
	for name, x := range map[string]struct {
		srv hadooptest.Options
		o   Options
	}{
		"simple":    {hadooptest.Options{}, Options{User: "alice"}},
		"Kerberos":  {kerberized(), withTicket("nn/_HOST", 0)},
		"integrity": {kerberized(sasl.QOPInt), withTicket("nn/_HOST", sasl.QOPInt)},
		"privacy":   {kerberized(sasl.QOPConf), withTicket("nn/_HOST", sasl.QOPConf)},
		"token":     {hadooptest.Options{Passwords: passwords, QOPs: []sasl.QOP{sasl.QOPConf}}, Options{Token: tokenFor("t"), Secure: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := server(t, x.srv)
			nc, err := DialStream(t.Context(), s.Addr(), testProtocol, x.o)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			for id := range int32(3) {
				text := strings.Repeat("long ", 50_000)
				h := &pb.RpcRequestHeader{RpcKind: pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(), RpcOp: pb.RpcRequestHeader_RPC_FINAL_PACKET.Enum(),
					CallId: proto.Int32(id), ClientId: bytes.Repeat([]byte{7}, 16)}
				rh := &pb.RequestHeader{MethodName: proto.String("echo"), DeclaringClassProtocolName: proto.String(testProtocol), ClientProtocolVersion: proto.Uint64(1)}
				frame, err := wire.AppendFrame(nil, h, rh, &pb.GetDelegationTokenRequest{Renewer: &text})
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range [][]byte{frame[:3], frame[3:]} { // as it comes
					if n, err := nc.Write(part); err != nil || n != len(part) {
						t.Fatal(n, err)
					}
				}
				answer, err := wire.ReadFrame(nc, nil, wire.DefaultMax)
				if err != nil {
					t.Fatal(err)
				}
				var rsp pb.RpcResponseHeader
				rest, err := wire.ReadMessage(answer, &rsp)
				if err != nil || rsp.GetStatus() != pb.RpcResponseHeader_SUCCESS || rsp.GetCallId() != uint32(id) {
					t.Fatalf("%v, %v", &rsp, err)
				}
				var got pb.GetDelegationTokenResponse
				if err := wire.ReadLast(rest, &got); err != nil || got.GetToken().GetService() != text {
					t.Fatalf("%d bytes came back, %v", len(got.GetToken().GetService()), err)
				}
			}
			s.Close()
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && err == nil {
				t.Errorf("after the server's end: %v", err)
			}
		})
	}
	s, _ := server(t, kerberized())
	var ce *ConnError
	if _, err := DialStream(t.Context(), s.Addr(), testProtocol, withTicket("rm/_HOST", 0)); !errors.As(err, &ce) {
		t.Errorf("another service: %v", err)
	}
}

func TestWithSecurity(t *testing.T) {
	plain := conf.FromMap(map[string]string{"hadoop.rpc.protection": "nonsense"})
	if o, err := (Options{User: "u"}).WithSecurity(plain, "k", nil); err != nil || o.Secure || Secure(plain) {
		t.Errorf("without Kerberos: %+v, %v", o, err)
	}
	c := conf.FromMap(map[string]string{"hadoop.security.authentication": "Kerberos", "hadoop.rpc.protection": "privacy,integrity",
		"k": "nn/_HOST@R", "k.pattern": "nn/*"})
	o, err := (Options{}).WithSecurity(c, "k", nil)
	if err != nil || !o.Secure || o.MinQOP != sasl.QOPInt || o.Kerberos != nil {
		t.Errorf("without tickets: %+v, %v", o, err)
	}
	o, err = (Options{}).WithSecurity(c, "k", withTicket("", 0).Kerberos.Tickets)
	if want := (sasl.Service{Principal: "nn/_HOST@R", Pattern: "nn/*", Key: "k"}); err != nil || o.Kerberos.Service != want || o.Kerberos.MinQOP != sasl.QOPInt {
		t.Errorf("%+v, %v", o.Kerberos, err)
	}
	if _, err := (Options{}).WithSecurity(c.With(map[string]string{"hadoop.rpc.protection": "x"}), "k", nil); err == nil {
		t.Error("an unknown protection was taken")
	}
}
