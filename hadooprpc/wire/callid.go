package wire

// Call ids below zero have meanings of their own. Source: org.apache.hadoop.ipc.RpcConstants, Server.AuthProtocol.
const (
	// CallUnauthorized comes back when a connection was refused before a call could be read, and for another
	// version of the protocol.
	CallUnauthorized int32 = -1
	// CallInvalid comes back when the request's header could not be read.
	CallInvalid int32 = -2
	// CallContext carries the IpcConnectionContext.
	CallContext int32 = -3
	// CallPing is a frame with a header alone. It is not answered.
	CallPing int32 = -4
	// CallSASL carries the SASL exchange and wrapped data.
	CallSASL int32 = -33
)

// NextCallID returns the id after id: ids of calls run from 0 to 2^31-1 and start again.
func NextCallID(id int32) int32 { return (id + 1) & 0x7fffffff }
