// Package schedtest runs the scheduler's core in a small world of its own:
// model workers, model clients and an adversary, under a virtual clock, all from
// one seed.
//
//	           ┌────────────── World ───────────────────────────────┐
//	adversary ─┤ picks one thing at a time: a message to deliver, a  │
//	 (seed)    │ task to start or end, a client's request, a fault   │
//	           │                                                     │
//	           │ machine ── conn ──┐               ┌── clients       │
//	           │ machine ── conn ──┼── sched.Core ─┤                 │
//	           │ machine ── conn ──┘       │       └── stores        │
//	           │                         twin                        │
//	           └─────────────────────────────────────────────────────┘
//
// What TCP promises holds: the messages of one connection arrive in order or,
// after a cut, not at all. Between connections anything goes. A machine that
// lost its connection comes back as a new worker with what it holds, before or
// after the scheduler noticed, and may say things again that it said before.
//
// After every step [sched.Core.Check] counts the core's books again, and the
// twin (twin.go), which decides by slow and obvious code what each task's state
// must be, is compared with the core. At the end the world heals; then all that
// is wanted must have the outcome that a plain recursive evaluation of the graph
// gives (oracle.go), half of the time after all that failed was retried, and once everything is let go, nothing may be left anywhere.
//
// A run is a function of its [Plan]: a failing one is printed as flags that
// replay it, after [Shrink] has made it smaller.
package schedtest
