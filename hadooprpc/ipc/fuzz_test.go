package ipc

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// deaf is a connection that takes everything and answers nothing.
type deaf struct{ net.Conn }

func (deaf) Write(b []byte) (int, error) { return len(b), nil }

func saslReply(m *pb.RpcSasl) []byte {
	id := wire.CallSASL
	b, err := wire.AppendFrame(nil, &pb.RpcResponseHeader{CallId: proto.Uint32(uint32(id)), Status: pb.RpcResponseHeader_SUCCESS.Enum()}, m)
	if err != nil {
		panic(err)
	}
	return b
}

// FuzzHandshake plays a server that says anything while a connection is being made.
func FuzzHandshake(f *testing.F) {
	f.Add(saslReply(&pb.RpcSasl{State: pb.RpcSasl_SUCCESS.Enum()}), true)
	f.Add(saslReply(&pb.RpcSasl{State: pb.RpcSasl_SUCCESS.Enum()}), false)
	offer := saslReply(&pb.RpcSasl{State: pb.RpcSasl_NEGOTIATE.Enum(), Auths: []*pb.RpcSasl_SaslAuth{{
		Method: proto.String("TOKEN"), Mechanism: proto.String(sasl.DigestMD5), Protocol: proto.String(""), ServerId: proto.String("default"),
		Challenge: []byte(`realm="default",nonce="n",qop="auth-conf",cipher="rc4",charset=utf-8,algorithm=md5-sess`)}}})
	f.Add(append(offer, saslReply(&pb.RpcSasl{State: pb.RpcSasl_SUCCESS.Enum(), Token: []byte("rspauth=00")})...), true)
	f.Add([]byte("HTTP/1.1 400"), true)
	f.Fuzz(func(t *testing.T, in []byte, secure bool) {
		o := Options{User: "u", Secure: secure}.withDefaults()
		cn := newConn("test", deaf{}, o)
		cn.in = bytes.NewReader(in)
		err := cn.introduce("P", o, o.mechanisms(t.Context(), "test", tokenFor("t")))
		if err == nil && secure {
			t.Fatal("a server that does not know the password was believed")
		}
		if err == nil && cn.auth != sasl.Simple {
			t.Fatalf("authenticated by %q against nobody", cn.auth)
		}
	})
}

// plain is a layer that adds one byte, so that wrapped and unwrapped differ.
type plain struct{}

func (plain) MaxWrap() int { return 7 }
func (plain) Wrap(dst, msg []byte) ([]byte, error) {
	return append(append(dst, '!'), msg...), nil
}
func (plain) Unwrap(token []byte) ([]byte, error) {
	if len(token) == 0 || token[0] != '!' {
		return nil, errors.New("not protected")
	}
	return token[1:], nil
}

// The stream inside a protected connection, whatever pieces it comes in.
func TestUnwrapperGivesBackTheStream(t *testing.T) {
	var in, want []byte
	for i := range 50 {
		piece := bytes.Repeat([]byte{byte(i)}, i%9)
		want = append(want, piece...)
		token, _ := plain{}.Wrap(nil, piece)
		in = append(in, saslReply(&pb.RpcSasl{State: pb.RpcSasl_WRAP.Enum(), Token: token})...)
	}
	u := &unwrapper{r: iotest.HalfReader(bytes.NewReader(in)), layer: plain{}, limit: 1000}
	got, err := io.ReadAll(iotest.OneByteReader(u))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes of %d", err, len(got), len(want))
	}
	// Frames without protection end the connection, in whatever way they are wrong.
	ok, _ := wire.AppendFrame(nil, &okHeader, &emptyMessage)
	fatal, _ := wire.AppendFrame(nil, &fatalHeader)
	for _, bad := range [][]byte{ok, fatal, saslReply(&pb.RpcSasl{State: pb.RpcSasl_SUCCESS.Enum()}), saslReply(&pb.RpcSasl{State: pb.RpcSasl_WRAP.Enum(), Token: []byte("x")})} {
		u := &unwrapper{r: bytes.NewReader(bad), layer: plain{}, limit: 1000}
		if n, err := u.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("%q: %d bytes, %v", bad, n, err)
		}
	}
}

// What is wrapped in pieces comes out as it went in.
func TestAppendWrapped(t *testing.T) {
	stream := bytes.Repeat([]byte("0123456789"), 10)
	out, err := appendWrapped([]byte("before"), plain{}, stream)
	if err != nil || !bytes.HasPrefix(out, []byte("before")) {
		t.Fatal(err)
	}
	r := bytes.NewReader(out[len("before"):])
	var got []byte
	for r.Len() > 0 {
		frame, err := wire.ReadFrame(r, nil, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var h pb.RpcRequestHeader
		var m pb.RpcSasl
		rest, err := wire.ReadMessage(frame, &h)
		if err != nil || wire.ReadLast(rest, &m) != nil || h.GetCallId() != wire.CallSASL || m.GetState() != pb.RpcSasl_WRAP || len(m.GetToken()) > 8 {
			t.Fatal(err, &h, &m)
		}
		got = append(got, m.GetToken()[1:]...)
	}
	if !bytes.Equal(got, stream) {
		t.Errorf("%q", got)
	}
}

func FuzzUnwrapper(f *testing.F) {
	f.Add(saslReply(&pb.RpcSasl{State: pb.RpcSasl_WRAP.Enum(), Token: []byte("!stream")}))
	f.Add(saslReply(&pb.RpcSasl{State: pb.RpcSasl_WRAP.Enum(), Token: []byte("!")}))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := io.ReadAll(&unwrapper{r: bytes.NewReader(in), layer: plain{}, limit: 1 << 16})
		if len(got) > len(in) {
			t.Fatalf("%d bytes out of %d", len(got), len(in))
		}
		_ = err // any error will do, as long as it comes
	})
}
