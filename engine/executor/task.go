package executor

import (
	"context"
	"io"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Task is an attempt to run. Its exported fields must not change between Manager.Run
// and its end.
type Task struct {
	ID      graph.TaskID
	Attempt graph.Attempt
	Class   *graph.Class
	Payload []byte
	Inputs  []TaskInput

	Place Place // Manager.Place of Class
	// Limit is how many slots the tasks of this place may take at once from now on;
	// those that are too many begin, in order, as others end. 0 is Options.Slots.
	Limit int
	// Ahead says that it begins later, when others of its place have ended: its time
	// limit does not count before Manager.Begun. (In the executor it always counts
	// from the true beginning. This one is for executors that do not keep to it.)
	Ahead bool
	// Owner is whatever the caller wants to find in Report.Task.
	Owner any

	stdin *stdin // of a command with CommandSpec.Feed, while it runs

	// under Manager.mu
	in      *process                // nil: waits for one
	stopped bool                    // Stop was called
	recall  bool                    // Recall was called and is not answered
	feeding context.CancelCauseFunc // ends the wait of a command with standard input

	// under process.mu
	id      uint64
	order   uint64   // in which it was handed to its process
	data    []byte   // of the result so far, or
	sink    *pouring // where it goes
	pid     int      // its own process, 0: none
	spared  int      // deaths of executors that nobody was to blame for
	moves   bool     // it is recalled to go to another process
	parked  bool     // it takes no slots
	over    time.Time
	overFor graph.FailKind // why it must have ended by then
	stuck   *graph.Failure // it did not; what it fails with when its process has ended
}

// slots returns how many slots it takes.
func (t *Task) slots() int { return max(1, int(t.Class.Resources.Slots)) }

// TaskInput is a result that a task needs: in Data, or to be read from At, which must
// stay readable until the task's end.
type TaskInput struct {
	Task graph.TaskID
	Size int64
	Data []byte
	At   io.ReaderAt // nil: all is in Data
	Far  bool        // At may take its time: it reads from another worker
}

// Report tells what became of a task.
type Report struct {
	Task *Task
	What What
	Result
}

// What is a report's kind.
type What uint8

const (
	Ended    What = iota // Result says how. There is one for each task, unless it was Recalled
	Recalled             // it had not begun and never will: as if it had never been given to Run
	Kept                 // it is not Recalled: it has begun
	Parks                // it waits for other tasks, and takes no slots
	Returns              // it wants to go on, and waits for Manager.Resume
)

// Result is how an attempt ended.
type Result struct {
	Data    []byte
	Sink    Sink           // that of Options.Sink, which has it all instead of Data; nil: Data has
	Took    time.Duration  // that it ran
	Failure *graph.Failure // nil: Data or Sink has the result
	// Died says that it ended with its executor, while it ran or may have run. All
	// attempts that died together come in one call of Options.Report.
	Died bool
}

// feeds reports whether t is a command whose standard input comes while it runs.
func (t *Task) feeds() bool {
	return t.Class.Kind == graph.KindCommand && specFeeds(t.Class.Spec)
}
