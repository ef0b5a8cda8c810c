package hdfs

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

// secretNode is a DataNode as far as authentication goes; then it sends back what it gets.
type secretNode struct {
	qops    []sasl.QOP
	secret  string
	aes     bool
	refuses string
}

func (n secretNode) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil || binary.BigEndian.Uint32(magic[:]) != saslMagic {
		t.Errorf("it began with %x, %v", magic, err)
		return
	}
	say := func(m *nnpb.SaslMessage) {
		body, _ := proto.Marshal(m)
		conn.Write(append(binary.AppendUvarint(nil, uint64(len(body))), body...))
	}
	var m nnpb.SaslMessage
	if readMessage(in, &m) != nil {
		return
	}
	x := &sasl.DigestServer{QOPs: n.qops, URI: "hdfs/0", Password: func([]byte) ([]byte, error) { return []byte(n.secret), nil }}
	say(&nnpb.SaslMessage{Status: proto.Uint32(0), Payload: x.Challenge()})
	if readMessage(in, &m) != nil {
		return
	}
	proof, err := x.Step(m.GetPayload())
	if n.refuses != "" || err != nil {
		say(&nnpb.SaslMessage{Status: proto.Uint32(2), Message: proto.String(n.refuses + "not you")})
		return
	}
	out := &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: proof}
	layer := x.Layer()
	rw := struct {
		io.Reader
		io.Writer
	}{in, conn}
	switch {
	case n.aes:
		inKey, outKey := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
		inIV, outIV := bytes.Repeat([]byte{3}, 16), bytes.Repeat([]byte{4}, 16)
		o := &nnpb.CipherOption{Suite: proto.Uint32(suiteAES), InIv: inIV, OutIv: outIV}
		o.InKey, _ = layer.Wrap(nil, inKey)
		o.OutKey, _ = layer.Wrap(nil, outKey)
		out.CipherOption = []*nnpb.CipherOption{o}
		a, _ := aes.NewCipher(inKey)
		b, _ := aes.NewCipher(outKey)
		rw.Reader, rw.Writer = cipher.StreamReader{S: cipher.NewCTR(a, inIV), R: in}, cipher.StreamWriter{S: cipher.NewCTR(b, outIV), W: conn}
	case layer != nil:
		rw.Reader, rw.Writer = &wrappedReader{r: in, layer: layer}, &wrappedWriter{w: conn, layer: layer}
	}
	say(out)
	io.Copy(rw.Writer, rw.Reader)
}

func TestTransferSecurity(t *testing.T) {
	for name, x := range map[string]struct {
		node  secretNode
		least sasl.QOP
		want  string // of the error
	}{
		"authentication":         {secretNode{qops: []sasl.QOP{sasl.QOPAuth}}, sasl.QOPAuth, ""},
		"integrity":              {secretNode{qops: []sasl.QOP{sasl.QOPInt}}, sasl.QOPInt, ""},
		"privacy":                {secretNode{qops: []sasl.QOP{sasl.QOPConf}}, sasl.QOPConf, ""},
		"privacy by AES":         {secretNode{qops: []sasl.QOP{sasl.QOPConf}, aes: true}, sasl.QOPConf, ""},
		"less than is wanted":    {secretNode{qops: []sasl.QOP{sasl.QOPAuth}}, sasl.QOPConf, "insist on auth-conf"},
		"another secret":         {secretNode{qops: []sasl.QOP{sasl.QOPAuth}, secret: "other"}, sasl.QOPAuth, "it refuses: not you"},
		"a DataNode that cannot": {secretNode{qops: []sasl.QOP{sasl.QOPAuth}, refuses: "busy, "}, sasl.QOPAuth, "it refuses: busy"},
	} {
		t.Run(name, func(t *testing.T) {
			if x.node.secret == "" {
				x.node.secret = "secret"
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer l.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				if conn, err := l.Accept(); err == nil {
					x.node.serve(t, conn)
				}
			}()
			raw, err := net.Dial("tcp", l.Addr().String())
			must(t, err)
			defer func() { raw.Close(); <-done }()
			tap := &tapped{Conn: raw}
			user := base64.StdEncoding.EncodeToString([]byte("block token"))
			conn, err := authenticate(tap, sasl.NewDigest(transferOffer, user, []byte("secret"), x.least))
			if x.want != "" {
				if err == nil || !strings.Contains(err.Error(), x.want) {
					t.Fatalf("%v, want %q", err, x.want)
				}
				return
			}
			must(t, err)
			sent := bytes.Repeat([]byte("what nobody is to read "), 20_000)
			written := make(chan error, 1)
			go func() {
				_, err := conn.Write(sent)
				written <- err
			}()
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("what came back is another: %v", err)
			}
			must(t, <-written)
			if clear := bytes.Contains(tap.wrote.Bytes(), sent[:23]); clear != (x.least < sasl.QOPConf) {
				t.Errorf("in clear: %v", clear)
			}
		})
	}
}

// tapped keeps what is written.
type tapped struct {
	net.Conn
	wrote bytes.Buffer
}

func (c *tapped) Write(b []byte) (int, error) {
	c.wrote.Write(b)
	return c.Conn.Write(b)
}
