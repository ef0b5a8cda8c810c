package ipc

import (
	"fmt"
	"io"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// A protected connection carries the stream of frames inside the tokens of RpcSasl messages:
//
//	+--------+-----------------------+----------------------------------+
//	| length | header, call id -33   | RpcSasl{WRAP, token}             |
//	+--------+-----------------------+----------------------------------+
//	                                              └── Layer.Wrap(piece of the stream)
//
// A token may hold a part of a frame, or several. Source: SaslRpcClient.WrappedInputStream, WrappedOutputStream.

// unwrapper is the stream inside.
type unwrapper struct {
	r     io.Reader
	layer sasl.Layer
	limit int // bytes in one frame outside
	frame []byte
	rest  []byte
}

func (u *unwrapper) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		if err := u.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *unwrapper) next() error {
	frame, err := wire.ReadFrame(u.r, u.frame, u.limit)
	if err != nil {
		return err
	}
	u.frame = frame
	var h pb.RpcResponseHeader
	rest, err := wire.ReadMessage(frame, &h)
	if err != nil {
		return err
	}
	var m pb.RpcSasl
	if int32(h.GetCallId()) != wire.CallSASL || h.GetStatus() != pb.RpcResponseHeader_SUCCESS {
		return fmt.Errorf("%w: an unprotected response on a protected connection", wire.ErrMalformed)
	}
	if err := wire.ReadLast(rest, &m); err != nil {
		return err
	}
	if m.GetState() != pb.RpcSasl_WRAP {
		return fmt.Errorf("%w: SASL state %s on a protected connection", wire.ErrMalformed, m.GetState())
	}
	u.rest, err = u.layer.Unwrap(m.GetToken())
	return err
}

// appendWrapped appends the frames that carry stream.
func appendWrapped(dst []byte, layer sasl.Layer, stream []byte) ([]byte, error) {
	for len(stream) > 0 {
		n := min(len(stream), layer.MaxWrap())
		token, err := layer.Wrap(nil, stream[:n])
		if err != nil {
			return dst, err
		}
		stream = stream[n:]
		m := &pb.RpcSasl{State: pb.RpcSasl_WRAP.Enum(), Token: token}
		if dst, err = wire.AppendFrame(dst, setupHeader(wire.CallSASL), m); err != nil {
			return dst, err
		}
	}
	return dst, nil
}
