// Package wires is a network for the embedded cluster (minicluster.Options.Network) whose wires can be
// cut: each node is in a network namespace of its own, and this process's namespace has the other daemons and
// clients, and routes between all of them.
//
//	this process                      node i
//	┌─────────────────────┐          ┌───────────────────────┐
//	│ 10.77.0.1 RM        │          │                       │
//	│ 10.77.0.2 HDFS      │ veth     │                       │
//	│ 10.77.i.1 clients   ├──────────┤ 10.77.i.2 NodeManager │
//	│                     │          │           containers  │
//	└─────────────────────┘          └───────────────────────┘
//
// A wire is cut for packets from one address to another by a routing rule: they vanish, as on a network
// that is broken, and connections that are open do not break.
//
// All of it is in namespaces that nobody else has, so nothing of it is left when the processes have ended, however
// they ended: see [Private].
package wires
