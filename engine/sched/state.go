package sched

import (
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
)

// State is where a task stands. A task is in exactly one state at any time.
//
//	                 want            ready           assign            start
//	      Released ────────► Waiting ─────► Ready ──────────► Assigned ──────► Running
//	       │  ▲ ▲              ▲ ▲           │                   │  │            │ │
//	forget │  │ │              │ └─ unready ─┘                   │  └── back ────┤ │
//	       ▼  │ └── drop ──────┤◄──────────────────────────────────── back ─────┘ │
//	Forgotten │                                                  │               │
//	          └── free, lose ──────────── Done ◄──── finish ─────┴───────────────┘
//
// A task may also go from Waiting to Assigned, to follow those that it waits for (follow.go).
//
// Waiting to Running are the active states: somebody wants the task and it has
// no outcome yet. From any of them the task can also fail, be cancelled, be
// dropped because nobody wants it any more, or recover a result that a worker
// brought back. A failed task that is retried is Released again (retry.go). Tasks of a
// range are Ready from the start (range.go).
type State uint8

const (
	// StateReleased: there is no result and nobody wants one. The task can be wanted
	// again, as an input of a task that is, or as the lineage of a lost result. It
	// is also the first state, before anybody wants the task.
	StateReleased State = iota
	// StateWaiting: at least one input has no result.
	StateWaiting
	// StateReady: all inputs have results; the task is in a ready queue.
	StateReady
	// StateAssigned: a worker was given the attempt; it is not known to have started.
	StateAssigned
	// StateRunning: the worker said that the attempt started.
	StateRunning
	// StateDone: there is a result on at least one worker, or inline at the scheduler.
	StateDone
	// StateFailed: there will be no result, for a reason of the task or of its inputs,
	// unless a client retries it, which it can as long as it is held.
	StateFailed
	// StateCancelled: a client ended it before it was done.
	StateCancelled
	// StateForgotten: Released, and nothing can ever want it again.
	StateForgotten

	states = iota
)

var stateNames = [states]string{"released", "waiting", "ready", "assigned", "running", "done", "failed", "cancelled", "forgotten"}

// String returns the state's name in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state(?)"
}

// Active reports whether the task is wanted and has no outcome yet.
func (s State) Active() bool { return s >= StateWaiting && s <= StateRunning }

// Given reports whether a worker has a live attempt of the task.
func (s State) Given() bool { return s == StateAssigned || s == StateRunning }

// Final reports whether the task will not change again by itself: only a failed one
// that is retried does.
func (s State) Final() bool { return s >= StateFailed }

// move is a transition between states. Each has a name, the states it may start
// from and the one it leads to.
type move uint8

const (
	moveWant    move = iota // somebody wants it (again)
	moveReady               // the last input came
	moveUnready             // an input was lost
	moveAssign              // given to a worker
	moveFollow              // given to the worker that is about to compute its inputs
	moveStart               // the worker started it
	moveBack                // the attempt ended without an outcome; inputs are counted anew
	moveFinish              // the attempt gave a result
	moveRecover             // a worker came back with the result that was thought lost
	moveLose                // the last copy of the result is gone
	moveFree                // nobody needs the result
	moveDrop                // nobody wants a result
	moveFail                // no result, ever
	moveCancel              // a client ended it
	moveForget              // nothing can want it again
	moveRetry               // a client wants it to be tried again
	moveAdopt               // an attempt of an earlier generation goes on
	moveSecond              // the first attempt ended, a second one takes its place
)

const active = 1<<StateWaiting | 1<<StateReady | 1<<StateAssigned | 1<<StateRunning

var moves = [...]struct {
	name string
	from uint16 // set of states
	to   State
}{
	moveWant:    {"want", 1 << StateReleased, StateWaiting},
	moveReady:   {"ready", 1 << StateWaiting, StateReady},
	moveUnready: {"unready", 1 << StateReady, StateWaiting},
	moveAssign:  {"assign", 1 << StateReady, StateAssigned},
	moveFollow:  {"follow", 1 << StateWaiting, StateAssigned},
	moveStart:   {"start", 1 << StateAssigned, StateRunning},
	moveBack:    {"back", 1<<StateAssigned | 1<<StateRunning, StateWaiting},
	moveFinish:  {"finish", 1<<StateAssigned | 1<<StateRunning, StateDone},
	moveRecover: {"recover", active, StateDone},
	moveLose:    {"lose", 1 << StateDone, StateReleased},
	moveFree:    {"free", 1 << StateDone, StateReleased},
	moveDrop:    {"drop", active, StateReleased},
	moveFail:    {"fail", active, StateFailed},
	moveCancel:  {"cancel", active | 1<<StateReleased, StateCancelled},
	moveForget:  {"forget", 1 << StateReleased, StateForgotten},
	moveRetry:   {"retry", 1 << StateFailed, StateReleased},
	moveAdopt:   {"adopt", 1<<StateWaiting | 1<<StateReady, StateAssigned},
	moveSecond:  {"go on as second", 1<<StateAssigned | 1<<StateRunning, StateAssigned},
}

// apply makes a transition, keeps the counts of states, and panics when the
// transition is not one: that is a defect of this package, never of its input.
func (c *Core) apply(j *job, i uint32, m move) {
	t := j.task(i)
	mv := &moves[m]
	if mv.from>>t.state&1 == 0 {
		panic(fmt.Sprintf("sched: task %v cannot %s: it is %v", graph.TaskID{Job: j.id, Index: i}, mv.name, t.state))
	}
	if t.state == StateReady {
		c.leftReady(j, t)
	}
	if t.state.Active() {
		c.active--
	}
	cl := j.classOf(t)
	j.counts[t.state]--
	cl.parts.count(t.state, ^uint32(0))
	if t.state.Given() && (m == moveFinish || m == moveFail) {
		cl.ended++ // what went back without an outcome tells nothing of how long it takes
	}
	t.state = mv.to
	j.counts[t.state]++
	cl.parts.count(t.state, 1)
	if t.state.Active() {
		c.active++
	}
}
