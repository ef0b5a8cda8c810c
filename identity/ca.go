package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"
)

// How long certificates live.
const (
	// Backdate is how far before its making a certificate becomes valid, so that
	// a node whose clock is behind (a wrong time zone makes 14 hours) can still
	// take part. The application's own life bounds what this could be abused for.
	Backdate = 24 * time.Hour

	// DefaultTTL is the life of a certificate when none is asked for. Processes
	// renew theirs well before its end.
	DefaultTTL = 30 * 24 * time.Hour

	// MaxTTL bounds the life of any certificate. Client credentials, which
	// nothing renews, are given all of it: the application's end is their end.
	MaxTTL = 10 * 365 * 24 * time.Hour
)

// The authority's own certificate always says the same, so that every process
// that derives it gets the same bytes.
var (
	caNotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	caNotAfter  = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CA is an application's certificate authority. It is safe for concurrent use.
type CA struct {
	app  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	now  func() time.Time
}

// NewCA derives the authority of an application from its seed. The same seed and
// application give the same authority, to the last byte of its certificate.
func NewCA(seed Seed, app string) (*CA, error) {
	if seed.IsZero() {
		return nil, errors.New("identity: the seed is empty")
	}
	if err := checkApp(app); err != nil {
		return nil, err
	}
	key, err := deriveKey(seed, app)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	sum := sha256.Sum256(spki)
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: app},
		NotBefore:             caNotBefore,
		NotAfter:              caNotAfter,
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // it signs processes, never other authorities
		SubjectKeyId:          sum[:20],
		SignatureAlgorithm:    x509.ECDSAWithSHA256,
	}
	// No source of randomness: the signature is deterministic (RFC 6979).
	der, err := x509.CreateCertificate(nil, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("identity: make the authority's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("identity: make the authority's certificate: %w", err)
	}
	return &CA{app: app, key: key, cert: cert, now: time.Now}, nil
}

// deriveKey stretches the seed into a P-256 scalar. One 32-byte string in 2^32 is
// no scalar (zero, or not below the group's order); then the next one is taken.
func deriveKey(seed Seed, app string) (*ecdsa.PrivateKey, error) {
	for i := range 256 {
		info := fmt.Sprintf("yarnd CA key P-256\x00%s\x00%d", app, i)
		raw, err := hkdf.Key(sha256.New, seed[:], nil, info, 32)
		if err != nil {
			return nil, fmt.Errorf("identity: derive the authority's key: %w", err)
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("identity: no key can be derived from this seed")
}

// App returns the application whose authority this is.
func (ca *CA) App() string { return ca.app }

// Certificate returns the authority's own certificate. It is no secret. The
// caller must not change it.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// PEM returns the authority's own certificate, without any key, as PEM.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: ca.cert.Raw})
}

// LogValue keeps the key out of logs.
func (ca *CA) LogValue() slog.Value { return slog.StringValue("CA of " + ca.app) }

// Issue signs a certificate (DER) that lets the holder of pub's private key be
// sub for the next ttl; 0 means DefaultTTL and MaxTTL is the most. The subject
// must belong to the authority's application.
func (ca *CA) Issue(sub Subject, pub crypto.PublicKey, ttl time.Duration) ([]byte, error) {
	if err := sub.Validate(); err != nil {
		return nil, err
	}
	if sub.App != ca.app {
		return nil, fmt.Errorf("identity: the authority of %s does not sign for %s", ca.app, sub.App)
	}
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < 0 || ttl > MaxTTL {
		return nil, fmt.Errorf("identity: a certificate lives between 1ns and %v, not %v", MaxTTL, ttl)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	now := ca.now()
	uri := sub.uri()
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: string(sub.Role)}, // for people only
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(ttl),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	tmpl.URIs = append(tmpl.URIs, uri)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, pub, ca.key)
	if err != nil {
		return nil, fmt.Errorf("identity: sign a certificate for %s: %w", sub, err)
	}
	return der, nil
}

// Sign answers a certificate signing request (DER) with a certificate (DER) for
// sub. Of the request only the public key is believed, after its signature has
// shown that the sender holds the private one: the subject is the caller's to
// decide. Keys are P-256 only.
func (ca *CA) Sign(csr []byte, sub Subject, ttl time.Duration) ([]byte, error) {
	pub, err := RequestKey(csr)
	if err != nil {
		return nil, err
	}
	return ca.Issue(sub, pub, ttl)
}

// maxCSR is more than any request for a P-256 key without extensions needs.
const maxCSR = 4 << 10

// RequestKey verifies a certificate signing request (DER) and returns its public key.
func RequestKey(csr []byte) (*ecdsa.PublicKey, error) {
	if len(csr) > maxCSR {
		return nil, fmt.Errorf("identity: a signing request of %d bytes is too long (at most %d)", len(csr), maxCSR)
	}
	req, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("identity: bad signing request: %w", err)
	}
	pub, ok := req.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, errors.New("identity: bad signing request: the key is not P-256")
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("identity: bad signing request: %w", err)
	}
	return pub, nil
}

// NewIdentity makes a key and its certificate in one go, for a process that holds
// the authority (the application master) or on whose behalf it is made (the
// client that submits).
func (ca *CA) NewIdentity(sub Subject, ttl time.Duration) (*Identity, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := ca.Issue(sub, key.Public(), ttl)
	if err != nil {
		return nil, err
	}
	return newIdentity(key, der, ca.cert)
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("identity: make a key: %w", err)
	}
	return key, nil
}
