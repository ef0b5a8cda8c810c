package token

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// Version is the encoding of a credentials file's body.
type Version byte

const (
	// V0 is the Writable encoding: Java's default, read by every version.
	V0 Version = 0
	// V1 is the protobuf encoding, understood since Hadoop 3.0.
	V1 Version = 1
)

const (
	magic = "HDTS"
	// maxSize bounds a credentials file, in bytes. Real ones have a few
	// hundred bytes for each token.
	maxSize = 16 << 20
)

// FormatError is a credentials file that is not one. File is empty when the
// bytes came from elsewhere.
type FormatError struct {
	File string
	Err  error
}

func (e *FormatError) Error() string {
	name := e.File
	if name == "" {
		name = "credentials"
	}
	return fmt.Sprintf("%s: not a valid Hadoop credentials file: %v", name, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// ReadFile reads a credentials file, for example the one that
// HADOOP_TOKEN_FILE_LOCATION names.
func ReadFile(path string) (*Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	c, err := Parse(b)
	if fe := (*FormatError)(nil); errors.As(err, &fe) {
		fe.File = path
	}
	return c, err
}

// Parse reads the bytes of a credentials file of either version. The error is
// a [*FormatError]; it never holds a part of the contents.
func Parse(b []byte) (*Credentials, error) {
	c, err := parse(b)
	if err != nil {
		return nil, &FormatError{Err: err}
	}
	return c, nil
}

func parse(b []byte) (*Credentials, error) {
	if len(b) > maxSize {
		return nil, fmt.Errorf("more than %d bytes", maxSize)
	}
	if len(b) < len(magic)+1 || string(b[:len(magic)]) != magic {
		return nil, errors.New("it does not begin with HDTS")
	}
	body := b[len(magic)+1:]
	switch v := Version(b[len(magic)]); v {
	case V0:
		return parseWritable(body)
	case V1:
		return parseProto(body)
	default:
		return nil, fmt.Errorf("unknown version %d", v)
	}
}

// Smallest encodings of an entry, used to check counts before taking memory.
const (
	minToken  = 5 // alias, identifier, password, kind, service: a zero length each
	minSecret = 2
)

func parseWritable(b []byte) (*Credentials, error) {
	r := reader{b: b}
	c := &Credentials{}
	for range r.count(minToken) {
		alias := r.text()
		t := Token{Identifier: r.bytes(), Password: r.bytes()}
		t.Kind, t.Service = r.text(), r.text()
		c.Add(alias, t)
	}
	for range r.count(minSecret) {
		alias := r.text()
		c.AddSecret(alias, r.bytes())
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes after its end", len(r.b))
	}
	return c, r.err
}

func parseProto(b []byte) (*Credentials, error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n != uint64(len(b)-w) {
		return nil, errors.New("its length does not agree with the message's")
	}
	var m pb.Credentials
	if err := proto.Unmarshal(b[w:], &m); err != nil {
		return nil, errors.New("the protobuf message is damaged")
	}
	c := &Credentials{}
	for _, e := range m.Tokens {
		c.Add(e.GetAlias(), FromProto(e.GetToken()))
	}
	for _, e := range m.Secrets {
		c.AddSecret(e.GetAlias(), e.GetSecret())
	}
	return c, nil
}

// Append appends a whole credentials file of the given version to dst.
func (c *Credentials) Append(dst []byte, v Version) []byte {
	dst = append(dst, magic...)
	dst = append(dst, byte(v))
	if v == V1 {
		return c.appendProto(dst)
	}
	return c.appendWritable(dst)
}

func (c *Credentials) appendWritable(dst []byte) []byte {
	dst = appendVInt(dst, int64(len(c.Tokens)))
	for _, alias := range sortedKeys(c.Tokens) {
		t := c.Tokens[alias]
		dst = appendText(dst, alias)
		dst = appendBytes(dst, t.Identifier)
		dst = appendBytes(dst, t.Password)
		dst = appendText(dst, t.Kind)
		dst = appendText(dst, t.Service)
	}
	dst = appendVInt(dst, int64(len(c.Secrets)))
	for _, alias := range sortedKeys(c.Secrets) {
		dst = appendText(dst, alias)
		dst = appendBytes(dst, c.Secrets[alias])
	}
	return dst
}

func (c *Credentials) appendProto(dst []byte) []byte {
	m := &pb.Credentials{}
	for _, alias := range sortedKeys(c.Tokens) {
		m.Tokens = append(m.Tokens, &pb.CredentialsEntry{Alias: proto.String(alias), Token: c.Tokens[alias].Proto()})
	}
	for _, alias := range sortedKeys(c.Secrets) {
		m.Secrets = append(m.Secrets, &pb.CredentialsEntry{Alias: proto.String(alias), Secret: append([]byte{}, c.Secrets[alias]...)})
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // all required fields are set above
	}
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

// FromProto takes a token from Hadoop's message, as RPC answers carry it. A
// nil message gives the zero token.
func FromProto(m *pb.Token) Token {
	return Token{Identifier: m.GetIdentifier(), Password: m.GetPassword(), Kind: m.GetKind(), Service: m.GetService()}
}

// Proto makes Hadoop's message of a token.
func (t Token) Proto() *pb.Token {
	return &pb.Token{
		Identifier: append([]byte{}, t.Identifier...),
		Password:   append([]byte{}, t.Password...),
		Kind:       proto.String(t.Kind),
		Service:    proto.String(t.Service),
	}
}
