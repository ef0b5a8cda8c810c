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
