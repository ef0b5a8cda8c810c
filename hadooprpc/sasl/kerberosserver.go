package sasl

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// KerberosServer is the server's half of one GSSAPI exchange: Step with each of the client's tokens. It is used by one
// goroutine.
type KerberosServer struct {
	// Acceptor holds the service's key.
	Acceptor *gssapi.Acceptor
	// QOPs are the protections to offer, none for auth alone.
	QOPs []QOP

	step    int
	qop     QOP
	peerMax int
	done    bool
}

// Step answers a token. The last answer is empty, and says that the client has proven itself.
func (x *KerberosServer) Step(token []byte) ([]byte, error) {
	x.step++
	switch x.step {
	case 1:
		out, err := x.Acceptor.Accept(token, time.Now())
		if err != nil {
			return nil, &Error{Reason: "Kerberos", Err: err}
		}
		return out, nil
	case 2:
		if len(token) > 0 {
			return nil, failf("Kerberos: %d bytes where nothing is due", len(token))
		}
		return x.offer()
	case 3:
		return nil, x.accept(token)
	}
	return nil, failf("Kerberos: the exchange is complete")
}

func (x *KerberosServer) offer() ([]byte, error) {
	if len(x.QOPs) == 0 {
		x.QOPs = []QOP{QOPAuth}
	}
	var bits byte
	for _, q := range x.QOPs {
		bits |= qopBits[q]
	}
	mine := 0
	if bits != qopBits[QOPAuth] {
		mine = defaultMaxBuf
	}
	return x.Acceptor.Messages().Wrap(nil, protections(bits, mine), false)
}

func (x *KerberosServer) accept(token []byte) error {
	m := x.Acceptor.Messages()
	bits, peerMax, err := readProtections(m, token)
	if err != nil {
		return err
	}
	for _, q := range x.QOPs {
		if bits == qopBits[q] {
			x.qop = q
		}
	}
	if x.qop == 0 {
		return failf("Kerberos: protection %#x was not offered", bits)
	}
	if x.qop > QOPAuth && peerMax <= m.Overhead() {
		return failf("Kerberos: the client takes no more than %d bytes at once", peerMax)
	}
	x.peerMax, x.done = peerMax, true
	return nil
}

// Done tells whether the client has proven itself.
func (x *KerberosServer) Done() bool { return x.done }

// Client is who it is, as "alice@EXAMPLE.COM". Valid once Done.
func (x *KerberosServer) Client() string {
	name, realm := x.Acceptor.Client()
	return name.PrincipalNameString() + "@" + realm
}

// Layer is the protection agreed on, nil for none. Valid once Done.
func (x *KerberosServer) Layer() Layer { return newGSSLayer(x.Acceptor.Messages(), x.qop, x.peerMax) }
