package hdfs

import (
	"context"
	"encoding/binary"
	"errors"
	"net"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// The library introduces itself to a NameNode as one does where names are believed. On a cluster with Kerberos our own
// RPC client has authenticated on the connection before that, by ticket or token, and has introduced us; so what the
// library says of itself goes nowhere, and all that it says and hears afterwards is protected as was agreed on:
//
//	library                          introduced                         NameNode
//	                                 DialStream: SASL, context     ↔
//	"hrpc" 9 0 0, context         →  (nowhere)
//	frames of calls               ↔  wrapped, unwrapped            ↔
//
// Its own Kerberos is not used: it sends requests in clear where privacy was agreed on, does not check who the server
// is, and knows no tokens.
type introduced struct {
	net.Conn
	head []byte // of what goes nowhere, as far as it has come
	done bool
}

func (c *introduced) Write(b []byte) (int, error) {
	if c.done {
		return c.Conn.Write(b)
	}
	const lengthAt = wire.ConnHeaderLen
	c.head = append(c.head, b...)
	if len(c.head) < lengthAt+4 {
		return len(b), nil
	}
	end := lengthAt + 4 + int(binary.BigEndian.Uint32(c.head[lengthAt:]))
	if len(c.head) < end {
		return len(b), nil
	}
	rest := c.head[end:]
	c.head, c.done = nil, true
	if len(rest) > 0 {
		if _, err := c.Conn.Write(rest); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// secured is how to connect to NameNodes that want authentication.
func secured(o ipc.Options) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := ipc.DialStream(ctx, addr, clientProtocol, o)
		if err != nil {
			return nil, err
		}
		return &introduced{Conn: c}, nil
	}
}

// secure has connections authenticate as the configuration wants it.
func (r *remote) secure(c *conf.Conf, rpc ipc.Options) (err error) {
	if r.transfer, err = TransferOf(c); err != nil {
		return err
	}
	if rpc.Secure {
		r.pool.dial.nameNode = secured(rpc)
	}
	return nil
}

// refused is true where authentication failed for good: for want of a ticket, by our own insistence, or because the
// NameNode does not take who we are. A standby's refusal is none, nor is that of a token while no KDC answers.
func refused(err error) bool {
	if sasl.Passing(err) {
		return false
	}
	if ours := (*sasl.Error)(nil); errors.As(err, &ours) {
		return true
	}
	ce, theirs := (*ipc.ConnError)(nil), (*ipc.RemoteError)(nil)
	return errors.As(err, &ce) && errors.As(ce.Err, &theirs) && !ipc.IsStandby(err) && !ipc.IsRetriable(err)
}
