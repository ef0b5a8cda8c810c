// Package transfer is the data plane: whoever needs bytes pulls them from whoever
// has them, over connections of their own, so that a large result never holds up
// the control plane and never passes through the scheduler unless it lies there.
//
// # Who talks to whom
//
//	worker    → worker     results, as inputs of tasks
//	client    → worker     results, to gather
//	worker    → scheduler  bundles, and results that the scheduler keeps
//	client    → scheduler  results that the scheduler keeps
//
// Every connection is TLS 1.3 with certificates on both sides (package identity)
// and ALPN Protocol. The one who dials says which role and name it expects, so an
// address that now belongs to somebody else is noticed in the handshake.
//
// # The bytes
//
// A request names one object. Its length follows from its first byte:
//
//	 0      1        5        9        13
//	+------+--------+--------+--------+
//	| 1    | job    | index  | attempt|   a result
//	+------+--------+--------+--------+
//	  u8     u32 BE   u32 BE   u32 BE
//
//	 0      1                33
//	+------+----------------+
//	| 2    | SHA-256        |             a bundle
//	+------+----------------+
//
// The answer says how many bytes come, then they come:
//
//	 0        1          9
//	+--------+----------+---------------+
//	| status | length   | bytes         |
//	+--------+----------+---------------+
//	  u8       u64 BE
//
// status 0: the object, whole. Other statuses: why not, as text of at most
// maxReason bytes. An object that cannot be read to its end ends the connection.
//
// Requests on one connection are answered in their order. This client sends one
// at a time and opens up to PoolOptions.Conns connections to a peer; a client that
// sends several ahead is served as well.
//
// # Bounds
//
// The server limits connections and drops those that are idle or do not read. The
// pool limits connections to a peer and the bytes of results being received; it
// judges an object's length before it takes memory. Every wait ends with the
// caller's context, and a peer that stalls is given up without one.
package transfer
