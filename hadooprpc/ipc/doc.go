// Package ipc is a client for Hadoop IPC version 9: many calls in flight on one connection, replies in any order.
//
// Three things, each on top of the one before:
//
//	conn     one authenticated TCP connection. A writer goroutine sends frames, a reader goroutine hands replies to
//	         the calls that wait. It lives until an error, a FATAL reply, idleness or retirement, and never comes back.
//	Client   one server, one protocol, one identity. It dials when a call needs a connection and forgets a connection
//	         that ended: a server may close idle ones, so an end of file between calls is no failure of anything.
//	         A call that may have been executed is never sent again.
//	Proxy    one service behind several addresses (ResourceManager HA). It tries again: elsewhere when an address
//	         does not answer or is standby, at the same place when the server asks for patience, within a total time.
//
// # What a call can end in
//
//	nil            the reply is in resp
//	*RemoteError   the server ran into an exception, or refused
//	*ConnError     no reply. Sent tells whether the server can have seen the call; when not, it is safe to repeat.
//	               Ends of contexts come wrapped in it, so errors.Is(err, context.Canceled) works.
//	*sasl.Error    we refused the server (inside a *ConnError)
//	ErrClosed      Close was called
//
// A call that is cancelled leaves nothing behind: one that waits to be sent is not sent, and the reply to one that was
// sent is dropped when it comes. The connection goes on.
//
// # Identity of a call
//
// Every attempt carries client id (16 random bytes per Client or Proxy), call id and retry count. A Proxy repeats a
// call under the same client and call id with the retry count raised, so that a server with a retry cache (the
// NameNode) answers from it instead of executing twice.
//
// # Time
//
// A context bounds a call. Without a deadline CallTimeout still bounds each attempt, and RetryFor all attempts of a
// Proxy. A peer that vanishes without a word is noticed by the kernel (TCP user time-out on Linux, keep-alive),
// helped by a ping per PingInterval while calls wait: Hadoop's pings are never answered, but they make the kernel
// want an acknowledgement.
//
// Sources: org.apache.hadoop.ipc.Client, Server, RetryPolicies; org.apache.hadoop.yarn.client.RMProxy (3.4.2).
package ipc
