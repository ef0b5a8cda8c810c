// Package schedtest runs the scheduler's core and the workers' cores in a small world
// of their own, with model clients and an adversary, under a virtual clock.
//
//	           ┌──────────── World ───────────────────────────────────────────┐
//	adversary ─┤ chooses one Action at a time: a message to deliver, a task    │
//	 (seed) or │ or fetch to end, a client's request, a fault                  │
//	  script   │                                                               │
//	           │ machine(local.Core, watch) ── conn ─┐               ┌─ clients │
//	           │ machine(local.Core, watch) ── conn ─┼── sched.Core ─┤          │
//	           │ machine(local.Core, watch) ── conn ─┘       │       └─ stores  │
//	           │                                            twin                │
//	           └────────────────────────────────────────────────────────────────┘
//
// What TCP promises holds: the messages of one connection arrive in order or, after a
// cut, not at all. Between connections anything goes: messages are late, connections are
// cut or parted, given up while the worker lives, reports and orders come twice, workers
// and executors die, stores lose results, attempts and fetches fail or take long, clients
// ask for anything at any time, and the scheduler's process is replaced: by one that knows
// nothing, or by one that takes over with what the journal has (journal.go), the end of which
// may be lost. A machine that lost its connection comes back as a new worker with what it
// holds and runs, before or after the scheduler noticed, to the same scheduler or the next.
//
// # What is checked
//
// The numbers are those of the invariants of a scheduler.
//
//	1 conservation   the twin (twin.go), which decides by slow and obvious code what each
//	                 task's state must be, is compared with the core after every step
//	2 one outcome    what a client was told stays (World.ended); each result that is read,
//	                 and at the end every one, is what a plain recursive evaluation of the
//	                 graph gives (oracle.go)
//	3 fencing        the twin takes a report only of the live attempt, on its worker; no
//	                 attempt is given twice, by whichever scheduler (World.given); who takes
//	                 over has attempts go on that belong to the task, and to no other that
//	                 had its number before (twintake.go)
//	4 leases         the twin objects to an attempt while another lives
//	5 dependencies   to one whose inputs are not all there; so does the watch of each
//	                 machine (watch.go) when the worker's core runs it
//	6 progress       a healed world comes to rest within roundsFor rounds (heal.go); no
//	                 machine has a free slot and an attempt that could run
//	7 bounds         the stores hold what a task needs and nothing else, workers have no
//	                 more than their credit, after every turn (World.bounds); fetches and
//	                 slots are within limits; at the end nothing is left anywhere
//	8 blame          the twin counts setbacks, and objects to a failure too early or too
//	                 late (setback.go)
//	9 references     freed if and only if nobody needs it: the twin, and World.bounds
//	12 replay        equal plans give equal hashes of all outputs and of all of the core's
//	                 state after every turn (TestReplay). At any moment a core that takes over
//	                 with the journal, and to which all machines come back, knows what the
//	                 live one knows (World.shadow), and so does one that takes over with a snapshot
//	                 that was taken meanwhile, bit by bit (haze.go); all that clients were told is in the
//	                 journal, and nothing else (World.tell)
//
// [sched.Core.Check] counts the core's books again after every turn, and in one schedule
// of eight after every step.
//
// # Scripts
//
// An Action leaves nothing to chance, so the list of what an adversary did is a script
// (script.go) that can be done again, with parts left out: [Shrink] makes a failure as
// small as it can. Those of testdata/scripts are replayed by a test.
//
// Which events met a task in which state is counted (coverage.go): a long run fails when
// a pair neither occurred nor is declared impossible, or occurred and is. Whether faults
// in the cores would be found is tested by putting them in: see package mutate.
package schedtest
