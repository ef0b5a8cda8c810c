// Package hdfs is the file system that the rest of this module sees: one
// interface, [FS], over HDFS and over the local disk, with contexts, typed
// errors, exact permissions and modification times in milliseconds.
//
// # Names
//
// A name is an absolute path ("/data/x"), a path relative to the user's home
// ("x" is /user/alice/x), or a URL of the very file system ("hdfs://ns/data/x",
// "hdfs:///data/x", "file:///tmp/x"). Nothing is unescaped: Hadoop's paths are
// not URL-encoded. [Open] picks the implementation by the scheme of a URL or
// of fs.defaultFS; viewfs, s3a, abfs, gs and others are refused by name.
//
// # Several NameNodes
//
// A nameservice with several NameNodes is asked by way of the one that answered last. Who is a standby says so; who is down
// is known at once; who hangs gets a part of an operation's time (open.go, answerTime). Then the next one is asked, until the
// time is over: with nobody active for a while, operations wait. What the library learns of them, our own RPC client knows,
// and the other way round ([ipc.Proxy.Prefer]).
//
// # Over colinmarc/hdfs
//
// HDFS is reached through github.com/colinmarc/hdfs/v2, which is imported
// nowhere else. What that library does not do is done here:
//
//   - It has no contexts. Every connection that it makes is one of ours
//     ([guard]), tied to the context of the call; when that
//     ends, its connections are closed and the call returns.
//   - A client handles one call at a time and stays broken after its connection
//     was lost. Clients are kept in a small pool, each lent to one call; one
//     that failed below the level of RPC is thrown away and the call repeated
//     with a fresh one, under rules that make the repetition safe (see the
//     comment on each operation).
//   - Each client renews leases once a second for as long as it lives, even
//     without an open file. Idle clients are therefore closed after a few
//     seconds: thousands of workers must not poll a NameNode for nothing.
//   - Its writer does not outlive the NameNode that it began with, its flush
//     does not wait for the DataNodes. [FS.Create] and [FS.Append] speak the
//     data transfer protocol themselves (remote_write.go, pipeline.go). They
//     do not repair a pipeline either: [Upload] writes to a temporary name and
//     starts again under another one when a DataNode fails.
//   - Its reader waits for ever for a DataNode that is silent, does not fetch tokens anew, loses bytes where data travels in
//     wrapped pieces, and gives out what is encrypted in a zone as it is. [FS.Open] reads by itself; see below.
//   - Its Kerberos sends requests in clear where privacy was agreed on, does
//     not check who answers, and knows no tokens. Connections to NameNodes are
//     authenticated and protected by our own RPC client (secure.go), those to
//     DataNodes by transfersecurity.go.
//
// # Reading
//
//	File.Read, ReadAt     remote_read.go   two places in the file, each with a stream that leads on from there
//	   which DataNode?    readplan.go      a pure core: NameNode asked, DataNode tried, failures judged
//	   its bytes          readstream.go    a part of a block, compared with its checksums before it is given out
//	   its packets        readpacket.go
//
// A DataNode may be silent for five seconds, then another one is asked; where there is none, it is asked again, with more
// patience. One that failed is not asked again for the same open file as long as there are others. A replica whose
// checksums are wrong is reported, and another one read. Files in encryption zones and erasure-coded ones are refused.
//
// # Files appear whole
//
// [Upload] and [WriteFile] write to a temporary name in the same directory,
// compare the length that the NameNode reports with what was sent, and rename.
// A reader sees the old file, the new one or none; a failure leaves nothing.
//
// # Logs
//
// [FS.Append] makes a file for a log: what was flushed survives its writer. A
// writer that fails begins another file; whoever reads calls [FS.Recover]
// first, which fences the writer and makes the length final:
//
//	writer         NameNode                    DataNodes              reader
//	Append    ───► create, addBlock
//	Write,    ─────────────────────────────► packets, and an
//	Flush     ◄───────────────────────────── acknowledgement of all
//	          ───► fsync: it has bytes         (first Flush of a block)
//	               recoverLease  ◄──────────────────────────────────── Recover
//	               the writer's lease is gone
//	               ──────────────────────────► agree on the length, new
//	                                           generation stamp
//	Flush     ─────────────────────────────► refused: ErrFenced
//	               closed, final length ─────────────────────────────► Open
//
// # Tests
//
// One suite tests the local disk, real daemons and the fake of package hdfstest.
package hdfs
