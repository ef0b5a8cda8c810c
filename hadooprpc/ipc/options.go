package ipc

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"os"
	"os/user"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// Options tell who calls and how patiently. The zero value works on a cluster without security.
type Options struct {
	// User is who we say we are where the server believes names; "" takes DefaultUser. Tokens and tickets carry their
	// own user.
	User string
	// RealUser is our own name when we act for User as a proxy user: with Kerberos, the full principal.
	RealUser string
	// Token authenticates by a Hadoop token. Schedulers' and NodeManagers' ports demand one even on clusters
	// without security. nil: none.
	Token *token.Token
	// Tokens, where there is no Token, is asked for one at each connection: tokens are renewed. nil, or false: none. Where
	// there is Kerberos it is for want of a ticket that the server takes.
	Tokens func() (token.Token, bool)
	// Kerberos authenticates by tickets, where a server does not want the Token. nil: there are none.
	Kerberos *sasl.KerberosMechanism
	// Secure refuses every server that would go on without authentication.
	Secure bool
	// MinQOP is the weakest protection to accept after authentication by token; 0 accepts all.
	MinQOP sasl.QOP

	// ConnectTimeout bounds connecting and authenticating. 0: 10 s.
	ConnectTimeout time.Duration
	// CallTimeout bounds one attempt of a call, connecting included. 0: 2 min; below 0: none.
	CallTimeout time.Duration
	// PingInterval is how often a connection on which calls wait is written to. 0: 60 s, Java's.
	PingInterval time.Duration
	// IdleTimeout is how long a connection without calls is kept. 0: 30 s; below 0: for ever.
	IdleTimeout time.Duration
	// MaxInFlight bounds the calls of a Client that have begun and not ended; more wait. 0: 256.
	MaxInFlight int
	// MaxResponse is the longest response taken, in bytes. 0: 128 MiB.
	MaxResponse int

	// RetryFor is how long a Proxy goes on trying in all. 0: 15 s; below 0: each address once.
	RetryFor time.Duration
	// BackoffBase and BackoffMax bound the pause after a fruitless round over all addresses: it doubles from one to
	// the other, with jitter. 0: 100 ms and 2 s.
	BackoffBase, BackoffMax time.Duration

	// Dial opens connections. nil: TCP, with a user time-out where the system has it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger hears about connections coming and going, at debug level. nil: nobody does.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.User = cmp.Or(o.User, DefaultUser())
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 10*time.Second)
	o.CallTimeout = cmp.Or(o.CallTimeout, 2*time.Minute)
	o.PingInterval = cmp.Or(o.PingInterval, time.Minute)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 30*time.Second)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 256)
	o.MaxResponse = cmp.Or(o.MaxResponse, wire.DefaultMax)
	o.RetryFor = cmp.Or(o.RetryFor, 15*time.Second)
	o.BackoffBase = cmp.Or(o.BackoffBase, 100*time.Millisecond)
	o.BackoffMax = cmp.Or(o.BackoffMax, 2*time.Second)
	if o.Dial == nil {
		o.Dial = defaultDialer().DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// mechanisms lists the ways to authenticate to addr for as long as ctx lasts, the preferred one first: by tok, which may be
// nil, or else by a ticket, or by the token that there is, which serves where there is no ticket, or none that the server takes.
func (o Options) mechanisms(ctx context.Context, addr string, tok *token.Token) []sasl.Mechanism {
	t, ok := o.spare(tok)
	if ok && o.Kerberos != nil {
		return []sasl.Mechanism{o.byTicket(ctx, addr, true), o.byToken(t)}
	}
	if ok {
		tok = &t
	}
	var ms []sasl.Mechanism
	if tok != nil {
		ms = append(ms, o.byToken(*tok))
	}
	if o.Kerberos != nil {
		ms = append(ms, o.byTicket(ctx, addr, false))
	}
	return ms
}

// spare is the token for want of a ticket.
func (o Options) spare(tok *token.Token) (token.Token, bool) {
	if tok != nil || o.Tokens == nil {
		return token.Token{}, false
	}
	return o.Tokens()
}

func (o Options) byToken(t token.Token) sasl.Mechanism {
	return &sasl.TokenMechanism{Identifier: t.Identifier, Password: t.Password, MinQOP: o.MinQOP}
}

// byTicket is the mechanism of Kerberos. Where there is something else to try, half of the time is left for that.
func (o Options) byTicket(ctx context.Context, addr string, orElse bool) sasl.Mechanism {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	k := *o.Kerberos
	if deadline, ok := ctx.Deadline(); ok && orElse {
		k.Patience = time.Until(deadline) / 2
	}
	return k.To(ctx, host)
}

// DefaultUser is who Hadoop's clients say they are on clusters without security: HADOOP_USER_NAME, else the
// operating system's user.
func DefaultUser() string {
	if u := os.Getenv("HADOOP_USER_NAME"); u != "" {
		return u
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// defaultDialer notices peers that vanished: by keep-alive on a silent connection, by the user time-out on one where
// our data stays unacknowledged.
func defaultDialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3},
		Control:         setUserTimeout,
	}
}

// unackedTimeout is how long sent bytes may stay unacknowledged before the kernel gives a connection up.
const unackedTimeout = 30 * time.Second

// Method is a method of a protocol.
type Method struct {
	Name string
	// Idempotent methods may be executed twice: a Proxy repeats them even when the first attempt may have reached
	// a server.
	Idempotent bool
}
