// Package hadooptest is the other end of Hadoop IPC: a server in Go that speaks version 9 on a real socket, and that
// can be told to misbehave. Tests of everything above package ipc run against it in milliseconds; what it may claim is
// checked by the tests that run against real daemons.
//
//	s, err := hadooptest.NewServer(hadooptest.Options{})
//	hadooptest.Handle(s, protocol, "getClusterMetrics",
//	    func(ctx context.Context, c *hadooptest.Call, req *pb.GetClusterMetricsRequest) (*pb.GetClusterMetricsResponse, error) { … })
//	defer s.Close()
//	client := ipc.NewClient(s.Addr(), protocol, ipc.Options{})
//
// It authenticates as Hadoop does: SIMPLE without security, TOKEN by DIGEST-MD5 with any protection, and refuses
// with the exceptions and statuses that Hadoop uses. Handlers run concurrently, so replies leave in any order.
//
// Misbehaviour comes in two kinds. Per call, a Fault says what becomes of the call and its reply: delayed, dropped,
// cut in the middle, announced with an absurd length, answered by an exception. For the whole server, Refuse closes
// the port and opens it again, CloseConns ends all connections as an idle time-out or a restart would.
//
// Sources: org.apache.hadoop.ipc.Server (3.4.2).
package hadooptest
