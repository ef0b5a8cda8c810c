package local

import "github.com/yarnd/yarnd/engine/graph"

// Output is what the core wants done, all of it, in this order. The first part is
// for this worker, the second tells the scheduler.
type Output struct {
	// Cancel and Abandon may name what has ended in the same turn; that is to be
	// ignored. An Assignment is valid until its attempt has ended and Output was called
	// once more: then it may become another attempt's.
	Cancel  []*Assignment // attempts that run: end them; Ended answers
	Abandon []Key         // fetches under way: end them; Fetched or FetchFailed answers
	Drop    []Key         // results: delete them from the store
	Run     []Start       // start them; every input is inline or in the store; Ended answers
	Recall  []*Assignment // handed out ahead: have them back; Recalled answers, or Ended
	Begun   []*Assignment // ran Ahead and have a time limit: they have begun by now
	Resumed []*Assignment // were parked and have their slots again: tell them
	Fetch   []Fetch       // into the store; Fetched or FetchFailed answers

	Started   []Key // have begun, those that run for some time at least: see ahead.go
	Parked    []Key // wait for tasks of their own, and take no slots
	Unparked  []Key // go on
	Done      []Done
	Failed    []Failed
	Retracted []Retracted
	Copied    []Held // results of others that are here now
	Missing   []Key  // results that the scheduler thinks are here, and are not, or not any more
}

// Start is an attempt to start.
type Start struct {
	*Assignment
	Ahead bool // it begins when others of its place have ended
	Limit int  // slots that its place may take at once, from now on
}

// Fetch asks for a result of another.
type Fetch struct {
	Key
	Size uint64
	From graph.WorkerID
}

// Done is an attempt with a result.
type Done struct {
	Key
	Size   uint64
	Kept   bool // this worker holds it; else it is Inline
	Inline []byte
	Took   uint32 // microseconds
}

// Failed is an attempt without a result, or a Copy that could not be made.
type Failed struct {
	Key
	Failure *graph.Failure
	Input   graph.TaskID   // for graph.FailInput: which one
	Holder  graph.WorkerID // and who was asked last
}

// Retracted answers a Retract: OK means that the attempt had not started and is
// forgotten. An attempt that ended before that was known is answered by its end alone.
type Retracted struct {
	Key
	OK bool
}

// Held is a result that is here.
type Held struct {
	Key
	Size uint64
}

// reset empties o and keeps its memory.
func (o *Output) reset() {
	clear(o.Cancel)
	clear(o.Run) // let payloads go
	clear(o.Recall)
	clear(o.Begun)
	clear(o.Resumed)
	clear(o.Done)
	clear(o.Failed)
	*o = Output{
		Cancel: o.Cancel[:0], Abandon: o.Abandon[:0], Drop: o.Drop[:0], Run: o.Run[:0], Recall: o.Recall[:0], Begun: o.Begun[:0], Resumed: o.Resumed[:0], Fetch: o.Fetch[:0],
		Started: o.Started[:0], Parked: o.Parked[:0], Unparked: o.Unparked[:0], Done: o.Done[:0], Failed: o.Failed[:0],
		Retracted: o.Retracted[:0], Missing: o.Missing[:0], Copied: o.Copied[:0],
	}
}
