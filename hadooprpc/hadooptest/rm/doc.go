// Package rm is a ResourceManager in Go: on real sockets it speaks ApplicationClientProtocol and
// ApplicationMasterProtocol as Hadoop 3.4.2 does, and serves the web proxy. It is the heart of the embedded cluster, for
// tests that want a cluster in milliseconds, and for people who want to try one.
//
//	m, err := rm.New(rm.Options{})
//	defer m.Close()
//	node := …(m)              // NodeManagers call m.RegisterNode and m.Heartbeat: see package tracker
//	c := yarn.NewClient(yarn.Options{Addresses: []string{m.ClientAddr()}})
//
// All state is a core.Cluster, guarded by one lock; the rest is thin:
//
//	client.go    calls of clients          report.go   reports as messages
//	master.go    calls of application masters          tokens.go, delegation.go   keys, tokens
//	nodes.go     calls of NodeManagers     launch.go   starts application masters on their nodes
//	web.go, proxy.go   pages               misbehave.go, restart.go   what goes wrong when told to
//
// # Misbehaviour
//
// What a cluster does to its applications at the worst of times can be had at will: Preempt, RollAMRM, RollKeys,
// LoseNode, Cut, Decommission, HandOut, Hold, Pause, Stop, Start and Restart with or without what a state store keeps,
// Standby. Single calls are delayed, dropped or refused by hadooptest.Fault: see ClientServer and SchedulerServer. Time
// itself can be moved on by Advance, for everything that expires.
//
// # What it is not
//
// There is no Kerberos: users are who they say they are, as on a real cluster without security; Options.ClientTokens has
// the tokens of clients for application masters all the same. There are no
// reservations, no placement constraints, no timeline service, no administration protocol. Opportunistic containers are
// given like others.
//
// Sources: ClientRMService, ApplicationMasterService, AMLauncher, AMRMTokenSecretManager,
// RMContainerTokenSecretManager, NMTokenSecretManagerInRM, RMDelegationTokenSecretManager, WebAppProxyServlet (3.4.2).
package rm
