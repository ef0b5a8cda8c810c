package hadooptest

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// Call is one request as a handler sees it.
type Call struct {
	Protocol, Method string
	// ID, Retry and ClientID name the attempt.
	ID, Retry int32
	ClientID  string // the raw bytes
	// Auth is how the connection was authenticated; User and RealUser are as the connection's context told, and
	// TokenID is the identifier of the token, if there was one.
	Auth           sasl.Method
	User, RealUser string
	TokenID        []byte
	// Conn numbers the connection, from 1. Peer is the address, without the port, from which it comes.
	Conn int
	Peer string

	body []byte // the delimited request
}

// Decode reads the request into m.
func (c *Call) Decode(m proto.Message) error {
	if err := wire.ReadLast(c.body, m); err != nil {
		return &Exception{Class: "org.apache.hadoop.ipc.RpcServerException", Message: err.Error(),
			Code: pb.RpcResponseHeader_FATAL_DESERIALIZING_REQUEST, Fatal: true}
	}
	return nil
}

// Exception is what a handler returns to have a Java exception sent.
type Exception struct {
	Class, Message string
	// Trace is sent below the message, as Java does it.
	Trace string
	// Code is ERROR_APPLICATION when zero.
	Code pb.RpcResponseHeader_RpcErrorCode
	// Fatal closes the connection.
	Fatal bool
}

func (e *Exception) Error() string { return e.Class + ": " + e.Message }

// Standby is the exception of a server that is not the active one.
func Standby() *Exception {
	return &Exception{Class: "org.apache.hadoop.ipc.StandbyException",
		Message: "Operation category READ is not supported in state standby"}
}

// Retriable is the exception of a server that asks for patience.
func Retriable() *Exception {
	return &Exception{Class: "org.apache.hadoop.ipc.RetriableException", Message: "not ready yet"}
}

func asException(err error) *Exception {
	var e *Exception
	if errors.As(err, &e) {
		return e
	}
	return &Exception{Class: "java.io.IOException", Message: err.Error()}
}

// Fault is what goes wrong with one call. The zero value is nothing.
type Fault struct {
	// Exception is sent instead of running the handler.
	Exception *Exception
	// CloseBefore closes the connection without running the handler.
	CloseBefore bool
	// Delay is waited for between the handler's end and the reply.
	Delay time.Duration
	// Drop sends no reply.
	Drop bool
	// CloseAfter runs the handler, then closes the connection without a reply.
	CloseAfter bool
	// Midway sends half of the reply and closes the connection.
	Midway bool
	// Oversize announces a reply of this many bytes instead of the true number.
	Oversize uint32
	// Garbage sends a reply whose header cannot be read.
	Garbage bool
}
