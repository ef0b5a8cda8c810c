// Package yarn provides containers of a YARN cluster.
//
// # Two lines
//
// One goroutine, the heartbeat, talks to the ResourceManager: it carries asks and
// releases there, and brings allocations and ends back. Orders wake it, so an ask
// goes out at once instead of with the next heartbeat; while one is unanswered it
// comes back soon (100 ms, slower as time passes: the ResourceManager allocates
// between heartbeats and answers in one), else once a second.
//
// Many goroutines, but only so many at a time, talk to NodeManagers: each starts or
// stops one container. A node that does not answer holds up nobody else.
//
// # Exact numbers
//
// The ResourceManager counts down what was asked of it with each container that it
// allocates, before we hear of it. So each pool has three numbers: how many there
// shall have been in all (what Ask said), how many there were, and how many the
// ResourceManager has outstanding as far as we know. An ask is sent when the last
// is not the difference of the first two, and whenever the ResourceManager has
// forgotten us. What it allocates too much because both spoke at the same time is
// the receiver's to release.
//
// Pools are told apart by priority: the first pool has priority 1, and so on; lower
// is served first. A container of an earlier attempt is known by it too.
//
// # Nodes to avoid
//
// Which nodes are to get no containers is decided in package reconcile; the
// ResourceManager is told with a heartbeat, and again when it has forgotten us (avoid.go).
//
// # So many on a node
//
// A pool with a bound for each node is asked for by the names of hosts (spread.go), which the ResourceManager lists to its
// clients (lookout.go).
//
// # Room
//
// What the ResourceManager says of the cluster's nodes and of the queue's headroom is
// handed on after each change, as far as its scheduler counts it (cluster.go).
//
// # The ResourceManager's moods
//
//	ApplicationMasterNotRegistered, AM_RESYNC   register again, send everything again
//	ApplicationAttemptNotFound, AM_SHUTDOWN     Done: another attempt is in charge
//	InvalidResourceRequest                      the application fails: it can never be
//	no answer                                   go on trying; what runs goes on running
package yarn
