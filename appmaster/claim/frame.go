package claim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the most bytes that a frame has.
const MaxFrame = 8 << 10

const (
	version       = 1
	maxIdentifier = 1 << 10
	maxCSR        = 4 << 10
	maxText       = 4 << 10 // of a certificate, or why there is none
	maxAuthority  = 2 << 10
)

var magic = [2]byte{'Y', 'C'}

// ProofSize is the length of a Proof in bytes.
const ProofSize = 32

// Proof shows that its sender knows a token's password.
type Proof [ProofSize]byte

// Request asks for a certificate.
type Request struct {
	Identifier []byte // of the token
	Proof      Proof
	CSR        []byte // PKCS #10, DER
}

// Verdict is how a request was answered.
type Verdict uint8

// The verdicts.
const (
	Granted Verdict = iota // the text is the certificate, DER
	Refused                // for good; the text says why
	Later                  // not now; the text says why
)

// Answer is the master's answer.
type Answer struct {
	Verdict   Verdict
	Proof     Proof
	Text      []byte
	Authority []byte // its certificate, DER, with a certificate; else nothing
}

// ErrFormat tells that a frame is none.
var ErrFormat = errors.New("claim: malformed frame")

// AppendRequest appends r as a frame.
func AppendRequest(dst []byte, r *Request) ([]byte, error) {
	if len(r.Identifier) == 0 || len(r.Identifier) > maxIdentifier || len(r.CSR) == 0 || len(r.CSR) > maxCSR {
		return nil, fmt.Errorf("claim: a token's identifier of %d bytes and a signing request of %d do not fit", len(r.Identifier), len(r.CSR))
	}
	dst = append(dst, magic[0], magic[1], version)
	dst = appendBytes(dst, r.Identifier)
	dst = append(dst, r.Proof[:]...)
	return appendBytes(dst, r.CSR), nil
}

// ReadRequest reads a frame. Nothing in it has been proven then.
func ReadRequest(r io.Reader) (*Request, error) {
	if err := readHead(r); err != nil {
		return nil, err
	}
	var req Request
	var err error
	if req.Identifier, err = readBytes(r, 1, maxIdentifier); err != nil {
		return nil, err
	}
	if err := readFull(r, req.Proof[:]); err != nil {
		return nil, err
	}
	if req.CSR, err = readBytes(r, 1, maxCSR); err != nil {
		return nil, err
	}
	return &req, nil
}

// AppendAnswer appends a as a frame.
func AppendAnswer(dst []byte, a *Answer) ([]byte, error) {
	if len(a.Text) > maxText || len(a.Authority) > maxAuthority {
		return nil, fmt.Errorf("claim: a text of %d bytes and an authority of %d do not fit", len(a.Text), len(a.Authority))
	}
	dst = append(dst, magic[0], magic[1], version, byte(a.Verdict))
	dst = append(dst, a.Proof[:]...)
	dst = appendBytes(dst, a.Text)
	return appendBytes(dst, a.Authority), nil
}

// ReadAnswer reads a frame. Nothing in it has been proven then.
func ReadAnswer(r io.Reader) (*Answer, error) {
	if err := readHead(r); err != nil {
		return nil, err
	}
	var verdict [1]byte
	if err := readFull(r, verdict[:]); err != nil {
		return nil, err
	}
	a := &Answer{Verdict: Verdict(verdict[0])}
	if a.Verdict > Later {
		return nil, ErrFormat
	}
	if err := readFull(r, a.Proof[:]); err != nil {
		return nil, err
	}
	var err error
	if a.Text, err = readBytes(r, 0, maxText); err != nil {
		return nil, err
	}
	if a.Authority, err = readBytes(r, 0, maxAuthority); err != nil {
		return nil, err
	}
	return a, nil
}

func readHead(r io.Reader) error {
	var head [3]byte
	if err := readFull(r, head[:]); err != nil {
		return err
	}
	if head[0] != magic[0] || head[1] != magic[1] || head[2] != version {
		return ErrFormat
	}
	return nil
}

func readFull(r io.Reader, p []byte) error {
	if _, err := io.ReadFull(r, p); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	return nil
}

// appendBytes appends b with its length before it; that it fits has been checked.
func appendBytes(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(b))), b...)
}

func readBytes(r io.Reader, least, most int) ([]byte, error) {
	var length [2]byte
	if err := readFull(r, length[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n < least || n > most {
		return nil, ErrFormat
	}
	b := make([]byte, n)
	return b, readFull(r, b)
}
