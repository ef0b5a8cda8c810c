package sched

import "github.com/yarnd/yarnd/engine/graph"

// task is one row of a job's task table. It holds no pointer, so the garbage
// collector never looks at the table, and it fits one cache line, because nearly
// every event reads most of it.
type task struct {
	// size of the result in bytes while Done. For a failed or cancelled task it
	// holds the cause instead: the packed id of the task that failed first.
	size uint64

	// attempt is the live one while Assigned or Running, the one that gave the
	// result while Done, else the last one.
	attempt graph.Attempt

	// where is the worker that has the attempt while Assigned or Running, and the
	// first holder of the result while Done (0 with flagInline: the scheduler).
	where graph.WorkerID

	// waiting counts dependency edges to tasks that are not Done, while Waiting, Ready (0)
	// or following them (follow.go). Of other tasks that were given it is 0.
	waiting uint32

	// need counts edges from active consumers: the result must exist for them.
	need uint32

	// kin counts edges from consumers that may still need the result, now or to be
	// computed again: those not cancelled or forgotten, nor Done inline (which cannot
	// be lost), nor failed and buried (retry.go). At 0 the task's payload is of no use to consumers.
	// Invariant: need ≤ kin.
	kin uint32

	edgeEnd uint32 // dependencies are edges [edgeEnd of the row before, edgeEnd)
	out     uint32 // 1 + first edge of a consumer of the same job; 0: none
	class   graph.ClassID

	state State
	flags flags
	// took is the bucket of the estimate charged to the worker while Assigned or
	// Running, of the measured duration while Done, the graph.FailKind when failed
	// or cancelled.
	took uint8
}

type flags uint8

const (
	flagHeld    flags = 1 << iota // the job holds on to the result
	flagFresh                     // nobody ever wanted it: not to be forgotten yet
	flagSeen                      // an outcome was told
	flagInline                    // the result is at the scheduler
	flagCut                       // kin of its inputs no longer counts this task; a failed one is buried
	flagRetract                   // the worker was asked to give it back
	flagSuspect                   // may have killed a worker: runs alone
	flagAbroad                    // has consumers in other jobs (job.abroad)
)

// edge is one dependency: consumer needs dep. The edges of a consumer are
// neighbours; those of a dependency form a list. An edge whose dep is its own
// consumer leads elsewhere (job.foreign). It is of use while either end is not
// forgotten.
type edge struct {
	dep, consumer uint32
	next          uint32 // 1 + next edge with the same dep; 0: none
}

// table is a growing list in chunks, so that growing moves nothing and a large
// job never needs twice its memory. Only the first chunk grows by copying, which
// keeps small jobs small.
//
// Rows of no use go, a chunk at a time: what a job takes follows what it has to do, not
// what it ever had.
type table[T any] struct {
	chunks [][]T
	lost   []uint16 // by chunk: rows of no use
	n      uint32
}

const chunkLen = 1 << chunkBits

func (t *table[T]) at(i uint32) *T { return &t.chunks[i>>chunkBits][i&(chunkLen-1)] }

// has reports whether row i is there; false for those of a chunk that was dropped.
func (t *table[T]) has(i uint32) bool { return i < t.n && t.chunks[i>>chunkBits] != nil }

// lose notes that row i is of no use any more. A chunk of such rows is dropped.
func (t *table[T]) lose(i uint32) {
	k := i >> chunkBits
	for int(k) >= len(t.lost) {
		t.lost = append(t.lost, 0)
	}
	if t.lost[k]++; t.lost[k] == chunkLen {
		t.chunks[k] = nil
	}
}

// drop drops a full chunk, all of whose rows are of no use, at once.
func (t *table[T]) drop(k uint32) {
	for int(k) >= len(t.lost) {
		t.lost = append(t.lost, 0)
	}
	t.lost[k], t.chunks[k] = chunkLen, nil
}

func (t *table[T]) add(v T) {
	at := t.n >> chunkBits
	if at == uint32(len(t.chunks)) {
		var chunk []T
		if at > 0 {
			chunk = make([]T, 0, chunkLen)
		}
		t.chunks = append(t.chunks, chunk)
	}
	t.chunks[at] = append(t.chunks[at], v)
	t.n++
}

func pack(t graph.TaskID) uint64 { return uint64(t.Job)<<32 | uint64(t.Index) }

func unpack(v uint64) graph.TaskID {
	return graph.TaskID{Job: graph.JobID(v >> 32), Index: uint32(v)}
}
