package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// RejectedError tells that a peer proved to be somebody, but not somebody we
// talk to here.
type RejectedError struct {
	Peer Subject
	Want string // who would have been welcome
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("identity: refused %s, want %s", e.Peer, e.Want)
}

// Refusal reports whether an error of a handshake says that the two sides do not accept
// each other's certificates: trying again with the same ones is of no use.
func Refusal(err error) bool {
	_, alert := errors.AsType[tls.AlertError](err)
	_, rejected := errors.AsType[*RejectedError](err)
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return alert || rejected || verify || unknown || invalid
}

// Server returns the TLS configuration of a listener that lets in only processes
// of this application in one of the allowed roles. It panics when no role is
// given: a server that nobody may use is a slip of the programmer.
//
// The caller sets NextProtos if its protocol needs that.
func (id *Identity) Server(allow ...Role) *tls.Config {
	if len(allow) == 0 {
		panic("identity: Server without a role to let in")
	}
	cfg := id.base()
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.ClientCAs = pool(id.ca)
	cfg.SessionTicketsDisabled = true // each connection is judged afresh
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		peer, err := verify(cs, id.ca, id.now(), x509.ExtKeyUsageClientAuth)
		if err != nil {
			return err
		}
		if peer.App != id.sub.App || !slices.Contains(allow, peer.Role) {
			return &RejectedError{Peer: peer, Want: fmt.Sprintf("a role of %v in %s", allow, id.sub.App)}
		}
		return nil
	}
	return cfg
}

// Client returns the TLS configuration of a connection to a process of this
// application in the wanted role, and with the wanted name unless that is "".
// Host names are not looked at.
//
// The caller sets NextProtos if its protocol needs that.
func (id *Identity) Client(want Role, name string) *tls.Config {
	cfg := id.base()
	verifyServer(cfg, id.ca, Subject{App: id.sub.App, Role: want, Name: name}, func() time.Time { return id.now() })
	return cfg
}

// DialFunc makes the connection that TLS goes over, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Dial connects to address, by tcp or, when that is nil, a net.Dialer, and shakes hands
// by config, most often one of Client.
func Dial(ctx context.Context, tcp DialFunc, address string, config *tls.Config) (*tls.Conn, error) {
	if tcp == nil {
		tcp = new(net.Dialer).DialContext
	}
	nc, err := tcp(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(nc, config)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// JoinServer returns the TLS configuration for connections of processes that have
// no certificate yet: they verify this side, this side does not verify them.
// What they say must be judged by a join token before anything else.
func (id *Identity) JoinServer() *tls.Config {
	cfg := id.base()
	cfg.SessionTicketsDisabled = true
	cfg.NextProtos = []string{JoinProtocol}
	return cfg
}

// JoinProtocol is what a process that wants to join names in its TLS handshake
// (ALPN), so that joining and everything else share one port.
const JoinProtocol = "yarnd-join/1"

// JoinClient returns the TLS configuration of a process that has no certificate
// yet. It talks only to the application master of app that ca vouches for.
func JoinClient(ca *x509.Certificate, app string) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{JoinProtocol}}
	verifyServer(cfg, ca, Subject{App: app, Role: AppMaster}, time.Now)
	return cfg
}

// ClaimProtocol is what a program names in its TLS handshake (ALPN) that has a token of
// the cluster's instead of a certificate: see package appmaster/claim.
const ClaimProtocol = "yarnd-claim/1"

// ClaimServer returns the TLS configuration for connections of programs that have no
// certificate and do not know the authority. What they say must be judged by its proof
// before anything else.
func (id *Identity) ClaimServer() *tls.Config {
	cfg := id.base()
	cfg.SessionTicketsDisabled = true
	cfg.NextProtos = []string{ClaimProtocol}
	return cfg
}

// StrangerClient returns the TLS configuration of such a program. TLS verifies nobody:
// until the other side has proven itself, by the handshake's exported key, it can be
// anybody, and nothing that it says is to be believed.
func StrangerClient() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{ClaimProtocol}, InsecureSkipVerify: true, // #nosec G402 -- see above
		VerifyConnection: func(cs tls.ConnectionState) error {
			if cs.NegotiatedProtocol != ClaimProtocol {
				return fmt.Errorf("identity: the other side does not speak %s", ClaimProtocol)
			}
			return nil
		},
	}
}

func (id *Identity) base() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Who reads wants whole messages: small records first would only be more calls.
		DynamicRecordSizingDisabled: true,

		Time:                 func() time.Time { return id.now() },
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.cert.Load(), nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.cert.Load(), nil },
	}
}

// verifyServer makes cfg judge the server by authority and subject. The standard
// library's own check, which includes the host name, is off; ours is in its place.
func verifyServer(cfg *tls.Config, ca *x509.Certificate, want Subject, now func() time.Time) {
	cfg.InsecureSkipVerify = true // #nosec G402 -- see above
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		peer, err := verify(cs, ca, now(), x509.ExtKeyUsageServerAuth)
		if err != nil {
			return err
		}
		if peer.App != want.App || peer.Role != want.Role || (want.Name != "" && peer.Name != want.Name) {
			return &RejectedError{Peer: peer, Want: fmt.Sprintf("%s %q of %s", want.Role, want.Name, want.App)}
		}
		return nil
	}
}

// verify judges the certificate that a peer showed and tells whose it is.
func verify(cs tls.ConnectionState, ca *x509.Certificate, now time.Time, usage x509.ExtKeyUsage) (Subject, error) {
	if len(cs.PeerCertificates) == 0 {
		return Subject{}, ErrNoPeer
	}
	leaf := cs.PeerCertificates[0]
	if leaf.IsCA {
		return Subject{}, errors.New("identity: an authority's certificate is nobody's identity")
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:       pool(ca),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return Subject{}, fmt.Errorf("identity: %w", err)
	}
	return subjectOf(leaf)
}

func pool(ca *x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca)
	return p
}
