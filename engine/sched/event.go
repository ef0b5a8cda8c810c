package sched

import "github.com/yarnd/yarnd/engine/graph"

// Event is one thing that happened outside the core. Events carry batches, so
// that one call to Step does the work of a whole frame. The core keeps no
// reference to an event's slices after Step returns, except to the columns of a
// Submit (which the caller gives away).
type Event interface{ event() }

type (
	// OpenJob declares a job. Ids are given by the caller and grow.
	OpenJob struct {
		Job graph.JobID
	}

	// DeclareClass interns the next class of a job; ids are dense from 0.
	DeclareClass struct {
		Job   graph.JobID
		Class graph.ClassID
		Spec  graph.Class
	}

	// Submit adds tasks to a job. The batch has passed Check; its First is the
	// number of tasks that the job has already.
	Submit struct {
		Batch *graph.Batch
	}

	// SubmitRange adds N tasks of a class that depend on nothing and lie nowhere. The
	// job holds them. First is the number of tasks that it has already.
	SubmitRange struct {
		Job      graph.JobID
		First, N uint32
		Class    graph.ClassID
	}

	// Release lets go of the job's hold on tasks: a result that no consumer needs
	// and nobody else pins is freed. Unfinished tasks that nobody wants are
	// dropped.
	Release struct {
		Tasks []graph.TaskID
	}

	// ReleaseRun is Release for those tasks of a run that there are.
	ReleaseRun struct {
		Run graph.Run
	}

	// Pin adds (Delta 1) or removes (Delta -1) a hold that is not the job's own: a
	// published name, a gather under way.
	Pin struct {
		Task  graph.TaskID
		Delta int
	}

	// Cancel ends tasks that are not finished, and all that depend on them.
	Cancel struct {
		Tasks []graph.TaskID
	}

	// CancelRun is Cancel for those tasks of a run that there are.
	CancelRun struct {
		Run graph.Run
	}

	// Retry has tasks run again that failed and that the job holds, somebody pins, or
	// such a task depends on; with them the failed tasks that they depend on, and
	// those that failed only because of them. A task that cannot be retried, as
	// MayRetry says, is left as it is.
	Retry struct {
		Tasks []graph.TaskID
	}

	// CloseJob cancels what is unfinished, releases everything and forgets the job.
	// Results that a pin or a task of another job still needs stay until it lets
	// go; Output.Gone tells when nothing of the job is left. No Ended and no Forget
	// is told of a closed job's tasks.
	CloseJob struct {
		Job graph.JobID
	}

	// WorkerJoined adds a worker under an id that was never used before. Held is
	// the inventory of results that it brings along (after a reconnect).
	WorkerJoined struct {
		Worker graph.WorkerID
		Name   string // of which a class may say that it runs its tasks, beside hosts; "": none
		Host   string // as the node manager calls it, for locality
		Pool   string
		Slots  int    // tasks that may run at once
		Memory uint64 // bytes for results
		// TaskMemory is the bytes that tasks which say what they need may need together;
		// 0 is any. Named is what it has of other resources.
		TaskMemory uint64
		Named      graph.Amounts
		Held       []Held
	}

	// WorkerLeft removes a worker. Blame says whether tasks that were running may
	// be the cause (a crash: yes; preempted, released, node lost: no).
	WorkerLeft struct {
		Worker graph.WorkerID
		Blame  bool
	}

	// Started says that attempts began to run. Workers do not say it of most short
	// tasks: any assigned one may have begun.
	Started struct {
		Worker graph.WorkerID
		Tasks  []TaskAttempt
	}

	// Parked says that attempts which run wait for tasks that they submitted, and take no
	// slots until Unparked says that they go on.
	Parked struct {
		Worker graph.WorkerID
		Tasks  []TaskAttempt
	}

	// Unparked ends that.
	Unparked struct {
		Worker graph.WorkerID
		Tasks  []TaskAttempt
	}

	// Done says that attempts gave results, which the worker holds.
	Done struct {
		Worker graph.WorkerID
		Tasks  []Finished
	}

	// Failed says that attempts ended without a result. Deaths that happened
	// together (of one executor) come in one event. A Copy that did not work
	// is reported by it as well: the task and attempt of the Copy, FailInput, and
	// the holder asked.
	Failed struct {
		Worker graph.WorkerID
		Tasks  []FailedAttempt
	}

	// Retracted answers a Retract: OK means that the attempt had not started and
	// is forgotten by the worker.
	Retracted struct {
		Worker graph.WorkerID
		Tasks  []TaskAttempt
		OK     []bool
	}

	// Copied says that the worker now holds results of other workers as well (it
	// fetched them as inputs, or was asked to by a Copy).
	Copied struct {
		Worker graph.WorkerID
		Tasks  []Held
	}

	// Missing says that results which a worker was thought to hold are not there.
	Missing struct {
		Worker graph.WorkerID // who was thought to hold them
		Tasks  []TaskAttempt  // attempt 0: whichever the worker was thought to hold
	}

	// Retire asks for the pool to shrink to To workers, or, with Workers, for just
	// these to leave. The core cordons, drains, and answers with Output.Retired.
	Retire struct {
		Pool    string
		To      int
		Workers []graph.WorkerID
	}

	// Recall has a core that restores take in a fact of its predecessor's.
	Recall struct {
		Fact Fact
	}

	// RecallTook has a core that restores take in how long tasks of a class took under its
	// predecessor.
	RecallTook ClassTook

	// Hazy tells a core that restores that a snapshot follows that was taken while things
	// went on, and then what went on, until Clear (restore.go).
	Hazy struct{}

	// Clear says that from here on all is told that happened, in order.
	Clear struct{}

	// Restored says that all was told that the journal has.
	Restored struct{}

	// Resume ends the time in which workers come back: from now on attempts are given
	// out again, and tasks fail whose inputs will have no result.
	Resume struct{}

	// Adopt says which attempts a worker has that it was given before it came back, by
	// another incarnation's number or by a scheduler before this one. Those that are
	// still wanted go on as its own; the others are stopped.
	Adopt struct {
		Worker graph.WorkerID
		Tasks  []TaskAttempt // Started and Parked follow for those of which that is known
	}

	// Tick tells the time, in milliseconds of a clock that never goes backwards.
	Tick struct {
		Now int64
	}
)

// TaskAttempt is one attempt of one task.
type TaskAttempt struct {
	Task    graph.TaskID
	Attempt graph.Attempt
}

// Finished is an attempt that gave a result.
type Finished struct {
	TaskAttempt
	Size     uint64 // bytes of the result
	Inline   bool   // the bytes came along and the scheduler keeps them
	Duration uint32 // microseconds that it ran
}

// Held is a result on a worker.
type Held struct {
	TaskAttempt
	Size uint64
}

// FailedAttempt is an attempt that gave no result.
type FailedAttempt struct {
	TaskAttempt
	Kind graph.FailKind
	// Input and Holder say, for FailInput, what could not be fetched from whom.
	Input  graph.TaskID
	Holder graph.WorkerID
}

func (OpenJob) event()      {}
func (DeclareClass) event() {}
func (Submit) event()       {}
func (SubmitRange) event()  {}
func (Release) event()      {}
func (ReleaseRun) event()   {}
func (Pin) event()          {}
func (Cancel) event()       {}
func (CancelRun) event()    {}
func (Retry) event()        {}
func (CloseJob) event()     {}
func (WorkerJoined) event() {}
func (WorkerLeft) event()   {}
func (Started) event()      {}
func (Parked) event()       {}
func (Unparked) event()     {}
func (Done) event()         {}
func (Failed) event()       {}
func (Retracted) event()    {}
func (Copied) event()       {}
func (Missing) event()      {}
func (Retire) event()       {}
func (RecallTook) event()   {}
func (Recall) event()       {}
func (Hazy) event()         {}
func (Clear) event()        {}
func (Restored) event()     {}
func (Resume) event()       {}
func (Adopt) event()        {}
func (Tick) event()         {}
