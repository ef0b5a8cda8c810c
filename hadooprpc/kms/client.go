package kms

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/spnego"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

const (
	defaultTimeout = 20 * time.Second
	// dialTimeout is how long one server may take to take a connection where there are others.
	dialTimeout = 3 * time.Second
	maxAnswer   = 1 << 20 // bytes
	maxHeader   = 256 << 10
)

// Options say how to reach a KMS.
type Options struct {
	// Tickets are ours; nil: there are none.
	Tickets sasl.TicketSource
	// DoAs is for whom the tokens are: their owner's short name. "": for who the tickets are of.
	DoAs string
	// Timeout bounds each request, to all servers together; 20 s when zero.
	Timeout time.Duration
	// Dial makes all connections; nil is a plain TCP dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Roots vouch for servers' certificates. nil: those of the system.
	Roots *x509.CertPool
}

// As are the options of who acts with somebody's tickets, for whom he acts.
func As(who *login.Identity) Options {
	o := Options{Tickets: who.Tickets()}
	if who.Proxied() {
		o.DoAs = who.User()
	}
	return o
}

// Client gets tokens of a KMS. It keeps no connections, and is safe for concurrent use. Errors are *Error, or the context's.
type Client struct {
	provider Provider
	tickets  sasl.TicketSource
	doAs     string
	timeout  time.Duration
	http     *http.Client
	last     atomic.Int32 // index of the server that answered last
}

// New is the client of a KMS. It asks nobody yet.
func New(p Provider, o Options) *Client {
	c := &Client{provider: p, tickets: o.Tickets, doAs: o.DoAs, timeout: cmp.Or(o.Timeout, defaultTimeout)}
	dial := o.Dial
	if d := (&net.Dialer{}); dial == nil {
		if len(p.Servers) > 1 {
			d.Timeout = dialTimeout
		}
		dial = d.DialContext
	}
	c.http = &http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader,
			TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // nobody else gets our proof
	}
	return c
}

// operation is what is asked of a KMS. Source: DelegationTokenAuthenticator.DelegationTokenOperation.
type operation struct {
	name, method string
	proven       bool // by a ticket
}

var (
	get    = operation{"GETDELEGATIONTOKEN", http.MethodGet, true}
	renew  = operation{"RENEWDELEGATIONTOKEN", http.MethodPut, true}
	cancel = operation{"CANCELDELEGATIONTOKEN", http.MethodPut, false}
)

// DelegationToken is a new token. The renewer, a principal or short name, can make it last longer; "" is nobody.
func (c *Client) DelegationToken(ctx context.Context, renewer string) (token.Token, error) {
	var answer struct {
		Token struct {
			URLString string `json:"urlString"`
		}
	}
	server, err := c.ask(ctx, get, url.Values{"renewer": {renewer}}, &answer)
	if err != nil {
		return token.Token{}, err
	}
	t, err := token.FromURLString(answer.Token.URLString)
	if err == nil && (len(t.Identifier) == 0 || len(t.Password) == 0) {
		err = errors.New("it is empty")
	}
	if err != nil {
		return token.Token{}, &Error{Malformed, server, "it answers with no token", askKMS, err}
	}
	t.Kind, t.Service = cmp.Or(t.Kind, token.KindKMS), c.provider.Service // which a KMS leaves to the client
	return t, nil
}

// RenewToken makes a token last longer, for its renewer, and tells until when.
func (c *Client) RenewToken(ctx context.Context, t token.Token) (time.Time, error) {
	var answer struct {
		Until int64 `json:"long"`
	}
	server, err := c.ask(ctx, renew, url.Values{"token": {t.URLString()}}, &answer)
	if err != nil {
		return time.Time{}, err
	}
	if answer.Until <= 0 {
		return time.Time{}, &Error{Malformed, server, "it does not say until when the token is good", askKMS, nil}
	}
	return time.UnixMilli(answer.Until), nil
}

// CancelToken ends a token.
func (c *Client) CancelToken(ctx context.Context, t token.Token) error {
	_, err := c.ask(ctx, cancel, url.Values{"token": {t.URLString()}}, nil)
	return err
}

// ask asks one server after the other, the one that answered last time first, until one does as it was asked.
func (c *Client) ask(ctx context.Context, op operation, query url.Values, into any) (server string, err error) {
	bounded, end := context.WithTimeout(ctx, c.timeout)
	defer end()
	query.Set("op", op.name)
	if op.proven && c.doAs != "" {
		query.Set("doAs", c.doAs)
	}
	var failed []*Error
	n := len(c.provider.Servers)
	for i := range n {
		at := (int(c.last.Load()) + i) % n
		server := c.provider.Servers[at]
		e := c.askOne(bounded, n-i, server, op, query, into)
		if e == nil {
			c.last.Store(int32(at))
			return server, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return "", context.Cause(ctx)
		}
		if failed = append(failed, e); bounded.Err() != nil {
			break
		}
	}
	return "", c.failure(failed)
}

// failure is that of all servers that were asked: the only one's, or what each of them said.
func (c *Client) failure(failed []*Error) error {
	last := failed[len(failed)-1]
	if len(failed) == 1 {
		return last
	}
	var all several
	for _, e := range failed {
		all = append(all, e.Plain())
	}
	return &Error{last.Kind, c.provider.Service, "none of its servers gives what was asked for", last.Cure, all}
}

// askOne is ask for one server, with its share of the time where others are to be asked after it.
func (c *Client) askOne(ctx context.Context, left int, server string, op operation, query url.Values, into any) *Error {
	if until, ok := ctx.Deadline(); ok {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, time.Until(until)/time.Duration(left))
		defer end()
	}
	req, err := http.NewRequestWithContext(ctx, op.method, server+"/v1/?"+query.Encode(), nil)
	if err != nil {
		return &Error{Kind: BadURI, Where: server, Reason: "it is no URL"}
	}
	var proof *spnego.Client
	forget := func() {}
	if op.proven {
		var e *Error
		if proof, forget, e = c.prove(ctx, server, req); e != nil {
			return e
		}
	}
	resp, err := c.http.Do(req)
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if err != nil {
		return unanswered(server, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return unanswered(server, err)
	}
	if resp.StatusCode != http.StatusOK {
		if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
			forget()
		}
		return refusal(server, resp, exception(body))
	}
	if proof != nil {
		if err := proof.Finish(resp.Header.Values(spnego.AnswerHeader)); err != nil {
			return &Error{NoProof, server, "it is not to be trusted", "ask its administrator whether hadoop.kms.authentication.type is kerberos; else somebody stands in the way", err}
		}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &Error{Malformed, server, "its answer cannot be read", askKMS, err}
	}
	return nil
}

// prove has a request say who we are.
func (c *Client) prove(ctx context.Context, server string, req *http.Request) (proof *spnego.Client, forget func(), e *Error) {
	if c.tickets == nil {
		return nil, nil, &Error{NoTicket, server, "there is no ticket", "run: kinit; or give --principal and --keytab", nil}
	}
	proof, forget, err := spnego.Prove(ctx, req, c.tickets)
	if err != nil {
		return nil, nil, &Error{NoTicket, server, "there is no ticket for " + spnego.Service(req), "", err}
	}
	return proof, forget, nil
}

// exception is the message in the answer of a server that fails; "" where there is none. Source: HttpExceptionUtils.
func exception(body []byte) string {
	var answer struct {
		RemoteException struct{ Message, Exception string }
	}
	if json.Unmarshal(body, &answer) != nil || answer.RemoteException.Message == "" {
		return ""
	}
	e := answer.RemoteException
	return fmt.Sprintf("%s: %s", e.Exception, e.Message)
}
