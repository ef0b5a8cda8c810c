package adapt

import (
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// View is how things stand at one moment.
type View struct {
	Now   time.Duration // since any fixed moment; it never goes back
	Work  []graph.Demand
	Pools []Pool
}

// Pool is a set of workers alike, and what the cluster says of it.
type Pool struct {
	Name     string
	Min, Max int
	Idle     time.Duration // how long fewer must have been enough; 0: Config.Idle
	Round    uint64        // grows when somebody sets the limits anew: failed starts are forgiven

	// What one worker has.
	Slots      int
	TaskMemory uint64 // bytes for tasks; 0: any amount
	Memory     uint64 // bytes for results; 0: unknown
	Named      graph.Amounts

	Wanted   int           // containers that the pool was last told to have; it counts in the first View alone
	Live     int           // workers that take tasks
	Youngest time.Duration // how long ago the last of Live came; 0: unknown
	Draining int           // workers on their way out
	Starting int           // containers that are no workers yet
	Busy     float64       // of Live, as far as they have tasks
	Bytes    uint64        // of results that they hold
	Failures int           // rounds of starts in a row that failed
	Headroom int           // how many more the cluster says that there is room for; -1: unknown
}

// Kind says what a decision does.
type Kind string

// The kinds of decisions.
const (
	Hold     Kind = "hold"     // as many as before
	Raise    Kind = "raise"    // more
	Withdraw Kind = "withdraw" // asks are taken back; nobody has to go
	Lower    Kind = "lower"    // workers are drained
	Limit    Kind = "limit"    // somebody moved the limits
)

// Bound says what keeps a number below what would be of use.
type Bound string

// The bounds.
const (
	Unbound  Bound = ""
	Failures Bound = "failures" // of starts
	Unmet    Bound = "unmet"    // asks, for a while
	Maximum  Bound = "maximum"
	Room     Bound = "room" // in the queue
)

// Decision is how many workers a pool shall have from now on, and why.
type Decision struct {
	Pool         string
	Kind         Kind
	Bound        Bound
	Before, Want int
	Reason       string // for people
	Inputs       Inputs
}

// Inputs are the numbers behind a decision. Durations are in worker's time.
type Inputs struct {
	Min, Max                 int
	Live, Draining, Starting int
	Pending                  int           // asked for and not there: Before − Live
	Tasks, Waiting           int           // that could run or do; that wait for inputs
	Unknown                  int           // of Tasks: nobody knows how long they take
	Work                     time.Duration // of one worker
	Path                     time.Duration // the longest known chain
	Width                    int           // workers that could have something to do
	Goal                     time.Duration // within which the work shall be done
	Finish                   time.Duration // when those of Before would be done; 0: never
	Stream                   float64       // workers that are kept busy by what comes all the time
	Enough                   int           // workers for the goal, or for the stream
	Peak                     int           // the most that were enough during Idle
	Busy                     float64       // workers, over Idle
	Memory                   int           // workers that hold the results
	Idle                     time.Duration // how long fewer must have been enough before one goes
	Delay                    time.Duration // from request to ready, for nine of ten
	Unmet                    time.Duration // for how long asks have had no answer; 0: they have
	Headroom                 int
	Failures                 int
}
