// Package join is the small protocol by which a container's process gets its
// certificate from the application master.
//
// The process knows its container id and the join token that was put into its
// credentials file. It makes a key, connects by TLS with the ALPN protocol
// identity.JoinProtocol to the port on which the master also serves gRPC, checks
// the master's certificate against the authority's, and sends one frame:
//
//	┌────┬───┬───────┬──────────────┬───────────────┬─────────────┬─────────┐
//	│ YJ │ 1 │ u8 n  │ n container  │ 32 join token │ u16 BE m    │ m CSR   │
//	└────┴───┴───────┴──────────────┴───────────────┴─────────────┴─────────┘
//
// The master answers with one frame and closes:
//
//	┌────┬───┬────────────┬──────────┬───────────────────────────────────────┐
//	│ YJ │ 1 │ u8 verdict │ u16 BE m │ m certificate, or why there is none   │
//	└────┴───┴────────────┴──────────┴───────────────────────────────────────┘
//
// A frame is at most MaxFrame bytes, and its time is short. The token is compared
// in constant time before the request for a certificate is looked at, so nothing
// that an unknown sender wrote is decoded but these lengths. A token is spent when
// a certificate is issued; asked again with the same key, which happens when the
// answer got lost, the master repeats itself.
package join

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// MaxFrame is the most bytes that a frame has.
const MaxFrame = 8 << 10

const (
	version   = 1
	maxID     = 255
	maxCSR    = 4 << 10
	maxAnswer = 4 << 10
)

var magic = [2]byte{'Y', 'J'}

// Request asks for a certificate.
type Request struct {
	Container string
	Token     [spec.JoinTokenSize]byte
	CSR       []byte // PKCS #10, DER
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
	Verdict Verdict
	Text    []byte
}

// ErrFormat tells that a frame is none.
var ErrFormat = errors.New("join: malformed frame")

// AppendRequest appends r as a frame.
func AppendRequest(dst []byte, r *Request) ([]byte, error) {
	if len(r.Container) == 0 || len(r.Container) > maxID || len(r.CSR) == 0 || len(r.CSR) > maxCSR {
		return nil, fmt.Errorf("join: a container id of %d bytes and a signing request of %d do not fit", len(r.Container), len(r.CSR))
	}
	dst = append(dst, magic[0], magic[1], version, byte(len(r.Container)))
	dst = append(dst, r.Container...)
	dst = append(dst, r.Token[:]...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.CSR)))
	return append(dst, r.CSR...), nil
}

// ReadRequest reads a frame. It calls known as soon as it has container and token,
// and goes on only if that says so; else it returns known's error.
func ReadRequest(r io.Reader, known func(container string, token []byte) error) (*Request, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	n := int(head[3])
	if head[0] != magic[0] || head[1] != magic[1] || head[2] != version || n == 0 {
		return nil, ErrFormat
	}
	buf := make([]byte, n+spec.JoinTokenSize+2)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	req := &Request{Container: string(buf[:n])}
	copy(req.Token[:], buf[n:])
	if err := known(req.Container, req.Token[:]); err != nil {
		return nil, err
	}
	m := int(binary.BigEndian.Uint16(buf[n+spec.JoinTokenSize:]))
	if m == 0 || m > maxCSR {
		return nil, ErrFormat
	}
	req.CSR = make([]byte, m)
	if _, err := io.ReadFull(r, req.CSR); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return req, nil
}

// AppendAnswer appends a as a frame. A text that is no certificate is cut to fit.
func AppendAnswer(dst []byte, a Answer) ([]byte, error) {
	if len(a.Text) > maxAnswer {
		if a.Verdict == Granted {
			return nil, fmt.Errorf("join: a certificate of %d bytes does not fit", len(a.Text))
		}
		a.Text = a.Text[:maxAnswer]
	}
	dst = append(dst, magic[0], magic[1], version, byte(a.Verdict))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(a.Text)))
	return append(dst, a.Text...), nil
}

// ReadAnswer reads a frame.
func ReadAnswer(r io.Reader) (Answer, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Answer{}, fmt.Errorf("join: %w", err)
	}
	m := int(binary.BigEndian.Uint16(head[4:]))
	verdict := Verdict(head[3])
	if head[0] != magic[0] || head[1] != magic[1] || head[2] != version || verdict > Later || m > maxAnswer {
		return Answer{}, ErrFormat
	}
	a := Answer{Verdict: verdict, Text: make([]byte, m)}
	if _, err := io.ReadFull(r, a.Text); err != nil {
		return Answer{}, fmt.Errorf("join: %w", err)
	}
	return a, nil
}
