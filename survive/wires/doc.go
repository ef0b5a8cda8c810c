// Package wires is a network for the embedded cluster (minicluster.Options.Network) whose wires can be
// cut: each node's processes are in a network namespace of their own, and this process's namespace has the
// daemons and routes between all of them.
//
//	this process                      node i
//	┌───────────────────────┐        ┌─────────────────────┐
//	│ 10.77.0.1 RM          │        │                     │
//	│ 10.77.0.2 HDFS        │ veth   │                     │
//	│ 10.77.i.1 NodeManager ├────────┤ 10.77.i.2 container │
//	│           clients     │        │                     │
//	└───────────────────────┘        └─────────────────────┘
//
// A wire is cut for packets from one address to another by a routing rule: they vanish, as on a network
// that is broken, and connections that are open do not break.
//
// All of it is in namespaces that nobody else has, so nothing of it is left when the processes have ended, however
// they ended: see [Private].
package wires
