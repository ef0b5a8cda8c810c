// Package hadooprpc is the root of a Hadoop client library in Go, of its own worth: a program that imports nothing
// else of this module can list and submit applications, be an application master, start containers, and read and
// write HDFS. No Java, no cgo.
//
//	conf       Hadoop's XML configuration, resolved as Hadoop resolves it
//	token      credentials files: delegation tokens and secrets
//	yarn       typed clients for ResourceManager, scheduler and NodeManagers
//	hdfs       files, in HDFS and on the local disk, behind one interface
//	logagg     aggregated container logs
//	nodelog    logs of containers that run, from their NodeManagers
//	ipc        Hadoop RPC: multiplexed connections, deadlines, retries, failover
//	sasl       authentication of those connections
//	wire       the bytes on them
//	pb         the messages in them
//	hadooptest the server's side of ipc, for tests
//
// Each builds on those below it:
//
//	yarn ──► ipc ──► sasl ──► pb        logagg ──► hdfs ──► conf, ipc
//	 │        ├────► wire
//	 │        └────► token ──► pb
//	 └─────► conf (by its Get method only)
//
// A program that lists applications is in examples/listapps.
package hadooprpc
