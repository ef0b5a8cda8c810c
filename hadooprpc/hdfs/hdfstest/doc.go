// Package hdfstest is an HDFS of one NameNode and one DataNode in this process, on real sockets, with
// their real protocols, over a directory: the file /a/b is the file a/b there, so a test can look at it and
// put files into it. It can be told to misbehave as a cluster does whose NameNode is down, hangs or is in
// safe mode, or whose DataNode is down, hangs or is full: see [Trouble].
//
//	c, err := hdfstest.Start(hdfstest.Options{Dir: t.TempDir()})
//	defer c.Close()
//	conf: fs.defaultFS = c.URL()
//
//	hdfstest.go   start, troubles
//	namenode.go   ClientProtocol: names, permissions, listings
//	lease.go      ClientProtocol: files being written, blocks, leases, recovery
//	tree.go       which file a block belongs to, and who may write to it
//	datanode.go   the data transfer protocol
//	packet.go     its packets
//
// What it is not: there are no quotas, owners are who runs it and permissions keep nobody out, leases do not
// expire, nothing is replicated, and a block may be as long as it likes where a file was put into the directory.
// The suite of package hdfs passes here and on real daemons.
package hdfstest
