package nodelog

import (
	"crypto/x509"
	"errors"
)

// Reason is why a server does not let us read, or is not one that we believe.
type Reason string

// Reasons.
const (
	NoTicket Reason = "it shows logs to nobody without a Kerberos ticket"
	NotTaken Reason = "it does not take our ticket"
	NotShown Reason = "it does not show us this log"
	NoProof  Reason = "it wants a proof of who we are, and takes no Kerberos ticket for one"
	Unproven Reason = "it does not prove who it is"
	BadCert  Reason = "its certificate is not to be trusted"
)

// RefusedError tells that a NodeManager's web server does not let us read, or that we do not believe it: somebody else may be let,
// or know it.
type RefusedError struct {
	Node   string // its web server, host:port
	Reason Reason
	Err    error // may be nil
}

func (e *RefusedError) Error() string {
	s := "the web server " + e.Node + ": " + string(e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Cure is what a person can do.
func (e *RefusedError) Cure() string {
	switch e.Reason {
	case NoTicket:
		return "Run kinit, or give --principal and --keytab; who acts for another (--proxy-user) can read logs when the application has ended"
	case NotTaken:
		return "Ask the cluster's administrator whether the node has a key for HTTP/ and its host's name, and the right time"
	case NotShown:
		return "The owner names who may look when he submits: --view-acl"
	case NoProof:
		return "Read logs in YARN's pages, or when the application has ended"
	case BadCert:
		if errors.As(e.Err, new(x509.UnknownAuthorityError)) {
			return "Add its authority to the system's, or name its file by SSL_CERT_FILE: the truststore of ssl-client.xml is Java's own, and is not read"
		}
	}
	return "Show this to the cluster's administrator: somebody may stand in the way"
}
