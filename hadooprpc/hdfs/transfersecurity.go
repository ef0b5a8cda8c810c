package hdfs

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// Before the first request to a DataNode of a cluster with Kerberos both sides prove that they know a secret of the
// NameNode's: the block's token, or, where dfs.encrypt.data.transfer is on, a key that it gives to clients.
//
//	client                                     DataNode
//	  DE AD BE EF, SaslMessage            →
//	                                      ←    SaslMessage  challenge of DIGEST-MD5
//	  SaslMessage  response, AES please   →
//	                                      ←    SaslMessage  proof, keys for AES
//
// What follows is in AES-CTR under these keys; or, where the DataNode offers no keys, in wrapped pieces with their
// lengths before them; or, with protection "authentication", in clear.
// Source: SaslDataTransferClient, DataTransferSaslUtil (Hadoop 3.4).
const (
	saslMagic = 0xDEADBEEF
	// suiteAES is CipherSuiteProto's AES_CTR_NOPADDING.
	suiteAES = 2
	// privileged ports belong to DataNodes that root has started: that is proof enough for Hadoop.
	privileged = 1024
	// keySpare is how long before its end a key is not begun with any more.
	keySpare = time.Minute
)

var transferOffer = sasl.Offer{Method: sasl.Token, Mechanism: sasl.DigestMD5, Protocol: "hdfs", ServerID: "0"}

// saslUnknownKey is DataTransferEncryptorStatus.ERROR_UNKNOWN_KEY: the NameNode has given out another key since.
const saslUnknownKey = 1

// saslRefusal is a DataNode's refusal to take a proof: the secret is wrong, or not good any more.
type saslRefusal struct {
	status  uint32
	message string
}

func (e *saslRefusal) Error() string { return "it refuses: " + e.message }

// dialBlock connects to a DataNode for a block with that token.
func (r *remote) dialBlock(ctx context.Context, addr string, block *pb.Token) (net.Conn, error) {
	conn, err := r.pool.dial.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	x, err := r.transferExchange(ctx, conn.RemoteAddr(), block)
	if err == nil && x != nil {
		stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
		var secured net.Conn
		if secured, err = authenticate(conn, x); err == nil && !stop() {
			err = context.Cause(ctx)
		}
		if err == nil {
			return secured, nil
		}
		err = fmt.Errorf("authenticate to DataNode %s: %w", addr, err)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// transferExchange is the proof that a connection begins with; nil: with none.
func (r *remote) transferExchange(ctx context.Context, peer net.Addr, block *pb.Token) (sasl.Exchange, error) {
	if r.transfer.Encrypt {
		key, err := r.encryptionKey(ctx)
		if err != nil {
			return nil, err
		}
		if key != nil {
			user := strconv.Itoa(int(int32(key.GetKeyId()))) + " " + key.GetBlockPoolId() + " " + base64.StdEncoding.EncodeToString(key.GetNonce())
			return sasl.NewDigest(transferOffer, user, key.GetEncryptionKey(), sasl.QOPConf), nil
		}
	}
	if err := r.transfer.admits(peer.String()); err != nil {
		return nil, err
	}
	if r.transfer.Least == 0 || isPrivileged(peer.String()) {
		return nil, nil
	}
	m := sasl.TokenMechanism{Identifier: block.GetIdentifier(), Password: block.GetPassword(), MinQOP: r.transfer.Least}
	return m.Begin(transferOffer)
}

// encryptionKey is the NameNode's, kept until it is about to end; nil where it has none, and data is encrypted otherwise.
func (r *remote) encryptionKey(ctx context.Context) (*nnpb.DataEncryptionKey, error) {
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	if r.key != nil && time.Until(time.UnixMilli(int64(r.key.GetExpiryDate()))) > keySpare {
		return r.key, nil
	}
	var resp nnpb.GetDataEncryptionKeyResponse
	if err := r.rpc(ctx, "get the data encryption key of", "", "getDataEncryptionKey", &nnpb.GetDataEncryptionKeyRequest{}, &resp); err != nil {
		return nil, err
	}
	if r.key = resp.GetDataEncryptionKey(); r.key == nil {
		return nil, r.unencrypted()
	}
	return r.key, nil
}

// forgetKey has the NameNode asked for its key again.
func (r *remote) forgetKey() {
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	r.key = nil
}

// authenticate plays x on a new connection and returns what is protected by it.
func authenticate(conn net.Conn, x sasl.Exchange) (net.Conn, error) {
	in := bufio.NewReader(conn)
	ask := func(head []byte, m *nnpb.SaslMessage) (*nnpb.SaslMessage, error) {
		body, err := proto.Marshal(m)
		if err != nil {
			return nil, err
		}
		if _, err := conn.Write(append(binary.AppendUvarint(head, uint64(len(body))), body...)); err != nil {
			return nil, err
		}
		var answer nnpb.SaslMessage
		if err := readMessage(in, &answer); err != nil {
			return nil, err
		}
		if answer.GetStatus() != 0 {
			return nil, &saslRefusal{answer.GetStatus(), answer.GetMessage()}
		}
		return &answer, nil
	}
	answer, err := ask(binary.BigEndian.AppendUint32(nil, saslMagic), &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: []byte{}})
	if err != nil {
		return nil, err
	}
	response, err := x.Step(answer.GetPayload())
	if err != nil {
		return nil, err
	}
	answer, err = ask(nil, &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: response,
		CipherOption: []*nnpb.CipherOption{{Suite: proto.Uint32(suiteAES)}}})
	if err != nil {
		return nil, err
	}
	if _, err := x.Step(answer.GetPayload()); err != nil {
		return nil, err
	}
	if !x.Done() {
		return nil, fmt.Errorf("it has not proven itself")
	}
	return protect(conn, in, x.Layer(), answer.GetCipherOption())
}

// protect is conn with what was agreed on.
func protect(conn net.Conn, in io.Reader, layer sasl.Layer, options []*nnpb.CipherOption) (net.Conn, error) {
	switch {
	case layer == nil:
		return &transferConn{Conn: conn, r: in, w: conn}, nil
	case len(options) == 0:
		return &transferConn{Conn: conn, r: &wrappedReader{r: in, layer: layer}, w: &wrappedWriter{w: conn, layer: layer}}, nil
	}
	o := options[0]
	if o.GetSuite() != suiteAES || len(o.GetInIv()) != aes.BlockSize || len(o.GetOutIv()) != aes.BlockSize {
		return nil, fmt.Errorf("it wants cipher suite %d, and %d is known", o.GetSuite(), suiteAES)
	}
	stream := func(wrapped, iv []byte) (cipher.Stream, error) {
		key, err := layer.Unwrap(wrapped)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewCTR(block, iv), nil
	}
	out, err := stream(o.GetInKey(), o.GetInIv()) // in and out are the DataNode's
	if err != nil {
		return nil, err
	}
	back, err := stream(o.GetOutKey(), o.GetOutIv())
	if err != nil {
		return nil, err
	}
	return &transferConn{Conn: conn, r: cipher.StreamReader{S: back, R: in}, w: cipher.StreamWriter{S: out, W: conn}}, nil
}

// transferConn is a connection whose bytes go through r and w. One goroutine may read and another write.
type transferConn struct {
	net.Conn
	r io.Reader
	w io.Writer
}

func (c *transferConn) Read(b []byte) (int, error)  { return c.r.Read(b) }
func (c *transferConn) Write(b []byte) (int, error) { return c.w.Write(b) }

// wrappedReader reads pieces that were wrapped, each with its length before it.
type wrappedReader struct {
	r     io.Reader
	layer sasl.Layer
	frame []byte
	rest  []byte
}

// maxWrapped bounds a piece: a packet and what wrapping adds.
const maxWrapped = 1 << 20

func (w *wrappedReader) Read(b []byte) (int, error) {
	for len(w.rest) == 0 {
		frame, err := wire.ReadFrame(w.r, w.frame, maxWrapped)
		if err != nil {
			return 0, err
		}
		w.frame = frame
		if w.rest, err = w.layer.Unwrap(frame); err != nil {
			return 0, err
		}
	}
	n := copy(b, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

type wrappedWriter struct {
	w     io.Writer
	layer sasl.Layer
}

func (w *wrappedWriter) Write(b []byte) (int, error) {
	var out []byte
	for rest := b; len(rest) > 0; {
		piece := rest[:min(len(rest), w.layer.MaxWrap())]
		rest = rest[len(piece):]
		token, err := w.layer.Wrap(nil, piece)
		if err != nil {
			return 0, err
		}
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(token))), token...)
	}
	if _, err := w.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}
