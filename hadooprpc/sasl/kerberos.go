package sasl

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// GSSAPI is the SASL name of Kerberos.
const GSSAPI = "GSSAPI"

// TicketSource gives tickets for services. It must be safe for concurrent use.
type TicketSource interface {
	// ServiceTicket returns a ticket for a service, such as "nn/host.example.com@EXAMPLE.COM"; without a realm the
	// source knows it by the host. An error that has a method Temporary which says so is worth another try; all others
	// are final.
	ServiceTicket(ctx context.Context, service string) (gssapi.Credential, error)
}

// Forgetter is a TicketSource that keeps tickets.
type Forgetter interface {
	// Forget drops a ticket for a service that its server has not taken: the server has had another key since that was
	// got, it may be, and the next that is asked for is a new one. It tells whether the ticket was kept.
	Forget(service string, refused gssapi.Credential) bool
}

// KerberosMechanism authenticates by tickets: GSSAPI as in RFC 4752. It is safe for concurrent use.
type KerberosMechanism struct {
	Tickets TicketSource
	// Service is who servers must be.
	Service Service
	// MinQOP is the weakest protection to accept; 0 accepts all. The strongest that the server offers is taken.
	MinQOP QOP
	// Patience is how long a ticket is waited for at the most, so that time is left to do without one. 0: as long as the
	// connection attempt may take.
	Patience time.Duration
}

// To is the mechanism for one connection to host, the name by which the server is known in the configuration. Tickets
// are waited for until ctx ends.
func (k *KerberosMechanism) To(ctx context.Context, host string) Mechanism {
	return &kerberosTo{k: k, ctx: ctx, host: host}
}

type kerberosTo struct {
	k    *KerberosMechanism
	ctx  context.Context // of the connection attempt
	host string
}

func (m *kerberosTo) Method() Method   { return Kerberos }
func (m *kerberosTo) SASLName() string { return GSSAPI }

// Begin checks who the server says it is, and gets a ticket for that.
func (m *kerberosTo) Begin(o Offer) (Exchange, error) {
	name, err := m.k.Service.verify(o, m.host)
	if err != nil {
		return nil, err
	}
	ctx := m.ctx
	if m.k.Patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.k.Patience)
		defer cancel()
	}
	cred, err := m.k.Tickets.ServiceTicket(ctx, name)
	if err != nil {
		if passing, ok := errors.AsType[temporary](err); !ok || !passing.Temporary() { // otherwise worth another try, and so no refusal
			err = &Error{Reason: "no ticket for " + name, Err: err}
		}
		return nil, &NoTicketError{err}
	}
	init, err := gssapi.NewInitiator(cred, time.Now())
	if err != nil {
		return nil, &Error{Reason: "Kerberos", Err: err}
	}
	x := &gssClient{init: init, minQOP: max(m.k.MinQOP, QOPAuth)}
	if f, ok := m.k.Tickets.(Forgetter); ok {
		x.forget = func() bool { return f.Forget(name, cred) }
	}
	return x, nil
}

// temporary is an error that may say that the same may go well a little later.
type temporary interface {
	error
	Temporary() bool
}

// NoTicketError tells that no ticket could be got; nothing has been said to the server. A client that has a token, too,
// shows that.
type NoTicketError struct{ Err error }

func (e *NoTicketError) Error() string { return e.Err.Error() }
func (e *NoTicketError) Unwrap() error { return e.Err }

// gssClient is the client's half of one exchange:
//
//	→ AP-REQ   ← AP-REP   → (empty)   ← protections offered, wrapped   → protection chosen, wrapped
type gssClient struct {
	init   *gssapi.Initiator
	minQOP QOP
	forget func() bool // see Forgetter; nil where tickets are not kept

	step    int
	qop     QOP
	peerMax int
	done    bool
}

func (x *gssClient) ClientFirst() bool { return true }
func (x *gssClient) Done() bool        { return x.done }

func (x *gssClient) Step(challenge []byte) (out []byte, err error) {
	x.step++
	switch x.step {
	case 1:
		if len(challenge) > 0 {
			return nil, failf("Kerberos: the server speaks before the client")
		}
		out, err = x.init.Token()
	case 2:
		err = x.init.Finish(challenge)
	case 3:
		return x.choose(challenge)
	default:
		return nil, failf("Kerberos: the server goes on after the exchange is complete")
	}
	if err != nil {
		return nil, &Error{Reason: "Kerberos", Err: err}
	}
	return out, nil
}

// refused is for a server that has ended the exchange. It tells whether that was over the ticket, and whether another may do:
// that one had been kept, and is forgotten now.
func (x *gssClient) refused() (ticket, again bool) {
	if x.step != 1 { // the server has taken it
		return false, false
	}
	return true, x.forget != nil && x.forget()
}

// The last two messages (RFC 4752 section 3.1): which protections there are, one bit each, or which was chosen; then
// how long a token its sender takes, in three bytes.
var qopBits = map[QOP]byte{QOPAuth: 1, QOPInt: 2, QOPConf: 4}

func protections(bits byte, max int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(max))
	b[0] = bits
	return b
}

// readProtections is the reverse of protections. The client's may be followed by a name for which it acts, which
// Hadoop does not use.
func readProtections(m *gssapi.Messages, token []byte) (bits byte, max int, err error) {
	msg, sealed, err := m.Unwrap(token)
	if err != nil {
		return 0, 0, &Error{Reason: "Kerberos", Err: err}
	}
	if sealed || len(msg) != 4 {
		return 0, 0, failf("Kerberos: %d bytes where the offer of protections is due", len(msg))
	}
	bits = msg[0]
	msg[0] = 0
	return bits, int(binary.BigEndian.Uint32(msg)), nil
}

// choose takes the strongest protection that the server offers.
func (x *gssClient) choose(token []byte) ([]byte, error) {
	m := x.init.Messages()
	bits, peerMax, err := readProtections(m, token)
	if err != nil {
		return nil, err
	}
	for q, bit := range qopBits {
		if bits&bit != 0 {
			x.qop = max(x.qop, q)
		}
	}
	if x.qop == 0 {
		return nil, failf("Kerberos: the server offers no known protection (%#x)", bits)
	}
	if x.qop < x.minQOP {
		return nil, failf("the server offers protection %s at best, this client is configured to insist on %s", x.qop, x.minQOP)
	}
	mine := 0
	if x.qop > QOPAuth {
		if mine = defaultMaxBuf; peerMax <= m.Overhead() {
			return nil, failf("Kerberos: the server takes no more than %d bytes at once", peerMax)
		}
	}
	x.peerMax, x.done = peerMax, true
	return m.Wrap(nil, protections(qopBits[x.qop], mine), false)
}

func (x *gssClient) Layer() Layer { return newGSSLayer(x.init.Messages(), x.qop, x.peerMax) }

// gssLayer protects messages by wrap tokens.
type gssLayer struct {
	m      *gssapi.Messages
	sealed bool
	max    int
}

func newGSSLayer(m *gssapi.Messages, q QOP, peerMax int) Layer {
	if q == QOPAuth {
		return nil
	}
	return &gssLayer{m: m, sealed: q == QOPConf, max: peerMax - m.Overhead()}
}

func (l *gssLayer) MaxWrap() int { return l.max }

func (l *gssLayer) Wrap(dst, msg []byte) ([]byte, error) {
	if len(msg) > l.max {
		return dst, failf("a piece of %d bytes is longer than the %d the peer takes", len(msg), l.max)
	}
	return l.m.Wrap(dst, msg, l.sealed)
}

func (l *gssLayer) Unwrap(token []byte) ([]byte, error) {
	msg, sealed, err := l.m.Unwrap(token)
	if err != nil {
		return nil, &Error{Reason: "Kerberos", Err: err}
	}
	if l.sealed && !sealed {
		return nil, failf("a message in clear on a connection that was agreed to be private")
	}
	return msg, nil
}
