package server

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// maxPayload is the most bytes of one task's payload: an assignment must fit a
// frame.
const maxPayload = 32 << 20

// serveClient is a client's connection, from its Hello on, to its end.
func (s *Server) serveClient(conn *wire.Conn, hello *wire.Hello, peer identity.Subject) {
	h := hello.GetClient()
	if h == nil {
		s.opts.Log.Warn("client refused", "peer", peer.String())
		conn.Refuse(wire.Errorf(wire.Refused, "a client's certificate, and the hello of a worker"))
		return
	}
	opened := make(chan *session, 1)
	if !s.loop.send(sessionOpened{conn: conn, hello: h, user: peer.Name, opened: opened}) {
		conn.Refuse(wire.Errorf(wire.Unavailable, "the scheduler is closing"))
		return
	}
	select {
	case <-opened:
	case <-s.loop.done:
		return
	case <-conn.Done(): // it broke before its session was safe, or the loop panicked over it
		s.loop.send(clientGone{conn: conn, why: fmt.Sprint(conn.Err())})
		return
	}
	err := s.readClient(conn)
	hangUp(conn, err)
	_, bye := errors.AsType[*wire.ByeError](err)
	s.loop.send(clientGone{conn: conn, bye: bye, why: fmt.Sprint(err)})
}

// readClient gives a client's requests to the loop, in order. A client that does
// not read its replies has its requests wait.
func (s *Server) readClient(conn *wire.Conn) error {
	for {
		if err := conn.WaitRoom(context.Background()); err != nil {
			return err
		}
		_, m, err := conn.Next()
		if err != nil {
			return err
		}
		req, ok := m.(*wire.Request)
		if !ok {
			return &wire.ProtocolError{What: "a second Hello"}
		}
		in := request{conn: conn, req: req}
		if err := in.prepare(); err != nil {
			conn.Push(wire.KindReply, &wire.Reply{Id: req.Id, Error: wire.AsError(err)}) //nolint:errcheck // Next notices
			continue
		}
		if put := req.GetPutBundle(); put != nil {
			// Disks are slow: not on the loop.
			conn.Push(wire.KindReply, s.putBundle(req.Id, put)) //nolint:errcheck // Next notices
			continue
		}
		if in.bulky() {
			in.done = make(chan struct{})
		}
		if !s.loop.send(in) {
			return wire.ErrClosed
		}
		if in.done == nil {
			continue
		}
		select { // then WaitRoom sees a large reply
		case <-in.done:
		case <-s.loop.done:
			return wire.ErrClosed
		}
	}
}

// prepare converts and checks off the loop what can be.
func (in *request) prepare() error {
	m := in.req.GetSubmit()
	if m == nil {
		return nil
	}
	if n := len(m.Class); n > wire.MaxSubmit {
		return wire.Errorf(wire.TooLarge, "%d tasks in one submit: the limit is %d", n, wire.MaxSubmit)
	}
	b, err := wire.BatchFromWire(m, math.MaxInt)
	if err != nil {
		return err
	}
	for i := range b.Len() {
		if n := len(b.PayloadOf(i)); n > maxPayload {
			return wire.Errorf(wire.TooLarge, "task %d has a payload of %d bytes, the limit is %d: put large data into files or results", b.First+uint32(i), n, maxPayload)
		}
		in.classes = max(in.classes, b.Class[i]+1)
	}
	in.batch = b
	return nil
}

// largeSubmit is where a submit counts as bulky.
const largeSubmit = 1 << 20

// largeCall is where a call counts as bulky.
const largeCall = 64 << 10

// bulky reports whether the request is, or the reply may be, large. At most one
// such of a connection waits for the loop.
func (in *request) bulky() bool {
	switch b := in.req.Body.(type) {
	case *wire.Request_Submit:
		m := b.Submit
		return len(m.Payload)+8*(len(m.Class)+len(m.DepIndex)+len(m.Host)) > largeSubmit
	case *wire.Request_Call:
		return len(b.Call.Payload) > largeCall
	case *wire.Request_Locate, *wire.Request_Explain, *wire.Request_ListEvents, *wire.Request_ListJobs, *wire.Request_ListNames, *wire.Request_ListTasks, *wire.Request_ListWorkers, *wire.Request_Retry, *wire.Request_Watch:
		return true
	}
	return false
}

func bundleBytes(d graph.Digest) []byte {
	if d.IsZero() {
		return nil
	}
	return d[:]
}
