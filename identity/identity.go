package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Identity is a process's private key with the certificate that says who it is
// and the authority's certificate, by which it judges others. It is safe for
// concurrent use.
type Identity struct {
	sub Subject
	key *ecdsa.PrivateKey
	ca  *x509.Certificate
	// cert always belongs to key, names sub and is signed by ca.
	cert atomic.Pointer[tls.Certificate]
	now  func() time.Time
}

func newIdentity(key *ecdsa.PrivateKey, certDER []byte, ca *x509.Certificate) (*Identity, error) {
	id := &Identity{key: key, ca: ca, now: time.Now}
	cert, sub, err := id.check(certDER)
	if err != nil {
		return nil, err
	}
	if sub.App != ca.Subject.CommonName {
		return nil, fmt.Errorf("identity: a certificate of %s signed by the authority of %s", sub.App, ca.Subject.CommonName)
	}
	id.sub = sub
	id.cert.Store(cert)
	return id, nil
}

// check tells whether certDER is a certificate for this key by this authority.
// It does not look at the clock: an identity may be read before it becomes valid
// or after it was, and the peer decides.
func (id *Identity) check(certDER []byte) (*tls.Certificate, Subject, error) {
	leaf, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, Subject{}, fmt.Errorf("identity: bad certificate: %w", err)
	}
	if !id.key.PublicKey.Equal(leaf.PublicKey) {
		return nil, Subject{}, errors.New("identity: the certificate is for another key")
	}
	if err := leaf.CheckSignatureFrom(id.ca); err != nil {
		return nil, Subject{}, fmt.Errorf("identity: the certificate is not by this authority: %w", err)
	}
	sub, err := subjectOf(leaf)
	if err != nil {
		return nil, Subject{}, err
	}
	return &tls.Certificate{Certificate: [][]byte{certDER}, PrivateKey: id.key, Leaf: leaf}, sub, nil
}

// Subject tells who this is.
func (id *Identity) Subject() Subject { return id.sub }

// CA returns the authority's certificate. The caller must not change it.
func (id *Identity) CA() *x509.Certificate { return id.ca }

// NotAfter tells when the present certificate ends.
func (id *Identity) NotAfter() time.Time { return id.cert.Load().Leaf.NotAfter }

// RenewAt tells when to ask for the next certificate: after two thirds of the
// present one's life, which leaves days for an application master that is down.
func (id *Identity) RenewAt() time.Time {
	leaf := id.cert.Load().Leaf
	made := leaf.NotBefore.Add(Backdate)
	return made.Add(leaf.NotAfter.Sub(made) * 2 / 3)
}

// CSR returns a signing request (DER) for this identity's key.
func (id *Identity) CSR() ([]byte, error) { return newCSR(id.key) }

// Renew installs a new certificate (DER) for the same key and subject.
// Configurations handed out before use it from their next handshake on.
func (id *Identity) Renew(certDER []byte) error {
	cert, sub, err := id.check(certDER)
	if err != nil {
		return err
	}
	if sub != id.sub {
		return fmt.Errorf("identity: the new certificate is for %s, not %s", sub, id.sub)
	}
	id.cert.Store(cert)
	return nil
}

// String hides the key.
func (id *Identity) String() string { return id.sub.String() }

// LogValue hides the key from log/slog.
func (id *Identity) LogValue() slog.Value { return slog.StringValue(id.sub.String()) }

const (
	pemKey         = "PRIVATE KEY"
	pemCertificate = "CERTIFICATE"
	maxPEM         = 64 << 10
)

// PEM returns the whole identity as three blocks: the private key (PKCS #8), its
// certificate, the authority's certificate. It is a secret, for owner-only files.
func (id *Identity) PEM() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	var out bytes.Buffer
	for _, b := range []pem.Block{
		{Type: pemKey, Bytes: key},
		{Type: pemCertificate, Bytes: id.cert.Load().Certificate[0]},
		{Type: pemCertificate, Bytes: id.ca.Raw},
	} {
		if err := pem.Encode(&out, &b); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
	}
	return out.Bytes(), nil
}

// ParsePEM reads what Identity.PEM wrote and checks that the three parts belong
// together.
func ParsePEM(text []byte) (*Identity, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("identity: a credential of %d bytes is too long (at most %d)", len(text), maxPEM)
	}
	var blocks [3][]byte
	for i, kind := range []string{pemKey, pemCertificate, pemCertificate} {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != kind {
			return nil, fmt.Errorf("identity: a credential's part %d of 3 must be a %s", i+1, kind)
		}
		blocks[i], text = block.Bytes, rest
	}
	parsed, err := x509.ParsePKCS8PrivateKey(blocks[0])
	if err != nil {
		return nil, errors.New("identity: the credential's private key cannot be read")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("identity: the credential's private key is not P-256")
	}
	ca, err := x509.ParseCertificate(blocks[2])
	if err != nil {
		return nil, fmt.Errorf("identity: bad authority certificate: %w", err)
	}
	return newIdentity(key, blocks[1], ca)
}

// ParseCA reads an authority's certificate from PEM (see CA.PEM).
func ParseCA(text []byte) (*x509.Certificate, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("identity: an authority certificate of %d bytes is too long (at most %d)", len(text), maxPEM)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemCertificate {
		return nil, errors.New("identity: no authority certificate in this text")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("identity: bad authority certificate: %w", err)
	}
	if !ca.IsCA {
		return nil, errors.New("identity: this certificate is no authority's")
	}
	return ca, nil
}

// Request is a key that waits for its certificate.
type Request struct {
	key *ecdsa.PrivateKey
	csr []byte
}

// NewRequest makes a key and the signing request for it. The key stays inside.
func NewRequest() (*Request, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	csr, err := newCSR(key)
	if err != nil {
		return nil, err
	}
	return &Request{key: key, csr: csr}, nil
}

// CSR returns the signing request (DER), which is no secret.
func (r *Request) CSR() []byte { return r.csr }

// String hides the key.
func (r *Request) String() string { return "signing request" }

// Identity joins the certificate (DER) that answered the request with its key.
// The certificate must be by the given authority.
func (r *Request) Identity(certDER []byte, ca *x509.Certificate) (*Identity, error) {
	return newIdentity(r.key, certDER, ca)
}

func newCSR(key *ecdsa.PrivateKey) ([]byte, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("identity: make a signing request: %w", err)
	}
	return csr, nil
}
