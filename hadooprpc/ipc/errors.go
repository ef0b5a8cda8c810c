package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// ErrClosed is what calls get after Close.
var ErrClosed = errors.New("Hadoop RPC client is closed")

// ErrTimeout is inside the *ConnError of an attempt that CallTimeout ended.
var ErrTimeout = errors.New("no answer in time")

// RemoteError is an exception of the server.
type RemoteError struct {
	// Addr is the server, Method the method that was called ("" when a connection was refused as a whole).
	Addr, Method string
	// Class is the exception's Java class, for example org.apache.hadoop.security.AccessControlException.
	Class string
	// Message is the exception's message, Trace the Java stack trace below it, where the server sent one.
	Message, Trace string
	// Code is Hadoop's own classification; 0 when the server gave none.
	Code pb.RpcResponseHeader_RpcErrorCode
	// Fatal tells that the server closed the connection as well.
	Fatal bool
}

func (e *RemoteError) Error() string {
	at := e.Addr
	if e.Method != "" {
		at = e.Method + " at " + e.Addr
	}
	return fmt.Sprintf("%s: %s: %s", at, shortClass(e.Class), e.Message)
}

// newRemoteError splits the server's text: Java sends the exception's message followed by the stack trace.
// Source: org.apache.hadoop.ipc.Server.Connection.setupResponse, StringUtils.stringifyException.
func newRemoteError(addr, method string, h *pb.RpcResponseHeader) *RemoteError {
	e := &RemoteError{
		Addr: addr, Method: method, Class: h.GetExceptionClassName(),
		Code: h.GetErrorDetail(), Fatal: h.GetStatus() == pb.RpcResponseHeader_FATAL,
	}
	if e.Class == "" {
		e.Class = "unnamed exception"
	}
	e.Message, e.Trace = splitTrace(h.GetErrorMsg())
	e.Message = strings.TrimPrefix(e.Message, e.Class+": ")
	return e
}

// splitTrace cuts s before the first line of a Java stack trace.
func splitTrace(s string) (message, trace string) {
	for _, mark := range []string{"\n\tat ", "\r\n\tat "} {
		if i := strings.Index(s, mark); i >= 0 {
			return strings.TrimSpace(s[:i]), s[i+1:]
		}
	}
	return strings.TrimSpace(s), ""
}

func shortClass(class string) string {
	return class[strings.LastIndexAny(class, ".$")+1:]
}

// Is tells whether err is, or wraps, an exception of the given Java class. The class may be given in full or by its
// last part ("StandbyException").
func Is(err error, class string) bool {
	var e *RemoteError
	if !errors.As(err, &e) {
		return false
	}
	return e.Class == class || !strings.ContainsRune(class, '.') && shortClass(e.Class) == class
}

// IsStandby tells that the server is not the active one of an HA pair.
func IsStandby(err error) bool { return Is(err, "org.apache.hadoop.ipc.StandbyException") }

// IsRetriable tells that the server asks to repeat the call later.
func IsRetriable(err error) bool { return Is(err, "org.apache.hadoop.ipc.RetriableException") }

// ConnError tells that a call got no reply.
type ConnError struct {
	Addr, Method string
	// Op is what was being done: "connect", "authenticate", "write", "read", "wait".
	Op string
	// Sent tells whether the server can have seen the call. When false it certainly did not.
	Sent bool
	Err  error
}

func (e *ConnError) Error() string {
	err := e.Err
	var remote *RemoteError
	if errors.As(err, &remote) {
		if e.Method != "" {
			return e.Method + ": " + err.Error()
		}
		return err.Error() // it names the server already
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err // "dial tcp 10.0.0.1:8032: connect: refused" would say the address twice
	}
	s := e.Op + " " + e.Addr
	if e.Method != "" {
		s = e.Method + ": " + s
	}
	return s + ": " + err.Error()
}

func (e *ConnError) Unwrap() error { return e.Err }

// Timeout tells whether time ran out, as net.Error does.
func (e *ConnError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.Is(e.Err, ErrTimeout) || errors.Is(e.Err, context.DeadlineExceeded) || errors.As(e.Err, &t) && t.Timeout()
}

// NotSent tells that no server can have executed the call, in any attempt: repeating it is safe.
func NotSent(err error) bool {
	var (
		lost *UnreachableError
		one  *ConnError
	)
	switch {
	case errors.As(err, &lost):
		return !lost.Sent
	case errors.As(err, &one): // also when Close ended it: it may have been under way
		return !one.Sent
	}
	return errors.Is(err, ErrClosed)
}

// UnreachableError tells that a Proxy gave up: no address led to an active server.
type UnreachableError struct {
	Addrs   []string
	Elapsed time.Duration
	// Sent tells whether a server can have seen the call in any of the attempts, not just in the last one.
	Sent bool
	// Err is the last attempt's.
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s in %v: %v", strings.Join(e.Addrs, ", "), e.Elapsed.Round(time.Millisecond), e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }
