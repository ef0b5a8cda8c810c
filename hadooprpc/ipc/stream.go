package ipc

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

// DialStream connects to addr, authenticates, and introduces the caller as a client of protocol. What is written from
// then on are the frames of calls, what is read those of their answers; protection, where it was agreed on, is put on
// and taken off on the way. It is for code that makes these frames itself; everybody else takes a Client.
//
// ctx bounds the connecting alone. One goroutine may read and another write. Errors of connecting are *ConnError.
func DialStream(ctx context.Context, addr, protocol string, o Options) (net.Conn, error) {
	o = o.withDefaults()
	cn, err := connect(ctx, addr, protocol, o, o.Token)
	if err != nil {
		return nil, err
	}
	return &stream{Conn: cn.nc, in: cn.in, layer: cn.layer}, nil
}

// stream is a connection that is authenticated.
type stream struct {
	net.Conn
	in    io.Reader
	layer sasl.Layer // nil: none

	mu sync.Mutex // of writing: the layer counts
}

func (s *stream) Read(b []byte) (int, error) { return s.in.Read(b) }

func (s *stream) Write(b []byte) (int, error) {
	if s.layer == nil {
		return s.Conn.Write(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := appendWrapped(nil, s.layer, b)
	if err != nil {
		return 0, err
	}
	if _, err := s.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}
