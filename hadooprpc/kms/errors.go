package kms

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Kind is what went wrong.
type Kind string

// Kinds of failure.
const (
	BadURI      Kind = "bad-uri"      // of the KMS
	Unreachable Kind = "unreachable"  // no server answers
	Unknown     Kind = "unknown-cert" // its certificate is of nobody whom we know
	NoTicket    Kind = "no-ticket"    // for it, or it does not take ours; the cause says why
	NoProof     Kind = "no-proof"     // it does not prove who it is
	Refused     Kind = "refused"      // by it
	Malformed   Kind = "malformed"    // what it answers
)

// Error tells what failed, why, and what to do.
type Error struct {
	Kind   Kind
	Where  string // the KMS's URI, or a server's URL
	Reason string // one sentence without a full stop
	Cure   string // what to do or to run; may be empty
	Err    error  // may be nil
}

func (e *Error) Error() string {
	s := e.what()
	if e.Cure != "" {
		s += ": " + e.Cure
	}
	return s
}

func (e *Error) what() string {
	s := "KMS " + e.Where + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Plain is the error without its cure.
func (e *Error) Plain() error {
	return &Error{Kind: e.Kind, Where: e.Where, Reason: e.Reason, Err: e.Err}
}

func (e *Error) Unwrap() error { return e.Err }

const (
	without = "add -D dfs.client.ignore.namenode.default.kms.uri=true -D hadoop.security.key.provider.path= to go without its tokens: encrypted files cannot be read then"
	askKMS  = "see whether the KMS runs; or " + without
)

// unanswered is the error of a request without an answer. What err says of the URL is left out: it may hold a token.
func unanswered(server string, err error) *Error {
	var wrong *tls.CertificateVerificationError
	var name x509.HostnameError
	switch {
	case errors.As(err, &name):
		return &Error{Unknown, server, "its certificate is another host's", "use the name that the certificate has in hadoop.security.key.provider.path", name}
	case errors.As(err, &wrong):
		return &Error{Unknown, server, "nobody whom this machine trusts vouches for its certificate",
			"add its authority to the system's, or name its file by SSL_CERT_FILE: the truststore of ssl-client.xml is Java's own, and is not read", wrong.Err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Unreachable, server, "it has not answered in time", askKMS, nil}
	}
	return &Error{Unreachable, server, "it does not answer", askKMS, err}
}

// maxSaid bounds what is shown of a server's own words, in bytes.
const maxSaid = 300

// refusal is what a server says that does not do as it was asked.
func refusal(server string, resp *http.Response, said string) *Error {
	if said == "" {
		said = strings.TrimSpace(strings.TrimPrefix(resp.Status, fmt.Sprint(resp.StatusCode)))
	}
	e := &Error{Kind: Refused, Where: server, Reason: fmt.Sprintf("it refuses (HTTP %d)", resp.StatusCode), Cure: "look at its log", Err: errors.New(clip(said))}
	switch code := resp.StatusCode; {
	case code >= 500:
		e.Kind, e.Reason, e.Cure = Unreachable, fmt.Sprintf("it fails (HTTP %d)", code), "look at its log; or "+without
	case code == http.StatusUnauthorized:
		e.Kind, e.Reason, e.Cure = NoTicket, "it does not take our ticket (HTTP 401)", "ask its administrator whether it has a key for HTTP/ and the host's name as it stands in the URL; or "+without
	case code == http.StatusForbidden:
		e.Cure = "ask its administrator: hadoop.kms.proxyuser.* says who may act for others, its log what it had against this; or " + without
	case code == http.StatusNotFound && e.Err.Error() == http.StatusText(code): // not a KMS's own words
		e.Cure = "ask whether hadoop.security.key.provider.path ends with the KMS's path, usually /kms; or " + without
	}
	return e
}

// clip makes a server's words fit for a line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), " ")
	if len(s) > maxSaid {
		s = strings.ToValidUTF8(s[:maxSaid], "") + "…"
	}
	return s
}

// several are what the servers said, one after the other.
type several []error

func (s several) Error() string {
	said := make([]string, len(s))
	for i, err := range s {
		said[i] = err.Error()
	}
	return strings.Join(said, "; ")
}

func (s several) Unwrap() []error { return s }
