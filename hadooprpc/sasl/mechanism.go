package sasl

import (
	"fmt"
	"strings"
)

// Method is what Hadoop calls a way to authenticate. Source: SaslRpcServer.AuthMethod.
type Method string

const (
	// Simple: the server believes the name that the client gives.
	Simple Method = "SIMPLE"
	// Token proves possession of a Hadoop token by DIGEST-MD5.
	Token Method = "TOKEN"
	// Kerberos proves a Kerberos identity by GSSAPI.
	Kerberos Method = "KERBEROS"
)

// Offer is one entry of a server's list.
type Offer struct {
	Method    Method
	Mechanism string // "DIGEST-MD5", "GSSAPI"
	Protocol  string // first half of the service's Kerberos principal, "" for tokens
	ServerID  string // second half of it, "default" for tokens
}

// Mechanism is a way to authenticate for which the client holds credentials. It must be safe for concurrent use:
// one Mechanism serves all connections of a client.
type Mechanism interface {
	// Method names the offers that this mechanism answers to, SASLName the SASL mechanism in them.
	Method() Method
	SASLName() string
	// Begin starts an exchange with the server that made the offer. It is where a server's claim about its own
	// identity is checked against what the client was told to expect. An error ends the connection attempt.
	Begin(o Offer) (Exchange, error)
}

// Exchange is one run of a mechanism, used by one goroutine.
type Exchange interface {
	// Step answers a challenge. With the last message of the server (SUCCESS) the answer must be empty.
	Step(challenge []byte) (response []byte, err error)
	// ClientFirst tells that the client opens the exchange: Step(nil) gives the first message, unless the server
	// sent a challenge with its offer.
	ClientFirst() bool
	// Done tells whether both sides have proven what they had to.
	Done() bool
	// Layer is the protection agreed on, nil for none. Valid once Done.
	Layer() Layer
}

// Layer protects messages after authentication. Wrap and Unwrap may be called by two goroutines at once, but each
// of them by one goroutine only and in the order in which messages travel.
type Layer interface {
	// Wrap appends the protected form of msg, which must not be longer than MaxWrap, to dst.
	Wrap(dst, msg []byte) ([]byte, error)
	// Unwrap returns the message inside token. The result may share memory with token.
	Unwrap(token []byte) ([]byte, error)
	// MaxWrap is the longest message in bytes that the peer takes in one piece.
	MaxWrap() int
}

// QOP is a quality of protection, in rising order of strength.
type QOP uint8

const (
	// QOPAuth: authentication only. What follows can be read and changed on its way.
	QOPAuth QOP = 1 + iota
	// QOPInt: integrity. What follows cannot be changed unnoticed.
	QOPInt
	// QOPConf: privacy. What follows cannot be read either.
	QOPConf
)

var qopNames = map[QOP]string{QOPAuth: "auth", QOPInt: "auth-int", QOPConf: "auth-conf"}

func (q QOP) String() string {
	if s, ok := qopNames[q]; ok {
		return s
	}
	return fmt.Sprintf("QOP(%d)", uint8(q))
}

// ParseProtection reads a value of hadoop.rpc.protection or dfs.data.transfer.protection and returns its weakest member, which is what a client
// must insist on: "authentication", "integrity" and "privacy", or a list of them.
func ParseProtection(s string) (QOP, error) {
	least := QOPConf
	for name := range strings.SplitSeq(s, ",") {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "authentication":
			least = QOPAuth
		case "integrity":
			least = min(least, QOPInt)
		case "privacy":
		default:
			return 0, fmt.Errorf("protection: %q is none of authentication, integrity, privacy", name)
		}
	}
	return least, nil
}

// Error tells why authentication failed on this side. Refusals by the server arrive as errors of the RPC layer.
type Error struct {
	// Reason is one sentence without a full stop.
	Reason string
	// Offered lists what the server would have accepted, where that is the matter.
	Offered []Method
	Err     error
}

func (e *Error) Error() string {
	s := "SASL: " + e.Reason
	if len(e.Offered) > 0 {
		names := make([]string, len(e.Offered))
		for i, m := range e.Offered {
			names[i] = string(m)
		}
		s += " (the server offers " + strings.Join(names, ", ") + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func failf(format string, args ...any) error { return &Error{Reason: fmt.Sprintf(format, args...)} }
