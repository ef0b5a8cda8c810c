package local

import "github.com/yarnd/yarnd/engine/graph"

// Key names an attempt, and the result that it gave.
type Key struct {
	Task    graph.TaskID
	Attempt graph.Attempt
}

// Compare orders keys by task, then attempt.
func (k Key) Compare(l Key) int {
	if c := k.Task.Compare(l.Task); c != 0 {
		return c
	}
	return int(int64(k.Attempt) - int64(l.Attempt))
}

// Assignment is an attempt for this worker.
type Assignment struct {
	Key
	Class   *Class
	Payload []byte
	Inputs  []Input
	Owner   any // whatever the caller wants to find in Output.Run and Output.Cancel
}

// Class is what a job's tasks have in common, and what this core learnt of it. The job's
// tasks share one.
type Class struct {
	*graph.Class
	// Place is where its tasks run, a small number: those of one place take slots from
	// one another without the core.
	Place int
	took  took
}

// Input is a result that an attempt needs.
type Input struct {
	Key
	Size    uint64
	Inline  []byte           // the result itself, when there are no holders
	Holders []graph.WorkerID // who has it, or is about to compute it, best first; 0 is the scheduler
}

// IsInline reports whether the input came along.
func (in *Input) IsInline() bool { return len(in.Holders) == 0 }

// Event is one thing that happened outside the core.
type Event interface{ event() }

type (
	// Joined begins a connection, under a new worker id. What has been handed out goes on,
	// and how it ended meanwhile is said now: AppendRunning names both. Fresh says that
	// it is to a scheduler that knows nothing of its predecessor's jobs and gives their
	// numbers to others: what is held or runs has lost its meaning and is dropped.
	Joined struct {
		Self  graph.WorkerID
		Fresh bool
	}

	// Left ends it.
	Left struct{}

	// Assigned gives attempts to this worker. Those it knows already are ignored. The
	// core copies what it needs of Tasks.
	Assigned struct {
		Tasks []Assignment
	}

	// Stop ends attempts, without an answer. Unknown ones are ignored.
	Stop struct {
		Tasks []Key
	}

	// Retract asks for attempts back; each is answered in Output.Retracted.
	Retract struct {
		Tasks []Key
	}

	// Free drops results. Unknown ones are ignored.
	Free struct {
		Tasks []Key
	}

	// Copy asks for results to be fetched and kept.
	Copy struct {
		Tasks []CopyOrder
	}

	// Fetched says that a fetch of Output.Fetch ended well: the store has it.
	Fetched struct {
		Key Key
	}

	// FetchFailed says that a fetch of Output.Fetch did not.
	FetchFailed struct {
		Key Key
		// Here says why, when it is this worker's fault: it has no room. Then no other
		// holder is asked, and none is blamed.
		Here *graph.Failure
	}

	// Ended says that attempts of Output.Run ended, in whatever way. Those that died
	// together come in one event.
	Ended struct {
		Attempts []End
	}

	// Park says that attempts which run wait for tasks of their own, Unpark that they
	// want to go on: Output.Resumed answers. Unknown ones are ignored.
	Park struct {
		Tasks []Key
	}

	// Unpark ends Park.
	Unpark struct {
		Tasks []Key
	}

	// Recalled answers Output.Recall, for attempts that have not ended.
	Recalled struct {
		Attempts []Answer
	}

	// Tick says that so many whiles have passed, each of some milliseconds. Core.Rest
	// says when the next one is needed.
	Tick struct {
		Whiles uint64
	}

	// Lost says that the store does not have a result that it should.
	Lost struct {
		Key Key
	}
)

// End is how an attempt ended.
type End struct {
	Key
	Failure *graph.Failure // nil: there is a result
	Size    uint64         // of the result, bytes
	Kept    bool           // the store has it; else it is Inline
	Inline  []byte
	Took    uint32 // microseconds
	Died    bool   // together with those of the same event: what they ran in died
	// Input, for a graph.FailInput, is which one could not be read: of this worker, or of
	// Holder unless that is 0.
	Input  Key
	Holder graph.WorkerID
}

// Answer is about a recalled attempt: OK means that it had not begun and never will.
type Answer struct {
	Key
	OK bool
}

// CopyOrder asks for a result to be fetched from a holder.
type CopyOrder struct {
	Key
	Size uint64
	From graph.WorkerID
}

func (Joined) event()      {}
func (Left) event()        {}
func (Assigned) event()    {}
func (Stop) event()        {}
func (Retract) event()     {}
func (Free) event()        {}
func (Copy) event()        {}
func (Fetched) event()     {}
func (FetchFailed) event() {}
func (Ended) event()       {}
func (Recalled) event()    {}
func (Park) event()        {}
func (Unpark) event()      {}
func (Tick) event()        {}
func (Lost) event()        {}
