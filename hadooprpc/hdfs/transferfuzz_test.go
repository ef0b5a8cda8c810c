package hdfs

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/cryptotest"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

func framed(body []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(body))), body...)
}

func saslMessage(tb testing.TB, m *nnpb.SaslMessage) []byte {
	tb.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return framed(body)
}

const blockPassword = "the block's password"

// prover is the client's side.
func prover(least sasl.QOP) sasl.Exchange {
	return sasl.NewDigest(transferOffer, base64.StdEncoding.EncodeToString([]byte("block token")), []byte(blockPassword), least)
}

// FuzzTransferAnswer lets somebody who does not know the block's password answer anything: he is not believed.
func FuzzTransferAnswer(f *testing.F) {
	challenge := (&sasl.DigestServer{QOPs: []sasl.QOP{sasl.QOPConf}, URI: "hdfs/0"}).Challenge()
	first := saslMessage(f, &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: challenge})
	f.Add(append(bytes.Clone(first), saslMessage(f, &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: []byte("rspauth=0123456789abcdef0123456789abcdef")})...), uint8(2))
	f.Add(append(bytes.Clone(first), saslMessage(f, &nnpb.SaslMessage{Status: proto.Uint32(0), CipherOption: []*nnpb.CipherOption{{Suite: proto.Uint32(suiteAES)}}})...), uint8(0))
	f.Add(append(bytes.Clone(first), saslMessage(f, &nnpb.SaslMessage{Status: proto.Uint32(saslUnknownKey), Message: proto.String("Can't re-compute encryption key")})...), uint8(2))
	f.Add(saslMessage(f, &nnpb.SaslMessage{Status: proto.Uint32(2), Message: proto.String("no")}), uint8(1))
	f.Add(saslMessage(f, &nnpb.SaslMessage{Status: proto.Uint32(0)}), uint8(0))
	f.Add(first[:len(first)-1], uint8(1))
	f.Add(framed([]byte{8}), uint8(0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 8, 0}, uint8(0))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, said []byte, least uint8) {
		cryptotest.SetGlobalRandom(t, 1) // the same input goes the same way
		qop := []sasl.QOP{sasl.QOPAuth, sasl.QOPInt, sasl.QOPConf}[least%3]
		conn, err := authenticate(&scriptedConn{r: bytes.NewReader(said)}, prover(qop))
		if err == nil || conn != nil {
			t.Fatal("a DataNode that does not know the password was believed")
		}
		if r := (*saslRefusal)(nil); errors.As(err, &r) && r.status == 0 {
			t.Error("a refusal with the status of success")
		}
	})
}

// knowing is a DataNode that knows the block's password, and then says anything.
type knowing struct {
	scriptedConn
	t       *testing.T
	server  *sasl.DigestServer
	written int                                  // by the client
	last    func(layer sasl.Layer) (body []byte) // of its second message, but for the proof
	after   func(sasl.Layer) []byte              // that
	sent    []byte                               // behind its messages
	said    bytes.Buffer
}

func (k *knowing) Read(b []byte) (int, error) { return k.said.Read(b) }

func (k *knowing) Write(b []byte) (int, error) {
	k.written++
	switch k.written {
	case 1:
		k.said.Write(saslMessage(k.t, &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: k.server.Challenge()}))
	case 2:
		var m nnpb.SaslMessage
		if err := readMessage(bufio.NewReader(bytes.NewReader(b)), &m); err != nil {
			k.t.Fatal(err)
		}
		proof, err := k.server.Step(m.GetPayload())
		if err != nil {
			k.t.Fatal(err)
		}
		body, err := proto.Marshal(&nnpb.SaslMessage{Status: proto.Uint32(0), Payload: proof})
		if err != nil {
			k.t.Fatal(err)
		}
		k.said.Write(framed(append(body, k.last(k.server.Layer())...)))
		k.sent = k.after(k.server.Layer())
		k.said.Write(k.sent)
	}
	return len(b), nil
}

// FuzzTransferCipher lets a DataNode that has proven itself offer any cipher, with any keys, in a message that goes on with
// anything, and then send anything. What is wrong is an error; nothing is given out that it did not send.
func FuzzTransferCipher(f *testing.F) {
	key, iv := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
	f.Add(uint8(2), uint8(1), uint32(suiteAES), key, iv, true, []byte{}, []byte("what follows"), false)
	f.Add(uint8(2), uint8(1), uint32(suiteAES), bytes.Repeat(key, 2), iv, true, []byte{}, []byte("what follows"), false)
	f.Add(uint8(2), uint8(2), uint32(suiteAES), key, iv, true, []byte{}, []byte("what follows"), false)
	f.Add(uint8(2), uint8(1), uint32(suiteAES), key, iv, false, []byte{}, []byte("what follows"), false)
	f.Add(uint8(2), uint8(1), uint32(suiteAES), key[:15], iv, true, []byte{}, []byte{}, false)
	f.Add(uint8(2), uint8(1), uint32(suiteAES), key, iv[:15], true, []byte{}, []byte{}, false)
	f.Add(uint8(2), uint8(1), uint32(1), key, iv, true, []byte{}, []byte{}, false)
	f.Add(uint8(2), uint8(0), uint32(0), key, iv, true, []byte{}, []byte("a piece"), true)
	f.Add(uint8(1), uint8(0), uint32(0), key, iv, true, []byte{}, []byte("a piece"), true)
	f.Add(uint8(1), uint8(0), uint32(0), key, iv, true, []byte{}, []byte{0, 0, 0, 1, 1}, false)
	f.Add(uint8(2), uint8(0), uint32(0), key, iv, true, []byte{}, []byte{0xff, 0xff, 0xff, 0xff}, false)
	f.Add(uint8(0), uint8(1), uint32(suiteAES), key, iv, true, []byte{}, []byte("in clear"), false)
	f.Add(uint8(0), uint8(0), uint32(0), key, iv, true, []byte{8, 1}, []byte{}, false) // the status once more: an unknown key
	f.Add(uint8(2), uint8(0), uint32(0), key, iv, true, []byte{0x22, 2, 8, 2}, []byte{}, false)
	f.Fuzz(func(t *testing.T, level, options uint8, suite uint32, key, iv []byte, wrapped bool, more, after []byte, piece bool) {
		cryptotest.SetGlobalRandom(t, 1) // the same input goes the same way
		qop := []sasl.QOP{sasl.QOPAuth, sasl.QOPInt, sasl.QOPConf}[level%3]
		k := &knowing{t: t, server: &sasl.DigestServer{QOPs: []sasl.QOP{qop}, URI: "hdfs/0", Password: func([]byte) ([]byte, error) { return []byte(blockPassword), nil }}}
		k.last = func(layer sasl.Layer) []byte {
			var m nnpb.SaslMessage
			for range options % 4 {
				o := &nnpb.CipherOption{Suite: &suite, InKey: key, OutKey: key, InIv: iv, OutIv: iv}
				if wrapped && layer != nil {
					o.InKey, _ = layer.Wrap(nil, key)
					o.OutKey, _ = layer.Wrap(nil, key)
				}
				m.CipherOption = append(m.CipherOption, o)
			}
			body, err := proto.MarshalOptions{AllowPartial: true}.Marshal(&m)
			if err != nil {
				t.Fatal(err)
			}
			return append(body, more...)
		}
		k.after = func(layer sasl.Layer) []byte {
			if !piece || layer == nil || len(after) > layer.MaxWrap() {
				return after
			}
			token, err := layer.Wrap(nil, after)
			if err != nil {
				t.Fatal(err)
			}
			return append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)
		}
		conn, err := authenticate(k, prover(qop))
		if err != nil {
			return
		}
		got, err := io.ReadAll(conn)
		if len(got) > len(k.sent) {
			t.Fatalf("%d bytes of %d", len(got), len(k.sent))
		}
		if qop != sasl.QOPAuth && len(k.sent) >= 16 && bytes.Equal(got, k.sent) {
			t.Fatal("what came in clear was taken for protected")
		}
		if qop == sasl.QOPAuth && err != nil {
			t.Errorf("in clear: %v", err)
		}
		if piece && qop != sasl.QOPAuth && options%4 == 0 && len(more) == 0 && (err != nil || !bytes.Equal(got, after)) {
			t.Errorf("a piece that was wrapped as it must be: %d bytes of %d, %v", len(got), len(after), err)
		}
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Errorf("nothing can be said to it: %v", err)
		}
	})
}
