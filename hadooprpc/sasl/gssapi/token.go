package gssapi

import (
	"bytes"
	"encoding/asn1"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/messages"
)

// The first tokens of a context (RFC 2743 section 3.1, RFC 4121 section 4.1):
//
//	60 length | 06 09 oid of Kerberos 5 | token id | AP-REQ, AP-REP or KRB-ERROR
var kerberosOID = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}

// tokenID names what a token holds.
type tokenID [2]byte

var (
	idAPReq = tokenID{1, 0}
	idAPRep = tokenID{2, 0}
	idError = tokenID{3, 0}
)

// The class and number of the frame's tag.
const applicationClass, applicationTag = asn1.ClassApplication, 0

// frame puts body into a token.
func frame(id tokenID, body []byte) ([]byte, error) {
	inner := append(append(bytes.Clone(kerberosOID), id[:]...), body...)
	return asn1.Marshal(asn1.RawValue{Class: applicationClass, Tag: applicationTag, IsCompound: true, Bytes: inner})
}

// unframe is what a token with id holds. One with an error in its place is that error.
func unframe(id tokenID, token []byte) ([]byte, error) {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(token, &v)
	if err != nil || len(rest) > 0 || v.Class != applicationClass || v.Tag != applicationTag {
		return nil, fmt.Errorf("gssapi: not a token: %d bytes that begin with %x", len(token), token[:min(4, len(token))])
	}
	inner, ok := bytes.CutPrefix(v.Bytes, kerberosOID)
	if !ok || len(inner) < 2 {
		return nil, fmt.Errorf("gssapi: a token of another mechanism than Kerberos 5")
	}
	got, body := tokenID(inner), inner[2:]
	switch got {
	case id:
		return body, nil
	case idError:
		var e messages.KRBError
		if err := safely(func() error { return e.Unmarshal(body) }); err != nil {
			return nil, fmt.Errorf("gssapi: the peer sent an error that cannot be read: %w", err)
		}
		return nil, e
	}
	return nil, fmt.Errorf("gssapi: token %x where %x is due", got, id)
}

// safely makes an error of a panic: the library's decoders index what they were given without looking.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	return f()
}
