package sched

// Reason says why a row of an event changed nothing.
type Reason uint8

const (
	UnknownJob    Reason = iota // no such job, or it is closed
	UnknownClass                // not the next class, or not declared
	UnknownTask                 // no such task, or forgotten
	UnknownWorker               // no such worker: it left before
	BadBatch                    // columns that do not fit, or not the job's next tasks
	BadWorker                   // an id that was used before
	BadRow                      // columns of different lengths, kinds that cannot be
	StaleAttempt                // about another attempt than the live one, or on another worker
	StaleResult                 // about a result that nobody needs or that is not the accepted one
	NotHeld                     // released or unpinned more often than held; retried when it was let go of
	AlreadyEnded                // cancelled after its end
	NotFailed                   // retried without having failed
	AlreadyExists               // a job opened twice

	reasons = iota
)

var reasonNames = [reasons]string{
	"unknown job", "unknown class", "unknown task", "unknown worker", "bad batch", "bad worker",
	"bad row", "stale attempt", "stale result", "not held", "already ended", "not failed", "already exists",
}

// String returns the reason in words.
func (r Reason) String() string { return reasonNames[r] }

func (c *Core) reject(r Reason) { c.rejected[r]++ }

// Rejected returns how many rows changed nothing, by Reason. Stale ones are
// everyday life; the others mean that a peer does not follow the protocol.
func (c *Core) Rejected(r Reason) uint64 { return c.rejected[r] }
