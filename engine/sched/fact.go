package sched

import "github.com/yarnd/yarnd/engine/graph"

// FactKind says what a Fact tells.
type FactKind uint8

const (
	// FactDone: the task has a result. Told is false if nobody held it who could be told.
	FactDone FactKind = iota
	// FactFailed: it has none, for the reason Fail, or was cancelled. Told is false for
	// tasks of a closed job.
	FactFailed
	// FactAgain: its failure is taken back.
	FactAgain
	// FactCancelled: N tasks of a range from Task on were cancelled before anything else was
	// known of them.
	FactCancelled
	// FactTally: Size is what its attempts' failures add up to, packed.
	FactTally
	// FactBegan is of no task: from here on another core tells, which took over. Attempt is
	// the one below the first of its generation.
	FactBegan
	// FactSuspect: it may have killed a worker, and runs alone until it has a result.
	FactSuspect
	// FactBuried is of a snapshot (Save): the task has failed, and nobody can retry it.
	FactBuried
	// FactFenced is of an actor: another attempt than those up to Attempt was given or goes on, and
	// none of those may do so any more. The one that was given answers no call before this is safe.
	FactFenced

	factKinds
)

// Fact is something that has become true of a task and that nobody could find out anew. With
// the events that clients cause (OpenJob, DeclareClass, Submit, SubmitRange, Release,
// ReleaseRun, Pin, CloseJob), in the order in which all of this happened, facts are what a
// core must be told that takes over (restore.go). What follows from them is not told. The end
// of all this may be missing: nobody was told of it.
type Fact struct {
	Kind    FactKind
	Task    graph.TaskID
	N       uint32
	Attempt graph.Attempt
	Fail    graph.FailKind
	Cause   graph.TaskID // of a FailUpstream: the task that failed first
	Size    uint64       // of the result in bytes
	Inline  bool         // the scheduler has it
	Told    bool         // Output.Ended, or Output.Cancelled, has it too
}

// Valid reports whether the fact is one that a core may have noted: what comes from a file
// is to be looked at.
func (f *Fact) Valid() bool {
	return f.Kind < factKinds && (f.Kind != FactFailed || f.Fail != graph.FailNone)
}

// note adds a fact, if somebody wants facts.
func (c *Core) note(f Fact) {
	if c.cfg.Durable && !c.restoring {
		c.facts = append(c.facts, f)
	}
}

// Facts returns what was noted since the last call, a view that is good until the next
// event. Called after every Step and every Output, it has each fact between the events
// before and after it. Those of one call belong together: a journal has all of them or none.
func (c *Core) Facts() []Fact {
	f := c.facts
	c.facts = c.facts[:0]
	return f
}

func (y tally) pack() uint64 {
	return uint64(y.user) | uint64(y.deaths)<<16 | uint64(y.other)<<32 | uint64(y.stray)<<48
}

func unpackTally(v uint64) tally {
	return tally{user: uint16(v), deaths: uint16(v >> 16), other: uint16(v >> 32), stray: uint16(v >> 48)}
}

// Tally is what the failures of a task's attempts add up to.
type Tally struct {
	User, Deaths int // that user code, or the task itself, is to blame for
	Other, Stray int // that nobody is
}

// Tally returns what a FactTally says.
func (f *Fact) Tally() Tally {
	y := unpackTally(f.Size)
	return Tally{int(y.user), int(y.deaths), int(y.other), int(y.stray)}
}
