package spnego

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	krbspnego "github.com/jcmturner/gokrb5/v8/spnego"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// Headers of HTTP, and the scheme in them.
const (
	RequestHeader = "Authorization"
	AnswerHeader  = "WWW-Authenticate"
	scheme        = "Negotiate"
)

// maxToken bounds a header's token, in characters: tickets with many groups have some ten thousand.
const maxToken = 64 << 10

var kerberos = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}

// Client is the client's half of one request: Authorization, then Finish with the answer's headers. It is used by one
// goroutine, once.
type Client struct{ init *gssapi.Initiator }

// NewClient begins with a ticket for the server, such as HTTP/host, at a time that must be the server's within its tolerance.
func NewClient(cred gssapi.Credential, now time.Time) (*Client, error) {
	init, err := gssapi.NewInitiator(cred, now)
	if err != nil {
		return nil, err
	}
	return &Client{init}, nil
}

// Authorization is what RequestHeader says.
func (c *Client) Authorization() (string, error) {
	mech, err := c.init.Token()
	if err != nil {
		return "", err
	}
	m := krbspnego.SPNEGOToken{Init: true, NegTokenInit: krbspnego.NegTokenInit{MechTypes: []asn1.ObjectIdentifier{kerberos}, MechTokenBytes: mech}}
	b, err := m.Marshal()
	if err != nil {
		return "", err
	}
	return scheme + " " + base64.StdEncoding.EncodeToString(b), nil
}

// ErrNoProof is an answer in which the server does not prove who it is.
var ErrNoProof = errors.New("the server does not prove who it is")

// Finish checks that the server proves who it is, in one of the values of AnswerHeader.
func (c *Client) Finish(answers []string) error {
	for _, a := range answers {
		m, ok, err := parse(a)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNoProof, err)
		}
		if !ok {
			continue
		}
		if !m.Resp || krbspnego.NegState(m.NegTokenResp.NegState) != krbspnego.NegStateAcceptCompleted {
			return fmt.Errorf("%w: it does not say that it has accepted", ErrNoProof)
		}
		if err := c.init.Finish(m.NegTokenResp.ResponseToken); err != nil {
			return fmt.Errorf("%w: %w", ErrNoProof, err)
		}
		return nil
	}
	return ErrNoProof
}

// Accept is the server's half of one request: authorization is what RequestHeader says, and the answer is for AnswerHeader. For
// tests.
func Accept(a *gssapi.Acceptor, authorization string, now time.Time) (answer string, err error) {
	m, ok, err := parse(authorization)
	if err != nil {
		return "", err
	}
	if !ok || !m.Init {
		return "", errors.New("spnego: no negotiation begins here")
	}
	mech, err := a.Accept(m.NegTokenInit.MechTokenBytes, now)
	if err != nil {
		return "", err
	}
	r := krbspnego.SPNEGOToken{Resp: true, NegTokenResp: krbspnego.NegTokenResp{NegState: asn1.Enumerated(krbspnego.NegStateAcceptCompleted), SupportedMech: kerberos, ResponseToken: mech}}
	b, err := r.Marshal()
	if err != nil {
		return "", err
	}
	return scheme + " " + base64.StdEncoding.EncodeToString(b), nil
}

// parse reads a header's value. ok is false where there is no token of ours in it.
func parse(value string) (m krbspnego.SPNEGOToken, ok bool, err error) {
	name, text, _ := strings.Cut(strings.TrimSpace(value), " ")
	if text = strings.TrimSpace(text); !strings.EqualFold(name, scheme) || text == "" {
		return m, false, nil
	}
	if len(text) > maxToken {
		return m, false, fmt.Errorf("spnego: a token of more than %d characters", maxToken)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return m, false, fmt.Errorf("spnego: %w", err)
	}
	defer func() { // the library's decoders index what they were given without looking
		if p := recover(); p != nil {
			err = fmt.Errorf("spnego: malformed: %v", p)
		}
	}()
	if err := m.Unmarshal(b); err != nil {
		return m, false, fmt.Errorf("spnego: %w", err)
	}
	return m, true, nil
}
