package hadooptest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// maxCalls bounds the calls of one connection that are being handled.
const maxCalls = 256

// serverConn is one connection: run reads and starts handlers, reply writes under a lock.
type serverConn struct {
	s      *Server
	nc     net.Conn
	serial int
	in     io.Reader
	auth   authState
	who    pb.IpcConnectionContext
	ready  bool // the context was read
	slots  chan struct{}

	wmu   sync.Mutex
	layer sasl.Layer // protects what is written; set before the first call
}

func newServerConn(s *Server, nc net.Conn, serial int) *serverConn {
	return &serverConn{s: s, nc: nc, serial: serial, in: bufio.NewReader(nc), slots: make(chan struct{}, maxCalls)}
}

func (c *serverConn) run() {
	defer c.nc.Close()
	var calls sync.WaitGroup
	defer calls.Wait()
	err := c.open()
	for err == nil {
		var frame []byte
		if frame, err = wire.ReadFrame(c.in, nil, c.s.opts.MaxRequest); err == nil {
			err = c.take(frame, &calls)
		}
	}
	var x *Exception
	if errors.As(err, &x) { // the connection as a whole is refused
		c.fail(wire.CallUnauthorized, x)
	}
	c.s.opts.Logger.Debug("hadooptest connection ended", "conn", c.serial, "why", err)
}

func (c *serverConn) open() error {
	var b [wire.ConnHeaderLen]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	h, err := wire.ParseConnHeader(b[:])
	if err != nil {
		return &Exception{Class: "org.apache.hadoop.ipc.RPC$VersionMismatch", Message: err.Error(),
			Code: pb.RpcResponseHeader_FATAL_VERSION_MISMATCH, Fatal: true}
	}
	o := c.s.opts
	if o.Passwords != nil {
		o.Passwords = c.s.password
	}
	return c.auth.begin(o, h.Auth)
}

// take handles one frame. An *Exception refuses the connection.
func (c *serverConn) take(frame []byte, calls *sync.WaitGroup) error {
	var h pb.RpcRequestHeader
	rest, err := wire.ReadMessage(frame, &h)
	if err != nil || h.RpcKind == nil || h.RpcOp == nil {
		return &Exception{Class: "org.apache.hadoop.ipc.RpcServerException", Message: fmt.Sprintf("bad request header: %v", err),
			Code: pb.RpcResponseHeader_FATAL_INVALID_RPC_HEADER, Fatal: true}
	}
	switch id := h.GetCallId(); {
	case id == wire.CallSASL && c.layer != nil && c.auth.done:
		return errors.New("a wrapped message inside a wrapped message")
	case id == wire.CallSASL:
		return c.sasl(rest)
	case id == wire.CallPing:
		c.s.pings.Add(1)
		return nil
	case !c.auth.done:
		return &Exception{Class: "org.apache.hadoop.ipc.RpcServerException", Message: "Connection header sent during SASL negotiation",
			Code: pb.RpcResponseHeader_FATAL_INVALID_RPC_HEADER, Fatal: true}
	case id == wire.CallContext:
		return c.context(rest)
	case !c.ready:
		return &Exception{Class: "org.apache.hadoop.ipc.RpcServerException", Message: "Connection context not found",
			Code: pb.RpcResponseHeader_FATAL_INVALID_RPC_HEADER, Fatal: true}
	}
	var rh pb.RequestHeader
	if rest, err = wire.ReadMessage(rest, &rh); err != nil {
		return err
	}
	call := &Call{
		Protocol: rh.GetDeclaringClassProtocolName(), Method: rh.GetMethodName(),
		ID: h.GetCallId(), Retry: h.GetRetryCount(), ClientID: string(h.GetClientId()),
		Auth: c.auth.method, TokenID: c.auth.tokenID, Conn: c.serial, Peer: host(c.nc), body: rest,
		User: c.who.GetUserInfo().GetEffectiveUser(), RealUser: c.who.GetUserInfo().GetRealUser(),
	}
	c.slots <- struct{}{} // freed by the call, whose handler's context ends with the server
	calls.Go(func() { c.serve(call); <-c.slots })
	return nil
}

func (c *serverConn) context(b []byte) error {
	if err := wire.ReadLast(b, &c.who); err != nil {
		return err
	}
	// Java's clients send an empty user message with a token (ProtoUtil.makeIpcConnectionContext, getUgi).
	if c.auth.method == sasl.Token && c.who.GetUserInfo().GetEffectiveUser() != "" {
		return &Exception{Class: "org.apache.hadoop.security.AccessControlException",
			Message: "Authenticated user doesn't match what the client claims to be (" + c.who.GetUserInfo().GetEffectiveUser() + ")",
			Code:    pb.RpcResponseHeader_FATAL_UNAUTHORIZED, Fatal: true}
	}
	if c.auth.method == sasl.Kerberos { // a name beside the proven one is who the client acts for
		if info := c.who.GetUserInfo(); info.GetEffectiveUser() == "" || info.GetEffectiveUser() == c.auth.client {
			c.who.UserInfo = &pb.UserInformation{EffectiveUser: proto.String(c.auth.client)}
		} else {
			c.who.UserInfo = &pb.UserInformation{EffectiveUser: info.EffectiveUser, RealUser: proto.String(c.auth.client)}
		}
	}
	c.ready = true
	return nil
}

func (c *serverConn) sasl(b []byte) error {
	var m pb.RpcSasl
	if err := wire.ReadLast(b, &m); err != nil {
		return err
	}
	out, err := c.auth.step(&m)
	if errors.Is(err, errCut) {
		return err
	}
	if err != nil {
		x := asException(err)
		x = &Exception{Class: x.Class, Message: x.Message, Code: pb.RpcResponseHeader_FATAL_UNAUTHORIZED, Fatal: true}
		if x.Class == "java.io.IOException" {
			x.Class = "javax.security.sasl.SaslException"
		}
		return x
	}
	if out != nil {
		if err := c.send(c.header(wire.CallSASL), out); err != nil {
			return err
		}
	}
	if l := c.auth.layer(); l != nil {
		c.layer = l
		c.in = &unwrapper{r: c.in, layer: l, limit: c.s.opts.MaxRequest}
	}
	return nil
}

// serve runs the handler and replies, unless a fault says otherwise.
func (c *serverConn) serve(call *Call) {
	f := c.s.faultFor(call)
	if f.CloseBefore || call.Auth == sasl.Token && c.s.isCut(call.TokenID) {
		c.nc.Close()
		return
	}
	if f.Exception != nil {
		c.fail(call.ID, f.Exception)
		return
	}
	h, err := c.s.lookup(call)
	var resp proto.Message
	if err == nil {
		resp, err = h(c.s.ctx, call)
	}
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.s.ctx.Done():
			return
		}
	}
	switch {
	case f.Drop:
	case f.CloseAfter:
		c.nc.Close()
	case err != nil:
		c.fail(call.ID, asException(err))
	default:
		c.reply(call.ID, resp, f)
	}
}

func (c *serverConn) header(id int32) *pb.RpcResponseHeader {
	return &pb.RpcResponseHeader{CallId: proto.Uint32(uint32(id)), Status: pb.RpcResponseHeader_SUCCESS.Enum(), ServerIpcVersionNum: proto.Uint32(wire.Version)}
}

func (c *serverConn) reply(id int32, resp proto.Message, f Fault) {
	frame, err := wire.AppendFrame(nil, c.header(id), resp)
	if err != nil {
		c.fail(id, asException(err))
		return
	}
	if f.Oversize > 0 {
		binary.BigEndian.PutUint32(frame, f.Oversize)
	}
	if f.Garbage {
		frame = []byte{0, 0, 0, 3, 0xff, 0xff, 0xff}
	}
	if f.Midway {
		frame = frame[:len(frame)/2]
	}
	c.write(frame)
	if f.Midway {
		c.nc.Close()
	}
}

// fail sends an exception, and closes the connection when it is fatal.
func (c *serverConn) fail(id int32, x *Exception) {
	h := c.header(id)
	h.Status = pb.RpcResponseHeader_ERROR.Enum()
	if x.Fatal {
		h.Status = pb.RpcResponseHeader_FATAL.Enum()
	}
	code := x.Code
	if code == 0 {
		code = pb.RpcResponseHeader_ERROR_APPLICATION
	}
	msg := x.Message
	if x.Trace != "" {
		msg += "\n" + x.Trace
	}
	h.ExceptionClassName, h.ErrorMsg, h.ErrorDetail = &x.Class, &msg, code.Enum()
	c.send(h)
	if x.Fatal {
		c.nc.Close()
	}
}

func (c *serverConn) send(msgs ...proto.Message) error {
	frame, err := wire.AppendFrame(nil, msgs...)
	if err != nil {
		return err
	}
	return c.write(frame)
}

// write sends one frame, protected if agreed on.
func (c *serverConn) write(frame []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.layer != nil {
		var err error
		if frame, err = wrap(c.layer, c.header(wire.CallSASL), frame); err != nil {
			return err
		}
	}
	_, err := c.nc.Write(frame)
	return err
}
