package hdfstest

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

// Transfer is how DataNodes protect their connections. The zero value is not at all.
type Transfer struct {
	// Protection is dfs.data.transfer.protection, proven by the tokens of blocks; 0: no proof is asked for.
	Protection sasl.QOP
	// Tokens is dfs.block.access.token.enable: requests come with the block's token. Both others have it as well.
	Tokens bool
	// Encrypt is dfs.encrypt.data.transfer: the proof is a key of the NameNode's, and everything is encrypted.
	Encrypt bool
	// AES encrypts by keys that are agreed on (dfs.encrypt.data.transfer.cipher.suites), and not in wrapped pieces.
	AES bool
}

func (t Transfer) secured() bool { return t.Encrypt || t.Protection != 0 }

// Source: DataTransferSaslUtil, and what of datatransfer.proto package nnpb does not name.
const (
	saslMagic        = 0xDEADBEEF
	saslUnknownKey   = 1
	saslError        = 2
	suiteAES         = 2
	statusNoAccess   = 5
	statusChecksumOK = 6
)

// secrets are what NameNode and DataNodes know. Tokens of blocks and keys for data are good until the next roll.
type secrets struct {
	mu     sync.Mutex
	serial uint32
	secret [20]byte
	nonce  [8]byte
}

// ForgetSecrets has the DataNodes refuse the tokens of blocks and the keys for data that were given out until now, as if
// these had expired.
func (c *Cluster) ForgetSecrets() { c.secrets.roll() }

func (s *secrets) roll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	rand.Read(s.secret[:]) // never fails
	rand.Read(s.nonce[:])
}

func (s *secrets) password(identifier []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	mac := hmac.New(sha1.New, s.secret[:])
	mac.Write(identifier)
	return mac.Sum(nil)
}

// token is a block's, which DataNodes of a cluster with security want to see.
func (c *Cluster) token(block uint64) *pb.Token {
	t := &pb.Token{Identifier: []byte{}, Password: []byte{}, Kind: proto.String(""), Service: proto.String("")}
	if c.transfer.Tokens || c.transfer.secured() {
		t.Identifier = binary.BigEndian.AppendUint64([]byte("block "), block)
		t.Password, t.Kind = c.secrets.password(t.Identifier), proto.String("HDFS_BLOCK_TOKEN")
	}
	return t
}

// admits is whether a token is good for a block.
func (c *Cluster) admits(t *pb.Token, block uint64) bool {
	want := c.token(block)
	return bytes.Equal(want.Identifier, t.GetIdentifier()) && hmac.Equal(want.Password, t.GetPassword())
}

func (c *Cluster) dataKey(*hadooptest.Call, *nnpb.GetDataEncryptionKeyRequest) (*nnpb.GetDataEncryptionKeyResponse, error) {
	if !c.transfer.Encrypt {
		return &nnpb.GetDataEncryptionKeyResponse{}, nil
	}
	name := c.secrets.keyName()
	c.secrets.mu.Lock()
	defer c.secrets.mu.Unlock()
	return &nnpb.GetDataEncryptionKeyResponse{DataEncryptionKey: &nnpb.DataEncryptionKey{KeyId: &c.secrets.serial, BlockPoolId: proto.String(pool),
		Nonce: bytes.Clone(c.secrets.nonce[:]), EncryptionKey: hash(c.secrets.secret[:], name),
		ExpiryDate: proto.Uint64(uint64(time.Now().Add(time.Hour).UnixMilli()))}}, nil
}

func hash(secret []byte, name string) []byte {
	mac := hmac.New(sha1.New, secret)
	io.WriteString(mac, name)
	return mac.Sum(nil)
}

// keyName is how a client names the present key.
func (s *secrets) keyName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d %s %s", int32(s.serial), pool, base64.StdEncoding.EncodeToString(s.nonce[:]))
}

var errUnknownKey = errors.New("Can't re-compute encryption key for nonce, since the required block key doesn't exist.")

// secure has the client prove itself where that is asked for, and returns what is protected from then on.
// Source: SaslDataTransferServer.
func (d *dataNode) secure(r *bufio.Reader, w io.Writer) (*bufio.Reader, io.Writer, error) {
	t := d.c.transfer
	if !t.secured() {
		return r, w, nil
	}
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil || binary.BigEndian.Uint32(magic[:]) != saslMagic {
		return nil, nil, fmt.Errorf("it does not begin with a proof: %x, %v", magic, err)
	}
	x := &sasl.DigestServer{URI: "hdfs/0", QOPs: []sasl.QOP{t.Protection}, Password: func(id []byte) ([]byte, error) { return d.c.secrets.password(id), nil }}
	if t.Encrypt {
		x.QOPs = []sasl.QOP{sasl.QOPConf}
		x.Secret = func(name string) ([]byte, error) {
			if name != d.c.secrets.keyName() {
				return nil, errUnknownKey
			}
			d.c.secrets.mu.Lock()
			defer d.c.secrets.mu.Unlock()
			return hash(d.c.secrets.secret[:], name), nil
		}
	}
	var m nnpb.SaslMessage
	if err := read(r, &m); err != nil {
		return nil, nil, err
	}
	if _, err := protodelim.MarshalTo(w, &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: x.Challenge()}); err != nil {
		return nil, nil, err
	}
	if err := read(r, &m); err != nil {
		return nil, nil, err
	}
	proof, err := x.Step(m.GetPayload())
	if err != nil {
		status := uint32(saslError)
		if errors.Is(err, errUnknownKey) {
			status = saslUnknownKey
		}
		protodelim.MarshalTo(w, &nnpb.SaslMessage{Status: &status, Message: proto.String(err.Error())}) // it is told, if it still listens
		return nil, nil, err
	}
	return d.protect(r, w, x.Layer(), proof, len(m.GetCipherOption()) > 0)
}

// protect sends the proof, and puts on what was agreed on.
func (d *dataNode) protect(r *bufio.Reader, w io.Writer, layer sasl.Layer, proof []byte, aesAsked bool) (*bufio.Reader, io.Writer, error) {
	last := &nnpb.SaslMessage{Status: proto.Uint32(0), Payload: proof}
	in, out := io.Reader(r), w
	switch {
	case layer == nil:
	case d.c.transfer.AES && aesAsked && (d.c.transfer.Encrypt || d.c.transfer.Protection == sasl.QOPConf):
		o := &nnpb.CipherOption{Suite: proto.Uint32(suiteAES)}
		var streams [2]cipher.Stream
		for i, to := range []struct{ key, iv *[]byte }{{&o.InKey, &o.InIv}, {&o.OutKey, &o.OutIv}} {
			key := []byte(rand.Text())[:16]
			*to.iv = []byte(rand.Text())[:aes.BlockSize]
			block, err := aes.NewCipher(key)
			if err != nil {
				return nil, nil, err
			}
			streams[i] = cipher.NewCTR(block, *to.iv)
			if *to.key, err = layer.Wrap(nil, key); err != nil {
				return nil, nil, err
			}
		}
		last.CipherOption = []*nnpb.CipherOption{o}
		in, out = cipher.StreamReader{S: streams[0], R: r}, cipher.StreamWriter{S: streams[1], W: w}
	default:
		in, out = &unwrapper{r: r, layer: layer}, &wrapper{w: w, layer: layer}
	}
	if _, err := protodelim.MarshalTo(w, last); err != nil {
		return nil, nil, err
	}
	return bufio.NewReader(in), out, nil
}

// unwrapper and wrapper are a stream in pieces, each wrapped and with its length before it.
type unwrapper struct {
	r     *bufio.Reader
	layer sasl.Layer
	rest  []byte
}

func (u *unwrapper) Read(b []byte) (int, error) {
	for len(u.rest) == 0 {
		var length [4]byte
		if _, err := io.ReadFull(u.r, length[:]); err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(length[:])
		if n > maxPacket {
			return 0, fmt.Errorf("a piece of %d bytes", n)
		}
		piece := make([]byte, n)
		if _, err := io.ReadFull(u.r, piece); err != nil {
			return 0, err
		}
		var err error
		if u.rest, err = u.layer.Unwrap(piece); err != nil {
			return 0, err
		}
	}
	n := copy(b, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

type wrapper struct {
	w     io.Writer
	layer sasl.Layer
}

func (w *wrapper) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		piece := rest[:min(len(rest), w.layer.MaxWrap())]
		rest = rest[len(piece):]
		token, err := w.layer.Wrap(make([]byte, 4), piece)
		if err != nil {
			return 0, err
		}
		binary.BigEndian.PutUint32(token, uint32(len(token)-4))
		if _, err := w.w.Write(token); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// checksumTypes are ChecksumTypeProto by their names.
var checksumTypes = map[string]uint32{"": checksumCRC32C, "CRC32C": checksumCRC32C, "CRC32": 1, "NULL": 0}

func checksumType(name string) (uint32, error) {
	t, ok := checksumTypes[strings.ToUpper(name)]
	if !ok {
		return 0, fmt.Errorf("hdfstest: no checksums are called %q; there are CRC32C, CRC32 and NULL", name)
	}
	return t, nil
}
