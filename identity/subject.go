package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Role is what a process does in its application, and thereby what it may ask
// of others.
type Role string

// The roles. No other is ever signed or accepted.
const (
	AppMaster Role = "am"        // negotiates containers and signs certificates
	Scheduler Role = "scheduler" // keeps jobs and gives tasks to workers
	Worker    Role = "worker"    // runs tasks and serves their results
	Client    Role = "client"    // the owner's program, or that of one who may submit work
	Operator  Role = "operator"  // a person's program that looks, and scales or ends the application
	Viewer    Role = "viewer"    // a person's program that looks
)

func (r Role) valid() bool {
	switch r {
	case AppMaster, Scheduler, Worker, Client, Operator, Viewer:
		return true
	}
	return false
}

// Subject is who a process is. It is comparable.
type Subject struct {
	App  string // application id, such as application_1700000000000_0001
	Role Role
	Name string // container id; for a client, an operator and a viewer the user's name; for the application master see MasterName
}

// Limits of a subject's parts, in bytes.
const (
	maxApp  = 128
	maxName = 256
)

const scheme = "yarnd"

// String returns the URI that stands in the certificate:
// yarnd://<app>/<role>/<name>.
func (s Subject) String() string { return s.uri().String() }

func (s Subject) uri() *url.URL {
	return &url.URL{
		Scheme:  scheme,
		Host:    s.App,
		Path:    "/" + string(s.Role) + "/" + s.Name,
		RawPath: "/" + string(s.Role) + "/" + url.PathEscape(s.Name),
	}
}

// MasterName is an application master's name in its certificate: its attempt, by which
// one can tell which of two is the later, and its container.
func MasterName(attempt int, container string) string {
	return strconv.Itoa(attempt) + ":" + container
}

// Attempt returns the attempt in an application master's name, 0 when there is none.
func (s Subject) Attempt() int {
	number, _, ok := strings.Cut(s.Name, ":")
	n, err := strconv.Atoi(number)
	if s.Role != AppMaster || !ok || err != nil || n < 0 {
		return 0
	}
	return n
}

// Validate tells what is wrong with the subject, if anything.
func (s Subject) Validate() error {
	if err := checkApp(s.App); err != nil {
		return err
	}
	if !s.Role.valid() {
		return fmt.Errorf("identity: there is no role %q", s.Role)
	}
	if s.Name == "" || len(s.Name) > maxName || !utf8.ValidString(s.Name) || strings.ContainsFunc(s.Name, unicode.IsControl) {
		return fmt.Errorf("identity: %q cannot be the name of a %s (1 to %d bytes of text)", s.Name, s.Role, maxName)
	}
	return nil
}

// checkApp allows what application ids are made of. The id stands where a URI has
// its host, hence no other characters.
func checkApp(app string) error {
	ok := app != "" && len(app) <= maxApp && !strings.ContainsFunc(app, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if !ok {
		return fmt.Errorf("identity: %q is no application id", app)
	}
	return nil
}

// subjectOf reads the subject that a certificate names. The certificate must name
// exactly one, spelled exactly as we spell it, so that no two spellings can be
// told apart by one reader and not by another.
func subjectOf(cert *x509.Certificate) (Subject, error) {
	if len(cert.URIs) != 1 {
		return Subject{}, fmt.Errorf("identity: a certificate names one subject, this one names %d", len(cert.URIs))
	}
	u := cert.URIs[0]
	role, rest, ok := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	name, err := url.PathUnescape(rest)
	if u.Scheme != scheme || !ok || err != nil {
		return Subject{}, fmt.Errorf("identity: %q names no subject", u)
	}
	s := Subject{App: u.Host, Role: Role(role), Name: name}
	if err := s.Validate(); err != nil {
		return Subject{}, err
	}
	if s.String() != u.String() {
		return Subject{}, fmt.Errorf("identity: %q is not how %q is written", u, s)
	}
	return s, nil
}

// ErrNoPeer tells that a connection has no authenticated peer.
var ErrNoPeer = errors.New("identity: the peer showed no certificate")

// Peer tells who is at the other end of a connection whose handshake was made
// with a configuration from Identity.Server, Identity.Client or JoinClient. (On
// a connection made otherwise nobody has verified what Peer reads.)
func Peer(cs tls.ConnectionState) (Subject, error) {
	if !cs.HandshakeComplete || len(cs.PeerCertificates) == 0 {
		return Subject{}, ErrNoPeer
	}
	return subjectOf(cs.PeerCertificates[0])
}
