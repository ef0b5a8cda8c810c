// Package sched decides which worker runs which task. It is a value: events go
// in by [Core.Step], what is to be done comes out by [Core.Output], and nothing
// else happens. It has no clock (a Tick is an event), no I/O, no goroutine and
// no randomness, so that whatever it did can be done again.
//
//	           OpenJob, DeclareClass, Submit, SubmitRange, Release, Pin, Cancel, Retry, CloseJob
//	clients ──────────────────────────────────────────────┐
//	                                                       ▼
//	           WorkerJoined, WorkerLeft, Started,      ┌──────┐  Assign, Stop, Retract,
//	workers ── Parked, Unparked, Done, Failed, ───────►│ Core │  Free, Copy ──────────► workers
//	           Retracted, Copied, Missing, Adopt       └──────┘  Ended ───────────────► clients
//	                                                     ▲  │    Forget, Gone, Retired
//	the loop ── Tick, Retire ────────────────────────────┤  │
//	a journal ── clients' events, Recall, Restored ──────┘  └── Facts ────────────────► a journal
//
// The loop that owns the core takes in everything that has arrived, then asks
// for the output once: assignments are made there, in one go.
//
// # Rules
//
//   - A task is in one [State]; transitions have names (state.go). An illegal one
//     is a defect of this package and panics. Events are never trusted: rows that
//     make no sense, or are about an attempt that is not the live one, change
//     nothing and are counted by [Reason].
//   - A result counts only if its task, attempt and worker match a live
//     assignment. There is at most one per task, or two (speculate.go). (A worker that reconnects may
//     still bring the last attempt's result, as long as no newer one was given.)
//     So nothing that is late, doubled or from a worker that was given up can do
//     harm, and no state is needed for "cancelled, but still running somewhere".
//   - A task is wanted if the job holds it, somebody pins it, or an active task
//     needs its result (refs.go). What is wanted is computed, and computed again
//     when its result is lost; what is not is dropped, freed and forgotten.
//   - A task's payload is kept while any descendant might be computed again
//     (task.kin). A result inline at the scheduler cannot be lost: lineage ends
//     there.
//   - A failed task that is held can be retried: its payload and lineage are kept
//     until it is let go of, like those of a Done one (retry.go). A cancelled one
//     cannot.
//   - A slow task of a class that may run twice gets a second attempt (speculate.go).
//     It has at most two at a time; the first result counts.
//   - A short task may be assigned before its inputs are there, to the worker that is
//     about to compute them (follow.go). It is Assigned with waiting > 0 then; whatever
//     becomes of what it follows, its worker only ever starts it or is told to stop it.
//   - A death is blamed only on a task that was alone (blame.go).
//   - A core can take over from one that died (restore.go): it is told what clients did and
//     what became of it, then workers bring back what they have. What somebody was told
//     stays, and results that a worker brings in time are not computed again.
//   - An attempt that waits for tasks which it submitted takes no slot meanwhile (park.go).
//   - Time is what the last Tick said. Without Ticks, about every 50 ms, nothing
//     that waits (for locality, for a copy, for a worker's rest) goes on.
//   - Forgotten tasks take no memory: a chunk of rows, or of edges, that are of no use
//     is dropped (table.go). To find it in a small test there is a build tag (chunk.go).
//   - Tasks of a range have no rows before something is to be known of one: a range of any
//     length costs some 30 bytes for a chunk of 4,096 (range.go).
//   - Cost: a row is one cache line, an edge 12 bytes, neither holds a pointer;
//     consequences are a list, never a recursion; a turn looks at the workers that
//     may be given something and at each task only when something happened to it; the
//     loss of a worker costs what it held and ran, however large the jobs are.
//
// # Map
//
//	event.go output.go   the contract
//	state.go             states and transitions
//	table.go job.go      where everything is kept
//	core.go              Step, Output, consequences
//	submit.go refs.go    jobs come and go; who wants what
//	range.go             many tasks that have no rows yet
//	retry.go             failed tasks run again
//	attempt.go blame.go  attempts: given, started, done, failed, retracted
//	follow.go            assigned before the inputs are there
//	worker.go crew.go    workers: joined, left; which of them a turn looks at
//	retire.go            drained
//	results.go           where results are; lost, found again, freed
//	terms.go             what tasks need of a worker, and what it has
//	speculate.go         second attempts of slow tasks
//	demand.go            what remains to be done; what planned shrinks cost
//	park.go              attempts that wait for tasks of their own
//	fact.go restore.go   what a journal keeps; taking over with that; what workers bring along
//	lane.go near.go      ready queues
//	place.go             which queue a task waits in
//	fill.go rebalance.go who gets what, and who gives it back
//	duration.go          how long tasks of a class take
//	reject.go            why events changed nothing
//	why.go               what keeps a task from going on
//	query.go check.go    looking, and counting everything again
package sched
