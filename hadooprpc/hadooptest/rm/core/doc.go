// Package core decides what the embedded ResourceManager does: which application may run, which container goes to
// which node, who is lost, who is told what. It has no clock, no goroutine and no I/O: every method takes the time, and
// what has to happen outside, the launch of an application master, is a value for the shell to act on.
//
//	                submit, kill, move …                 register, allocate, finish
//	client ───────────────────────────►┌─────────┐◄──────────────────────────────── application master
//	                                   │ Cluster │
//	shell's ticker ── Tick ───────────►└─────────┘◄── RegisterNode, Heartbeat ────── NodeManager
//	                                        │
//	                                        └── TakeLaunches ──► shell starts an application master on its node
//
// # Vocabulary
//
// An application has attempts, one at a time; an attempt is the life of one application master. Containers belong to an
// application; the attempt that holds a container need not be the one that its id names, because a new attempt takes
// over what runs when the application keeps its containers.
//
// A container goes Allocated → Acquired → Running → gone. It is Allocated on a node's heartbeat, never inside the
// allocate call that asks for it; Acquired when its application master has been told, and with it given a token; Running
// when its node says so. A container that stays Acquired too long expires.
//
// What ended is told to the attempt with the next allocate, and acknowledged to the node with the one after that, when
// it is certain that the application master has heard.
//
// # Asks
//
// The scheduler keeps, for each priority and allocation request id, one row for each resource name: a host, a rack, "*".
// A row replaces the one before, capability and all. The row "*" holds the count that is outstanding; a row for a host
// or rack says where to prefer. An allocation takes one from each row that it satisfies.
//
// # States
//
//	application  SUBMITTED → ACCEPTED → RUNNING → FINISHED | FAILED | KILLED
//	attempt      SCHEDULED → ALLOCATED → LAUNCHED → RUNNING → FINISHING → FINISHED | FAILED | KILLED
//
// Sources: RMAppImpl, RMAppAttemptImpl, RMContainerImpl, RMNodeImpl, CapacityScheduler, AppSchedulingInfo,
// LocalityAppPlacementAllocator, ApplicationMasterService, DefaultAMSProcessor (3.4.2).
package core
