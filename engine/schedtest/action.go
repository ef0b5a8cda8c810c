package schedtest

import (
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
)

// Action is one thing that happens to a world. It says all about it: nothing is left
// to chance when it is done, so that a list of actions, less some, can be done again.
// What an action names may be gone by then, or never have been: then it does nothing.
type Action struct {
	Op    Op
	M     int         // a machine
	W     int         // a connection
	J     int         // a job
	N     int64       // a number: of messages, milliseconds, or which of several
	How   string      // a variant
	Host  int         // of a machine
	Pool  string      // of a machine, or to be shrunk
	Slots int         // of a machine
	Mem   uint64      // of a machine, bytes for results
	Needs uint64      // of a machine, bytes that tasks may need together; 0: any
	GPUs  uint64      // of a machine
	Class *behaviour  // of OpClass
	Tasks []taskSpec  // of OpSubmit and OpRange
	Names []Name      // tasks that a request is about
	Conf  worldConfig // of OpConfig
}

// Name is what a script calls a task: its job's number and its own. The numbers that
// the core gives may be others.
type Name struct{ Job, Task int }

// taskSpec is a task as its client submits it.
type taskSpec struct {
	Task  int
	Class int
	Deps  []Name
	Hosts []int
	Loose bool
}

// worldConfig is what a world begins with. Zero values are the core's defaults.
type worldConfig struct {
	Prefill, MaxPrefill, LocalityWait, CopyTimeout int64
	Fetches                                        int64 // of a machine, at a time
	Heal                                           uint64
	Retry                                          bool // what failed is retried at the end
}

// Op is a kind of action.
type Op uint8

const (
	OpConfig Op = iota // the first action: sets the world up

	OpTurn // the scheduler takes its core's output and does it
	OpTick // N milliseconds pass
	OpUp   // the scheduler hears N messages of connection W
	OpDown // connection W's machine hears N messages, then does what its core wants
	OpEnd  // machine M's N-th running attempt ends, as its class says or as How says
	OpPark // machine M's N-th running attempt waits for others, or wants to go on
	OpLand // machine M's N-th fetch is answered

	OpOpen
	OpClass
	OpSubmit
	OpRange    // N tasks from Tasks[0] on, of its class, as a range
	OpResubmit // job J's last batch or range again
	OpRelease
	OpReleaseRun // N tasks from Names[0] on
	OpCancel
	OpCancelRun // likewise
	OpPin
	OpUnpin
	OpRetry
	OpClose
	OpRead  // a client reads a result where the core says that it is
	OpLeave // job J's client disconnects: all that it pinned is unpinned

	OpJoin   // machine M connects, as W; it is started if there is none
	OpCut    // connection W is lost; How: "late": the scheduler still hears what was said; "amid": as an attempt ends
	OpNotice // the scheduler gives W up; How: "blame"
	OpPart   // nothing passes on W, nor between its machine and others
	OpMend   // until now
	OpCrash  // machine M ends with all that it holds; How: "blame"
	OpDie    // machine M's executor dies with all that runs; How: "memory"
	OpLose   // machine M's N-th result is gone from its store; How: "told", "silent"
	OpLie    // somebody says wrongly that a result is missing on machine M
	OpAgain  // the N-th last report on W is made again; How: "next": on the machine's next connection; "other": by another machine
	OpRedown // the N-th last order on W comes again
	OpRetire // a pool shrinks to N, or W is to leave
	OpSlow   // machine M is slow from now on
	// OpRestart: the scheduler's process is replaced by one that knows nothing; How
	// "journal": by one that knows what the journal has, less its last N records, as far as
	// nobody was told what came of them
	OpRestart
	OpResume // such a scheduler does not wait for workers to come back any more
	OpShadow // such a scheduler is made aside, and compared with the one that lives

	ops = iota
)

// opFields says how each kind of action is written: its word, then the keys of what it
// takes.
var opFields = [ops]struct{ word, keys string }{
	OpConfig:     {"config", "prefill maxprefill localitywait copytimeout fetches heal retry"},
	OpTurn:       {"turn", ""},
	OpTick:       {"tick", "n"},
	OpUp:         {"up", "w n"},
	OpDown:       {"down", "w n"},
	OpEnd:        {"end", "m n how"},
	OpPark:       {"park", "m n"},
	OpLand:       {"land", "m n how"},
	OpOpen:       {"open", "j"},
	OpClass:      {"class", "j does kind size inline micros priority retries deaths slots needs gpus only pool twice actor"},
	OpSubmit:     {"submit", "j tasks"},
	OpRange:      {"range", "j n tasks"},
	OpResubmit:   {"resubmit", "j"},
	OpRelease:    {"release", "names"},
	OpCancel:     {"cancel", "names"},
	OpReleaseRun: {"releaserun", "n names"},
	OpCancelRun:  {"cancelrun", "n names"},
	OpPin:        {"pin", "names"},
	OpUnpin:      {"unpin", "names"},
	OpRetry:      {"retry", "names"},
	OpClose:      {"close", "j"},
	OpRead:       {"read", "names"},
	OpLeave:      {"leave", "j"},
	OpJoin:       {"join", "m w host pool slots mem needs gpus how"},
	OpCut:        {"cut", "w how"},
	OpNotice:     {"notice", "w how"},
	OpPart:       {"part", "w"},
	OpMend:       {"mend", "w"},
	OpCrash:      {"crash", "m how"},
	OpDie:        {"die", "m how"},
	OpLose:       {"lose", "m n how"},
	OpLie:        {"lie", "m n how"},
	OpAgain:      {"again", "w n how"},
	OpRedown:     {"redown", "w n"},
	OpRetire:     {"retire", "w pool n"},
	OpSlow:       {"slow", "m"},
	OpRestart:    {"restart", "n how"},
	OpResume:     {"resume", ""},
	OpShadow:     {"shadow", ""},
}

// isFault reports whether an action is something that goes wrong.
func (o Op) isFault() bool {
	switch o {
	case OpCut, OpNotice, OpPart, OpCrash, OpDie, OpLose, OpLie, OpAgain, OpRedown, OpSlow, OpRestart:
		return true
	}
	return false
}

// behaviour is what the tasks of a class do when they run.
type behaviour struct {
	class  graph.Class
	does   string // "ok", "bad", "flaky", "poison" (kills the executor), "bomb" (kills the worker)
	size   uint64
	inline bool
	micros uint32
	gpus   uint64
	only   int // 1 + number of the host whose workers may run it; 0: any
}

// gpu is the resource that some tasks need and some machines have.
const gpu = "gpu"

// spell writes the numbers out that scripts have for the class.
func (b *behaviour) spell() graph.Class {
	c := b.class
	c.Name = b.does
	if b.gpus > 0 {
		c.Resources.Named = graph.Amounts{{Name: gpu, Count: b.gpus}}
	}
	if b.only > 0 {
		c.Hosts = []string{hostName(b.only - 1)}
	}
	return c
}

func hostName(n int) string { return fmt.Sprint("host", n) }
