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
//	client    → worker     output of commands that run; their input, signals
//
// Every connection is TLS 1.3 with certificates on both sides (package identity)
// and ALPN Protocol. The one who dials says which role and name it expects, so an
// address that now belongs to somebody else is noticed in the handshake.
//
// # The bytes
//
// A request names one object. Its length follows from its first byte:
//
//	 0      1        5        9        13       17       21
//	+------+--------+--------+--------+--------+--------+
//	| 1    | job    | index  | attempt| first  | count  |   blocks of a result
//	+------+--------+--------+--------+--------+--------+
//	  u8     u32 BE   u32 BE   u32 BE   u32 BE   u32 BE
//
//	 0      1                33
//	+------+----------------+
//	| 2    | SHA-256        |             a bundle
//	+------+----------------+
//
//	 0      1        5        9        13       14
//	+------+--------+--------+--------+--------+--------+
//	| 3    | job    | index  | attempt| stream | offset |   output of a command
//	+------+--------+--------+--------+--------+--------+
//	  u8     u32 BE   u32 BE   u32 BE   u8       u64 BE
//
//	 0      1        5        9        13       14       22       26
//	+------+--------+--------+--------+--------+--------+--------+-------+
//	| 4    | job    | index  | attempt| last   | offset | length | bytes |  input
//	+------+--------+--------+--------+--------+--------+--------+-------+
//	  u8     u32 BE   u32 BE   u32 BE   u8       u64 BE   u32 BE
//
//	 0      1        5        9        13
//	+------+--------+--------+--------+--------+
//	| 5    | job    | index  | attempt| signal |   for a command
//	+------+--------+--------+--------+--------+
//	  u8     u32 BE   u32 BE   u32 BE   u8
//
//	 0      1        5        9        13       21       25
//	+------+--------+--------+--------+--------+--------+
//	| 6    | job    | index  | attempt| offset | count  |   a part of a result
//	+------+--------+--------+--------+--------+--------+
//	  u8     u32 BE   u32 BE   u32 BE   u64 BE   u32 BE
//
// A part of a result, of at most 1 MiB, is for those who need little of it; its CRC-32C
// (u32 BE) follows it. An input is a piece of a command's standard input, from an offset on; last 1 says
// that nothing follows. It is answered by how many bytes the command has been given
// altogether (u64 BE), and by 1 (u8) when it wants no more. The answer may take some
// seconds when there is no room; then less was taken than was sent, and the rest is
// sent again. What was taken before is skipped, so a piece may be sent twice. Input and
// signals are taken of clients only. A signal's answer is empty.
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
// For a result, length is that of all of it, and those of the blocks that were asked for
// follow that it has, of checksum.Block bytes each but for the last, each behind a mark:
//
//	 0        1          5
//	+--------+----------+---------------+
//	| status | CRC-32C  | bytes         |   … and the next
//	+--------+----------+---------------+
//	  u8       u32 BE
//
// A mark with another status has the length of a reason in place of the sum, and is the
// last of its answer: the block cannot be read.
//
// Requests on one connection are answered in their order, those that come together by
// answers that leave together.
//
// # Results
//
// A Download gets a result's blocks straight into a Sink (a slice, or the room that a
// store has made for it), in ranges of some blocks. The ranges of a large result go over
// several connections. What has arrived and has its checksum is never asked for again:
// after a failure, the next Fetch asks the same peer or another for the rest. A block
// without its checksum is asked for once more; then its holder is as good as one that
// has lost the result.
//
// Connections for results (see line) carry many requests at a time, so that small ones
// share records and system calls; a request that is given up ends its connection only if
// much of its answer is still to come, and others on it go on elsewhere. All other
// objects have a connection to themselves as long as they are read.
//
// Between two processes of this machine, a large result moves at what Go's TLS makes of
// one connection; BenchmarkWorkerToWorker compares them. One copy is made on each side,
// by TLS. There is no kernel TLS in Go, so sendfile is of no use.
//
// # Bounds
//
// The server limits connections and drops those that do not read, are idle, or are idle
// longest when others want in. The pool limits connections to a peer and the bytes of
// results asked for and not received; it judges a result's length before it takes
// memory. Every wait ends with the caller's context, and a peer that stalls is given up
// without one.
package transfer
