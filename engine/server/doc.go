// Package server is the scheduler process: it owns the cluster's jobs and speaks
// with its clients and workers. What to run where is decided by the pure core
// (package sched); this package gives it events and does what it says.
//
// # One loop
//
//	accept ──► reader (one a connection) ──┐                     ┌──► conn.Put, Depart
//	           decode, check, convert      ├─► inbox ─► turn ────┤    (a writer each)
//	ContainerExited, Shrink, timer ────────┘   (bounded)         └──► Fleet
//
// The loop owns everything that changes: the core, jobs and their outcomes, workers,
// sessions, names, gates. Its turns are done one at a time: by the reader that brings an
// input while nobody else does one, else by the loop's goroutine (package turns). A turn
// takes all inputs that wait, steps the core with each, and only then does what the core
// wants done, one frame a worker and kind. So under load frames grow by themselves, and
// without load nothing waits for company, nor for a goroutine to wake.
//
// A turn never blocks: it writes a few bytes if the socket has room for them, and leaves
// what is more to outboxes that are bounded. Who does not
// read loses the connection (a worker) or is simply not served further (a client:
// its requests are not read while its outbox is full, and watchers pull from a
// cursor when there is room). Readers block when the inbox is full, which in the
// end holds back the peer by TCP.
//
// # Where things are kept
//
//   - core: states, edges, attempts, who holds what.
//   - job: classes, payloads (until Output.Forget), a row a task with its outcome and,
//     when that is small, its result; texts of failures. Rows are made a page at a time
//     when a task of it begins, and go when the core has forgotten their tasks. A range
//     keeps what its payloads begin with: each is made when its task is assigned.
//   - a job's log: the indices of its ended tasks in the order of their ending. A
//     Watch is a cursor in it, so a client that comes back goes on where it was.
//   - session: a client's; it outlives its connection by Options.Session.
//   - nest: the client within a task. Its stream comes piece by piece from the attempt's
//     worker, and it has a session like any other, with fewer rights, until the attempt
//     ends.
//   - mail: what actors are asked for, in mailboxes, each a small pure core too, and their
//     checkpoints. A call is there until it was answered or its session ends; it is given to
//     the one attempt that lives, by the session of that one's nest.
//   - scaler: how large the pools are that scale by themselves (package adapt decides), why,
//     and what the fleet says of them.
//   - gates: locks, semaphores and events, a small pure core of their own; what a
//     session holds of them ends with it.
//   - worker: one incarnation. A connection that breaks leaves it "away" for
//     Options.Grace; the same worker coming back is a new incarnation, which says
//     what it holds before the old one leaves, so no result is lost between.
//
// # What outlives it
//
// With a journal (Options.Journal) the loop records what a scheduler must know that takes
// over: see ledger.go. Replies are held until what they stand on is safe, so the loop itself
// never waits for a disk. replay.go reads what write.go wrote, takeover.go is the rest of
// a beginning, snapshot.go says everything anew, a share of walk.go's walk in some turns.
// Bundles go to a store of their own (shelf.go).
//
// # Errors
//
// A panic while one input is handled costs that connection, and is logged with its
// stack; one inside the core ends the process, because its state cannot be trusted
// any more.
package server
