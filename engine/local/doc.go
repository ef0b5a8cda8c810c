// Package local is a worker's core: it decides what the worker runs, fetches and
// drops. It is pure: events go in (Step), what is to be done comes out (Output);
// no clock, no I/O, no goroutine. The worker's loop owns it (package worker).
//
// # An attempt's way
//
//	            inputs missing          inputs here          slots free
//	Assigned ──► waiting ─────────────► ready ─────────────► running ──► ended
//	               │  ▲ an input is freed │                     │ Stop
//	               │  └───────────────────┤                     ▼
//	               └── Stop, Retract, ────┴──► forgotten ◄── stopping (ends unheard)
//	                   a lost connection
//
// Attempts are named by task and attempt number, so a task that was stopped here
// and assigned here again is two attempts, and nothing said about the old one
// touches the new one. Every attempt that was assigned leaves in exactly one way:
// done, failed, retracted, or stopped.
//
// Short tasks are handed out before there is a slot for them, and can be had back as
// long as they have not begun: running then means handed out (ahead.go). That is also
// where it says which attempts the scheduler is told of as Started, and when.
//
// An attempt that waits for tasks which it submitted itself takes no slots (park.go).
//
// Ready attempts run by priority, then in the order in which they were assigned. An
// attempt that needs several slots is not overtaken by others while it waits for
// them.
//
// # Inputs
//
// An input that is not held is fetched once, however many attempts wait for it,
// from its holders one after the other. Fetches are bounded in number and bytes.
// What was fetched is kept and reported (Copied): the scheduler frees it when
// nobody needs it any more. Small results that the scheduler itself keeps, and
// that were too many to come with the attempt, are fetched from it and stay its
// own: they are here on loan, for those attempts alone (loan.go). When no holder is left, all that wait fail with
// graph.FailInput.
//
// An input may also be the result of an attempt that is here and has not ended: it is
// there when that one has (follow.go).
//
// An attempt of a lazy class does not wait for large inputs: it reads the parts that it
// needs itself, from the store if they are there and else from a holder. If it cannot, it
// ends with graph.FailInput.
//
// # Connections
//
// Each connection is a new incarnation of the worker (Joined). A lost one (Left)
// forgets all that did not run yet; what runs goes on. With the next one the scheduler
// is told what there is: the attempts (AppendRunning) and the results (AppendHeld); then
// which of those have begun or wait, and how those ended that nobody could be told of. It
// stops what it does not want any more. A scheduler that knows no task of the last one
// numbers its own from the beginning: then nothing of before may be taken for something
// of now, and all of it is dropped (Joined.Fresh).
package local
