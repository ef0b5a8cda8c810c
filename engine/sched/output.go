package sched

import "github.com/yarnd/yarnd/engine/graph"

// Output is what the core wants done, in the manner of a raft Ready: the caller
// takes it after a turn (one or many Steps) and does all of it, in this order.
// It is the caller's until the next call of Core.Output, which reuses it. Rows
// are grouped by worker by the caller; the order within one worker is the order
// of the rows.
type Output struct {
	// Assign starts attempts; row i's inputs are Inputs[Assign[i].From:Assign[i].To].
	Assign []Assign
	Inputs []Input
	// Stop ends attempts that a worker was given: no longer wanted (cancelled, or
	// assigned elsewhere). No answer is needed; a late one has a stale attempt.
	Stop []Order
	// Retract asks a worker to give back attempts that it has not started.
	Retract []Order
	// Free tells holders to drop results. Worker 0 is the scheduler's own store of
	// inline results.
	Free []Order
	// Copy asks a worker to fetch a result from a holder and keep it.
	Copy []Copy
	// Ended tells of tasks that reached an outcome which the job's clients may see:
	// results of tasks that somebody holds, and every failure. A result that was
	// lost and computed again is told again, with its new attempt. With Again it takes
	// a failure back that was told: the task runs again.
	Ended []Ended
	// Cancelled are more tasks that ended, as FailCancelled, without an attempt: of ranges.
	Cancelled []graph.Run
	// Forget says that a task's class and payload will never be needed again.
	Forget []graph.TaskID
	// Forgotten are more of these, which were never assigned: of ranges.
	Forgotten []graph.Run
	// Gone names closed jobs of which nothing is left: classes, payloads and
	// failures of all their tasks can be dropped.
	Gone []graph.JobID
	// Retired names workers that are drained and may be let go.
	Retired []graph.WorkerID
}

// Assign is one attempt for one worker.
type Assign struct {
	Worker   graph.WorkerID
	Task     graph.TaskID
	Attempt  graph.Attempt
	From, To uint32 // rows of Inputs, in the order of the task's dependencies
}

// Input is a result that an attempt needs.
type Input struct {
	Task    graph.TaskID
	Attempt graph.Attempt // that gave the result
	Size    uint64
	Inline  bool              // the scheduler holds the bytes and sends them along
	Held    [3]graph.WorkerID // up to three holders, best first; 0 is none
}

// Order names an attempt or a result on a worker.
type Order struct {
	Worker  graph.WorkerID
	Task    graph.TaskID
	Attempt graph.Attempt
}

// Copy asks To to fetch Task from From.
type Copy struct {
	To, From graph.WorkerID
	Task     graph.TaskID
	Attempt  graph.Attempt
	Size     uint64
}

// Ended is a task with an outcome. The failure's text is the caller's to keep
// (it saw the FailedAttempt); Cause is the task in which it happened.
type Ended struct {
	Task    graph.TaskID
	Attempt graph.Attempt
	Kind    graph.FailKind // FailNone: a result
	Cause   graph.TaskID   // FailUpstream: the task that failed first
	Size    uint64
	Inline  bool
	Again   bool // a failure was taken back: there is no outcome yet
}
