package sasl

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// Client is the client's half of one exchange of RpcSasl messages, as a state machine without I/O:
//
//	start ──Start──► negotiating ──NEGOTIATE──► exchanging ──SUCCESS──► done
//	                     │   │                   │      ▲
//	                     │   └── SUCCESS, or     └──────┘ CHALLENGE
//	                     │       SIMPLE picked ──► done
//	                     └── anything else, or an error ──► failed
//
// It is used by one goroutine.
type Client struct {
	mechanisms []Mechanism
	secure     bool
	ticketless error // why Kerberos was passed over

	state    state
	chosen   Method
	exchange Exchange // nil until a mechanism was chosen
}

type state uint8

const (
	start       state = iota // nothing said yet
	negotiating              // NEGOTIATE sent, the server's list awaited
	exchanging               // INITIATE sent, challenges or SUCCESS awaited
	done                     // authenticated, or agreed that SIMPLE will do
	failed                   // over
)

// NewClient returns a machine that picks the first of the mechanisms that the server offers; where that is Kerberos and
// there is no ticket, the next. A client that is not secure agrees to SIMPLE where the server names that before them. A
// secure one never does.
func NewClient(mechanisms []Mechanism, secure bool) *Client {
	return &Client{mechanisms: mechanisms, secure: secure}
}

// Start returns the first message to send.
func (c *Client) Start() *pb.RpcSasl {
	if c.state != start {
		panic("sasl: Start called twice")
	}
	c.state = negotiating
	return &pb.RpcSasl{State: pb.RpcSasl_NEGOTIATE.Enum()}
}

// Step takes the server's next message. It returns the message to send, if any, and whether the exchange is over
// (after that message was sent).
func (c *Client) Step(in *pb.RpcSasl) (out *pb.RpcSasl, over bool, err error) {
	out, err = c.step(in)
	if err != nil {
		c.state = failed
		err = c.Explain(err)
	}
	return out, c.state == done, err
}

func (c *Client) step(in *pb.RpcSasl) (*pb.RpcSasl, error) {
	switch {
	case c.state == negotiating && in.GetState() == pb.RpcSasl_NEGOTIATE:
		return c.pick(in.GetAuths())

	case c.state == negotiating && in.GetState() == pb.RpcSasl_SUCCESS:
		// The server has no security and says so before anybody proved anything.
		if c.secure {
			return nil, &Error{Reason: "the server asks to go on without authentication, but this client is configured to be secure"}
		}
		c.chosen, c.state = Simple, done
		return nil, nil

	case c.state == exchanging && in.GetState() == pb.RpcSasl_CHALLENGE:
		if c.exchange.Done() {
			return nil, failf("%s: the server goes on after the exchange is complete", c.chosen)
		}
		resp, err := c.exchange.Step(in.GetToken())
		if err != nil {
			return nil, err
		}
		return reply(pb.RpcSasl_RESPONSE, resp), nil

	case c.state == exchanging && in.GetState() == pb.RpcSasl_SUCCESS:
		return nil, c.finish(in)
	}
	return nil, failf("unexpected message %s from the server", in.GetState())
}

// pick chooses among the server's offers.
func (c *Client) pick(auths []*pb.RpcSasl_SaslAuth) (*pb.RpcSasl, error) {
	var offered []Method
	known := false
	for _, a := range auths {
		method := Method(a.GetMethod())
		offered = append(offered, method)
		known = known || slices.ContainsFunc(c.mechanisms, func(m Mechanism) bool { return answers(m, a) })
		if method == Simple && a.GetMechanism() == "" && !c.secure && !known {
			// No answer follows; the connection context comes next.
			c.chosen, c.state = Simple, done
			return initiate(a, []byte{}), nil
		}
	}
	for _, m := range c.mechanisms {
		for _, a := range auths {
			if !answers(m, a) {
				continue
			}
			out, err := c.begin(m, a)
			if _, none := errors.AsType[*NoTicketError](err); none {
				c.ticketless = err
				break
			}
			return out, err
		}
	}
	if c.ticketless != nil {
		return nil, c.ticketless
	}
	return nil, &Error{Reason: "no way to authenticate that both sides know", Offered: offered}
}

// answers tells whether a mechanism is one that was offered.
func answers(m Mechanism, a *pb.RpcSasl_SaslAuth) bool {
	return string(m.Method()) == a.GetMethod() && m.SASLName() == a.GetMechanism()
}

func (c *Client) begin(m Mechanism, a *pb.RpcSasl_SaslAuth) (*pb.RpcSasl, error) {
	x, err := m.Begin(Offer{
		Method: m.Method(), Mechanism: a.GetMechanism(), Protocol: a.GetProtocol(), ServerID: a.GetServerId(),
	})
	if err != nil {
		return nil, err
	}
	first := []byte{}
	if a.Challenge != nil || x.ClientFirst() {
		if first, err = x.Step(a.GetChallenge()); err != nil {
			return nil, err
		}
	}
	c.chosen, c.exchange, c.state = m.Method(), x, exchanging
	return initiate(a, first), nil
}

func (c *Client) finish(in *pb.RpcSasl) error {
	if !c.exchange.Done() {
		resp, err := c.exchange.Step(in.GetToken())
		if err != nil {
			return err
		}
		if len(resp) > 0 {
			return failf("%s: the server declared success while an answer was due", c.chosen)
		}
	} else if len(in.GetToken()) > 0 {
		return failf("%s: unexpected data with the server's success", c.chosen)
	}
	if !c.exchange.Done() {
		return failf("%s: the server declared success without proving itself", c.chosen)
	}
	c.state = done
	return nil
}

// Explain adds to an error of the exchange, or of the server's, why there was no ticket, where it was for want of one that a
// token was shown. What err is stays; why there was no ticket is in words alone, and in Passing.
func (c *Client) Explain(err error) error {
	if err == nil || c.ticketless == nil || errors.Is(err, c.ticketless) {
		return err
	}
	return &tokenError{err, c.ticketless}
}

// Refused is for an error of the server's in the place of its next message. It tells whether it was a ticket that the server
// did not take, and whether the same may go well with another, as that one had been kept, and is forgotten now.
func (c *Client) Refused() (ticket, again bool) {
	if x, ok := c.exchange.(*gssClient); ok && c.state == exchanging {
		return x.refused()
	}
	return false, false
}

// tokenError is what became of a token that was shown for want of a ticket.
type tokenError struct{ err, ticketless error }

func (e *tokenError) Error() string {
	return fmt.Sprintf("%v (by a token, for want of a ticket: %v)", e.err, e.ticketless)
}
func (e *tokenError) Unwrap() error { return e.err }

// Passing tells of an error of authentication that the same may go well a little later all the same, by a ticket: no KDC has
// answered for now.
func Passing(err error) bool {
	e, ok := errors.AsType[*tokenError](err)
	if !ok {
		return false
	}
	t, ok := errors.AsType[temporary](e.ticketless)
	return ok && t.Temporary()
}

// Method is the way of authentication that was agreed on. Valid once the exchange is over.
func (c *Client) Method() Method { return c.chosen }

// Layer is the protection that was agreed on, nil for none. Valid once the exchange is over.
func (c *Client) Layer() Layer {
	if c.state != done || c.exchange == nil {
		return nil
	}
	return c.exchange.Layer()
}

// initiate echoes the chosen offer. The server looks it up in its own list by equality, so all fields go back as
// they came, apart from the challenge, which is not part of that list.
func initiate(a *pb.RpcSasl_SaslAuth, token []byte) *pb.RpcSasl {
	a = proto.CloneOf(a)
	a.Challenge = nil
	m := reply(pb.RpcSasl_INITIATE, token)
	m.Auths = []*pb.RpcSasl_SaslAuth{a}
	return m
}

// reply makes a message whose token is there even when it is empty: the server refuses a missing one.
func reply(s pb.RpcSasl_SaslState, token []byte) *pb.RpcSasl {
	if token == nil {
		token = []byte{}
	}
	return &pb.RpcSasl{State: s.Enum(), Token: token}
}
