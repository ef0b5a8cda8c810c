package gssapi

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
)

// A wrap token (RFC 4121 section 4.2.6.2):
//
//	+-------+-------+------+----------+-----------+---------------------+------+
//	| 05 04 | flags |  FF  | EC, u16  | RRC, u16  | sequence number u64 | body |
//	+-------+-------+------+----------+-----------+---------------------+------+
//
//	sealed      body = rotate(RRC, E(message | EC filler bytes | header with RRC 0))
//	not sealed  body = rotate(RRC, message | checksum(message | header with EC 0 and RRC 0)), EC the checksum's length
const headerSize = 16

const (
	flagAcceptor = 1 << iota // sent by the acceptor
	flagSealed
	flagSubkey // the key is the acceptor's own
)

// Messages protects what both sides say after their context was established. Wrap and Unwrap may be called by two
// goroutines at once, each of them by one only, in the order in which tokens travel: each direction has its count,
// and a token that is repeated, lost or out of turn is an error.
type Messages struct {
	out, in direction
	subkey  byte // flagSubkey or 0
}

type direction struct {
	key   *usageKey
	seq   uint64
	flags byte // flagAcceptor or 0
}

func newMessages(key Key, acceptor, subkey bool, mySeq, peerSeq uint64) (*Messages, error) {
	byInitiator, err := newUsageKey(key, keyusage.GSSAPI_INITIATOR_SEAL)
	if err != nil {
		return nil, err
	}
	byAcceptor, err := newUsageKey(key, keyusage.GSSAPI_ACCEPTOR_SEAL)
	if err != nil {
		return nil, err
	}
	m := &Messages{
		out: direction{key: byInitiator, seq: mySeq},
		in:  direction{key: byAcceptor, seq: peerSeq, flags: flagAcceptor},
	}
	if acceptor {
		m.out.key, m.in.key = byAcceptor, byInitiator
		m.out.flags, m.in.flags = flagAcceptor, 0
	}
	if subkey {
		m.subkey = flagSubkey
	}
	return m, nil
}

// Overhead is by how many bytes Wrap lengthens a message at most.
func (m *Messages) Overhead() int { return 2*headerSize + m.out.key.overhead() }

// Wrap appends the token of msg to dst; sealed, nobody else can read it.
func (m *Messages) Wrap(dst, msg []byte, sealed bool) ([]byte, error) {
	d := &m.out
	var header [headerSize]byte
	header[0], header[1], header[2], header[3] = 5, 4, d.flags|m.subkey, 0xFF
	binary.BigEndian.PutUint64(header[8:], d.seq)
	d.seq++
	if sealed {
		header[2] |= flagSealed
		return d.key.seal(append(dst, header[:]...), msg, header[:])
	}
	sum := d.key.sum(msg, header[:])
	binary.BigEndian.PutUint16(header[4:], uint16(len(sum)))
	dst = append(append(dst, header[:]...), msg...)
	return append(dst, sum...), nil
}

var errOrder = errors.New("gssapi: a protected message is out of order: replayed, lost or forged")

// Unwrap returns the message in token and whether it was sealed. The message may share memory with token, which it may change.
func (m *Messages) Unwrap(token []byte) (msg []byte, sealed bool, err error) {
	d := &m.in
	if len(token) < headerSize || token[0] != 5 || token[1] != 4 || token[3] != 0xFF {
		return nil, false, fmt.Errorf("gssapi: not a wrap token, but %d bytes that begin with %x", len(token), token[:min(4, len(token))])
	}
	header, body := [headerSize]byte(token), token[headerSize:]
	if header[2]&^flagSealed != d.flags|m.subkey {
		return nil, false, fmt.Errorf("gssapi: a wrap token with flags %#x", header[2])
	}
	if binary.BigEndian.Uint64(header[8:]) != d.seq {
		return nil, false, errOrder
	}
	extra := int(binary.BigEndian.Uint16(header[4:]))
	rotateLeft(body, int(binary.BigEndian.Uint16(header[6:])))
	header[6], header[7] = 0, 0
	if sealed = header[2]&flagSealed != 0; sealed {
		msg, err = d.key.opened(header[:], body, extra)
	} else {
		header[4], header[5] = 0, 0
		msg, err = d.key.checked(header[:], body, extra)
	}
	if err != nil {
		return nil, false, err
	}
	d.seq++
	return msg, sealed, nil
}

// opened is the message in a sealed body with so many filler bytes.
func (u *usageKey) opened(header, body []byte, filler int) ([]byte, error) {
	plain, err := u.open(body)
	if err != nil {
		return nil, err
	}
	n := len(plain) - headerSize - filler
	if n < 0 || !bytes.Equal(plain[len(plain)-headerSize:], header) {
		return nil, errModified
	}
	return plain[:n], nil
}

// checked is the message in a body that is not sealed and ends in a checksum of sum bytes.
func (u *usageKey) checked(header, body []byte, sum int) ([]byte, error) {
	n := len(body) - sum
	if sum != u.mac || n < 0 || !hmac.Equal(body[n:], u.sum(body[:n], header)) {
		return nil, errModified
	}
	return body[:n], nil
}

// rotateLeft undoes a rotation to the right by n.
func rotateLeft(b []byte, n int) {
	if len(b) == 0 || n%len(b) == 0 {
		return
	}
	n %= len(b)
	copy(b, append(bytes.Clone(b[n:]), b[:n]...))
}
