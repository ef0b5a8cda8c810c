// Package hdfstest is an HDFS of one NameNode and one DataNode, or several, in this process, on real sockets, with
// their real protocols, over a directory: the file /a/b is the file a/b there, so a test can look at it and
// put files into it. It can be told to misbehave as a cluster does whose NameNode is down, hangs or is in
// safe mode, or whose DataNode is down, hangs or is full: see [Trouble]. One of several DataNodes can fail its readers:
// see [Cluster.OnRead]. Data travels as [Transfer] says: authenticated, signed or encrypted.
//
//	c, err := hdfstest.Start(hdfstest.Options{Dir: t.TempDir()})
//	defer c.Close()
//	conf: fs.defaultFS = c.URL()
//
//	hdfstest.go   start, troubles
//	namenode.go   ClientProtocol: names, permissions, listings
//	lease.go      ClientProtocol: files being written, blocks, leases, recovery
//	tree.go       which file a block belongs to, and who may write to it
//	datanode.go   the data transfer protocol: requests, blocks being written
//	reading.go    blocks being read
//	packet.go     its packets
//	transfer.go   its proofs, tokens and encryption
//	delegation.go ClientProtocol: delegation tokens
//
// What it is not: there are no quotas, owners are who runs it and permissions keep nobody out, leases do not
// expire, nothing is replicated, and a block may be as long as it likes where a file was put into the directory.
// The suite of package hdfs passes here and on real daemons.
package hdfstest
