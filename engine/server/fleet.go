package server

import (
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Fleet is whoever starts and stops workers: the application master, a test, or
// nobody. Its methods are called from one goroutine, in order, and may take their
// time: the scheduler does not wait for them, and skips Reports meanwhile.
type Fleet interface {
	// Want asks for n workers of a pool, for a reason that people understand.
	Want(pool string, n int, reason string)
	// Release gives back workers (by name: their containers) that are drained.
	Release(workers []string, reason string)
	// Report tells about once a second how things stand.
	Report(Report)
}

// Report is how the engine stands at one moment.
type Report struct {
	At         time.Time
	IdleSince  time.Time // zero while there is unfinished work or a client is connected
	Clients    int       // sessions with a connection
	Unfinished int       // tasks that have not ended
	Workers    []WorkerRow
	Jobs       []JobRow
}

// WorkerRow is a worker in a Report.
type WorkerRow struct {
	ID         graph.WorkerID
	Name       string // its container
	Host, Pool string
	State      string // "running", "away", "draining"
	Slots      int
	Running    int     // tasks that run
	Queued     int     // tasks that it was given and has not started
	Memory     uint64  // bytes it may use for results
	MemoryUsed uint64  // bytes of results
	RSS        uint64  // bytes, with its executors
	Done       uint64  // tasks since it joined
	CPU        float64 // cores, over the last second
	Joined     time.Time
}

// JobRow is a job in a Report.
type JobRow struct {
	ID     graph.JobID
	Name   string // empty for an unnamed one
	Owner  string
	Opened time.Time
	// Tasks by state; they add up to Tasks.
	Tasks, Waiting, Ready, Running, Done, Failed, Cancelled int
	// Kept is for how long it is there, if nobody uses it; 0: it is in use, or there is no end.
	Kept time.Duration
}
