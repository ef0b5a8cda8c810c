// Package client is the engine's client side: a session with the scheduler, jobs,
// submissions, outcomes, and results fetched from the workers that hold them. It
// speaks of bytes and indices; package engine puts types on top.
//
// # Who owns what
//
//	user's goroutines            reader (one goroutine)             scheduler
//	  Job.Submit ─┐
//	  Job.Submit ─┼─► building ──► call{id} ──────────────────────► Request
//	  Job.Cancel ─┘      ▲            │ calls: pending, by id
//	                     └─ acked ────┼────────◄──────────────────── Reply{id}
//	  Job.Wait ◄── cells ◄────────────┘        ◄──────────────────── Reply{Ended} of a Watch
//	  Job.Result ◄──────────────── workers' data plane
//
// A Client has one goroutine, the reader: it reads replies, and dials again when
// the connection breaks. Client.mu guards the connection and the calls, Job.mu the
// columns being built and the cells; Job.mu may be held when Client.mu is taken,
// never the other way round. No goroutine and no channel belongs to a task: 13 bytes
// in columns do, beside a small result, and a channel when somebody waits (cell.go). To a
// task of a range (Job.SubmitRange) nothing does until it has ended or somebody asks for
// it: a range is one call, and a bit for each page of 256 tasks (range.go).
//
// # Natural batching
//
// A submission goes out at once while fewer than two frames of its job wait for
// their acknowledgement; otherwise it joins the batch that is being built, which
// goes out with the next acknowledgement. A lone task is not delayed, a stream of
// tasks travels in large frames, and there is no timer. What is neither
// acknowledged nor sent is bounded in bytes; Submit waits when that is reached.
// Releases and questions (Locate) gather in the same way.
//
// # Broken connections
//
// A call stays in the list until its reply is there. On a new connection that
// resumes the session all pending calls are sent again in the order of their ids:
// every request may be repeated, as a repeated Submit has the same first index, and
// a Watch goes on from its last position. When the session cannot be resumed (its
// lease ran out, or the scheduler is another one), jobs without a name are lost;
// named jobs are opened again and go on when they are still the same job.
//
// # Within a task
//
// A client within a task (DialInside) has no certificate and no connections of its own:
// its frames go over a pipe to the worker that runs the task, which relays them, and large
// results come the same way, piece by piece. Whatever waits for long (Job.Wait, Acquire,
// WaitEvent) gives the task's slots up meanwhile.
//
// # Non-obvious
//
//   - An outcome of a task that nobody here holds (a job found again by name) is
//     dropped when its Watch tells of it; a Future made later asks by Locate.
//   - A result whose holder is gone is asked for again (Locate) until the scheduler
//     has had it computed anew. Only a holder that answers that it has no such
//     result is reported (ResultLost); one that cannot be reached may be alive.
//   - Scheduler positions in "the order of ending" are per job, so two clients
//     that watch one job do not disturb each other.
package client
