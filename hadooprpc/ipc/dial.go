package ipc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// dial connects, authenticates and introduces us:
//
//	no credentials    "hrpc" 9 0 0x00 · IpcConnectionContext
//	credentials       "hrpc" 9 0 0xDF · SASL exchange · IpcConnectionContext
//
// The context's frame is not answered; a refusal arrives as a FATAL reply before or instead of the first call's.
func dial(ctx context.Context, addr, protocol string, o Options, tok *token.Token) (*conn, error) {
	cn, err := connect(ctx, addr, protocol, o, tok)
	if err == nil {
		cn.start()
	}
	return cn, err
}

// connect is dial without the goroutines that make a Client's connection live.
func connect(ctx context.Context, addr, protocol string, o Options, tok *token.Token) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.ConnectTimeout, ErrTimeout)
	defer cancel()
	cn, err := connectOnce(ctx, addr, protocol, o, o.mechanisms(ctx, addr, tok))
	refused, isTicket := errors.AsType[*ticketRefused](err)
	if isTicket && refused.again {
		cn, err = connectOnce(ctx, addr, protocol, o, o.mechanisms(ctx, addr, tok))
		_, isTicket = errors.AsType[*ticketRefused](err)
	}
	if t, ok := o.spare(tok); ok && isTicket {
		if cn, failed := connectOnce(ctx, addr, protocol, o, []sasl.Mechanism{o.byToken(t)}); failed == nil {
			return cn, nil
		}
	}
	return cn, err
}

// connectOnce is one connection, authenticated by one of some mechanisms.
func connectOnce(ctx context.Context, addr, protocol string, o Options, mechs []sasl.Mechanism) (*conn, error) {
	nc, err := o.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, &ConnError{Addr: addr, Op: "connect", Err: causeOf(ctx, err)}
	}
	// Reads and writes know no contexts: the end of ctx reaches them as a deadline in the past.
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	cn := newConn(addr, nc, o)
	err = cn.introduce(protocol, o, mechs)
	if !stop() && err == nil {
		err = reason(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, &ConnError{Addr: addr, Op: "authenticate", Err: causeOf(ctx, err)}
	}
	o.Logger.DebugContext(ctx, "hadoop rpc connected", "addr", addr, "protocol", protocol, "auth", cn.auth)
	return cn, nil
}

// causeOf returns why ctx ended, if it did, and err otherwise. Diallers have deadlines of their own, one for each
// address of a host: such a one must not be taken for the caller's, with which all attempts would end.
func causeOf(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ctx.Err())):
		return reason(ctx)
	case ctx.Err() != nil: // what was waited for says more
		return fmt.Errorf("%w (%w)", reason(ctx), err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w (%v)", ErrTimeout, err)
	}
	return err
}

// reason tells why ctx ended. Unlike context.Cause alone it keeps ctx.Err() in the chain when somebody gave a cause
// of his own, so that errors.Is(err, context.Canceled) holds; our own time-outs stay what they are.
func reason(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == ErrTimeout || cause == ErrClosed || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

func (cn *conn) introduce(protocol string, o Options, mechs []sasl.Mechanism) error {
	var out []byte
	if len(mechs) == 0 && !o.Secure {
		cn.auth = sasl.Simple
		out = wire.AppendConnHeader(out, wire.ConnHeader{Auth: wire.AuthNone})
	} else if err := cn.authenticate(mechs, o.Secure); err != nil {
		return err
	}
	who := &pb.IpcConnectionContext{UserInfo: whoWeAre(cn.auth, o), Protocol: proto.String(protocol)}
	frame, err := wire.AppendFrame(nil, setupHeader(wire.CallContext), who)
	if err != nil {
		return err
	}
	if out, err = cn.protect(out, frame); err != nil {
		return err
	}
	_, err = cn.nc.Write(out)
	return err
}

// whoWeAre is the name to give, nil for none. A token says who we are, and a name beside it is an error; so does a
// Kerberos ticket, unless we act for somebody else. Source: ProtoUtil.makeIpcConnectionContext, and what
// Server.Connection.processConnectionContext makes of it (3.4.2).
func whoWeAre(auth sasl.Method, o Options) *pb.UserInformation {
	if auth == sasl.Token || auth == sasl.Kerberos && o.RealUser == "" {
		return nil
	}
	info := &pb.UserInformation{EffectiveUser: proto.String(o.User)}
	if o.RealUser != "" {
		info.RealUser = proto.String(o.RealUser)
	}
	return info
}

// authenticate plays the SASL exchange and puts the agreed protection in force.
func (cn *conn) authenticate(mechs []sasl.Mechanism, secure bool) error {
	c := sasl.NewClient(mechs, secure)
	out := wire.AppendConnHeader(nil, wire.ConnHeader{Auth: wire.AuthSASL})
	msg, over := c.Start(), false
	for {
		if msg != nil {
			var err error
			if out, err = wire.AppendFrame(out, setupHeader(wire.CallSASL), msg); err != nil {
				return err
			}
			if _, err := cn.nc.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		if over {
			break
		}
		in, err := cn.readSASL()
		if err != nil {
			return refusal(c, err)
		}
		if msg, over, err = c.Step(in); err != nil {
			return err
		}
	}
	cn.auth, cn.layer = c.Method(), c.Layer()
	if cn.layer != nil {
		cn.in = &unwrapper{r: cn.in, layer: cn.layer, limit: cn.maxResponse + wire.MaxBeforeAuth}
	}
	return nil
}

// ticketRefused is a server's refusal of a ticket; another may do where again is set. Java's client logs in anew then
// (Client.Connection.handleSaslConnectionFailure).
type ticketRefused struct {
	error
	again bool
}

func (e *ticketRefused) Unwrap() error { return e.error }

// refusal is what the server's error means that comes in the place of a message of the exchange.
func refusal(c *sasl.Client, err error) error {
	if remote := (*RemoteError)(nil); errors.As(err, &remote) && !IsStandby(err) && !IsRetriable(err) {
		if ticket, again := c.Refused(); ticket {
			return &ticketRefused{err, again}
		}
	}
	return c.Explain(err)
}

func (cn *conn) readSASL() (*pb.RpcSasl, error) {
	frame, err := wire.ReadFrame(cn.in, nil, wire.MaxBeforeAuth)
	if errors.Is(err, io.EOF) {
		err = errors.New("the server closed the connection during authentication")
	}
	if err != nil {
		return nil, err
	}
	var h pb.RpcResponseHeader
	rest, err := wire.ReadMessage(frame, &h)
	if err != nil {
		return nil, err
	}
	if h.GetStatus() != pb.RpcResponseHeader_SUCCESS {
		return nil, newRemoteError(cn.addr, "", &h)
	}
	if id := int32(h.GetCallId()); id != wire.CallSASL {
		return nil, fmt.Errorf("%w: call id %d during authentication", wire.ErrMalformed, id)
	}
	var m pb.RpcSasl
	return &m, wire.ReadLast(rest, &m)
}

// newConn wraps nc; start makes it live.
func newConn(addr string, nc net.Conn, o Options) *conn {
	return &conn{
		addr: addr, nc: nc, in: bufio.NewReaderSize(nc, 8<<10),
		log: o.Logger, maxResponse: o.MaxResponse, ping: o.PingInterval, idleAfter: o.IdleTimeout,
		queue: make(chan *call, 64), done: make(chan struct{}), pending: make(map[int32]*call),
	}
}
