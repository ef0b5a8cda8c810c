// Package reconcile decides how an application gets from the containers that it
// has to the containers that it wants. It is a pure core: [Core.Step] takes an
// event and the time and returns actions. It has no clock, no I/O, no goroutine,
// and no randomness but the seed it is given, so a simulation can feed it every
// order of events that a resource manager may come up with.
//
// # The states of a container
//
//	           Allocated                 Launched
//	(asked) ──────────────► starting ──────────────► running
//	                           │ │                      │
//	           extra: released │ │ LaunchFailed,        │ Completed
//	                           │ │ Completed            │
//	                           ▼ ▼                      ▼
//	                          gone ◄──── stopping ◄─────┘ Release, Kill, shrink, stop
//	                               Completed, or given up
//
// Starting and running containers are live. A container that is stopping is on
// its way out and counts for nothing; if its end is never reported it is handed
// back to the resource manager and forgotten.
//
// Containers of an earlier attempt of the application master begin otherwise:
//
//	Recalled: missing ──Adopted, Heard──► running   Adopted, not recalled: running
//	             │
//	             └── Completed, or nothing for a while: gone
//
// Missing containers are live, so that nothing is asked for in their place.
//
// # Exact counts
//
// After every step and for every pool
//
//	asked = wanted − (live − leaving)      (while the pool is not held back: see below)
//
// where leaving are those that are drained one by one (retire.go), and those that the scheduler
// does not know any more (silent.go); and asked is what the provider was last told, less what it has allocated
// since. A container that comes when none is asked for is released in the same
// step. So there are never more live containers than wanted, but for the moment
// after the wanted number was lowered. What has not come for its certificate yet (Came)
// holds nothing and goes at once: it is being launched, or waits on its node. Of the
// others the scheduler is asked which it can do without (TellShrink) and answers with
// Release; it is told again when another one has joined it. Without
// a scheduler for OrphanGrace the core picks the youngest itself.
//
// # Failures
//
// Each pool counts rounds of failures. A round ends with the first failure of a
// container that was started in it; the others that were started in the same
// round and die of the same thing count no more. After each round the pool is
// held back: asks are not raised until a delay has passed, which doubles from
// BackoffBase to BackoffCap. A container of the present round that stays well for
// the pool's HealthyAfter ends the series. When more rounds in a row have failed
// than the pool's Restarts, and no container of it is well, the application fails.
// To wait on a node, as an opportunistic container may, is not to be well.
//
// What had come up (a worker has its certificate, a scheduler has attached) and was then
// killed by SIGKILL or SIGTERM counts for no failure, however short it ran: its pool is held
// back for BackoffBase, each time.
//
// A pool may have a bound on how many of its containers are on a node (spread.go): what comes on a full one
// is handed back, and holds the pool back.
//
// A node on which one container after the other does not stay up is avoided for a while
// (avoid.go).
//
// Preemption, lost nodes, broken disks, and what we or the resource manager
// killed are nobody's fault and count for nothing: see [Cause.Blameless].
package reconcile
