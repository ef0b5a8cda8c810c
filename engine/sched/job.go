package sched

import (
	"iter"

	"github.com/yarnd/yarnd/engine/graph"
)

// job is a growing list of tasks.
type job struct {
	id      graph.JobID
	closed  bool // by CloseJob; it goes when its last task is final
	classes []class
	lanes   []*lane

	tasks  table[task]
	spans  []span // of ranges, in order (range.go)
	edges  table[edge]
	starts []uint32       // by chunk of tasks: first edge
	counts [states]uint32 // tasks by state
	kept   uint32         // failed tasks that can be retried: those without flagCut
	eras   []era          // which generation tasks were submitted in, later ones than the first

	// What few tasks have is kept aside.
	foreign map[uint32]abroad         // edge → its dependency elsewhere
	abroad  map[uint32][]graph.TaskID // task → its consumers in other jobs, one per edge
	pins    map[uint32]uint32         // task → holds that are not the job's own, ≥ 1
	copies  holders                   // further holders, beyond task.where
	tallies map[uint32]tally          // task → failures so far
	lost    map[uint32]graph.Attempt  // task without a result → the attempt whose result was lost
	top     map[uint32]graph.Attempt  // task that speaks of an older attempt than the last one given → that one
	hosts   map[uint32][]uint32       // task → hosts on which its input lies
	runs    map[uint32]run            // Running task that may get a second attempt → its first
	seconds map[uint32]second         // task → its second attempt
}

// class is a graph.Class with what the scheduler learned of it.
type class struct {
	graph.Class
	lane  *lane
	took  average
	told  average // when it was told last (took.go)
	due   bool    // it is in Core.tooks
	slots int
	parts present // its active tasks
	ended uint64  // attempts that workers had and have no more
}

// tally counts what went wrong with a task's attempts.
type tally struct {
	user   uint16 // failures that user code is to blame for
	deaths uint16 // of the executor or worker while it ran alone
	other  uint16 // inputs that live holders did not give, executors that did not start, deaths of others while it was parked
	stray  uint16 // inputs that holders did not give which had left
}

// abroad is a dependency in another job, or one that was never there or forgotten
// when the consumer came: that fails as soon as it is wanted.
type abroad struct {
	task graph.TaskID
	dead bool
}

// task returns row i, which is made and was not dropped.
func (j *job) task(i uint32) *task { return j.tasks.at(i) }

func (j *job) classOf(t *task) *class { return &j.classes[t.class] }

func (j *job) name(i uint32) graph.TaskID { return graph.TaskID{Job: j.id, Index: i} }

// edgesOf returns the range of i's dependency edges.
func (j *job) edgesOf(i uint32) (from, to uint32) {
	if i&(chunkLen-1) == 0 {
		from = j.starts[i>>chunkBits]
	} else {
		from = j.task(i - 1).edgeEnd
	}
	return from, j.task(i).edgeEnd
}

// dep returns the task that edge e of task i leads to; nil when it or its job is gone.
func (c *Core) dep(j *job, i, e uint32) (*job, uint32) {
	d := j.edges.at(e).dep
	if d != i {
		return j, d
	}
	f := j.foreign[e]
	if f.dead {
		return nil, 0
	}
	return c.jobs[f.task.Job], f.task.Index
}

// depID is dep for a name only.
func (j *job) depID(i, e uint32) graph.TaskID {
	if d := j.edges.at(e).dep; d != i {
		return j.name(d)
	}
	return j.foreign[e].task
}

// consumers yields the tasks that depend on i, once for each edge, but for those whose
// rows were dropped.
func (c *Core) consumers(j *job, i uint32) iter.Seq2[*job, uint32] {
	return func(yield func(*job, uint32) bool) {
		t := j.task(i)
		for e := t.out; e != 0; {
			ed := j.edges.at(e - 1)
			e = ed.next
			if j.tasks.has(ed.consumer) && !yield(j, ed.consumer) {
				return
			}
		}
		if t.flags&flagAbroad == 0 {
			return
		}
		for _, k := range j.abroad[i] {
			if jk := c.jobs[k.Job]; jk != nil && jk.tasks.has(k.Index) && !yield(jk, k.Index) {
				return
			}
		}
	}
}

// holders is the set of further holders of many tasks, without a pointer for
// each: lists in one slab.
type holders struct {
	head map[uint32]uint32 // task → 1 + node
	node []holder
	free uint32 // 1 + first unused node
}

type holder struct {
	worker graph.WorkerID
	next   uint32 // 1 + node
}

func (h *holders) of(i uint32) iter.Seq[graph.WorkerID] {
	return func(yield func(graph.WorkerID) bool) {
		for n := h.head[i]; n != 0; n = h.node[n-1].next {
			if !yield(h.node[n-1].worker) {
				return
			}
		}
	}
}

func (h *holders) add(i uint32, w graph.WorkerID) {
	if h.head == nil {
		h.head = map[uint32]uint32{}
	}
	n := h.free
	if n == 0 {
		h.node = append(h.node, holder{})
		n = uint32(len(h.node))
	} else {
		h.free = h.node[n-1].next
	}
	h.node[n-1] = holder{w, h.head[i]}
	h.head[i] = n
}

// remove takes w from i's further holders and reports whether it was one.
func (h *holders) remove(i uint32, w graph.WorkerID) bool {
	var before uint32
	for n := h.head[i]; n != 0; before, n = n, h.node[n-1].next {
		if h.node[n-1].worker != w {
			continue
		}
		next := h.node[n-1].next
		switch {
		case before != 0:
			h.node[before-1].next = next
		case next != 0:
			h.head[i] = next
		default:
			delete(h.head, i)
		}
		h.node[n-1] = holder{next: h.free}
		h.free = n
		return true
	}
	return false
}

// pop takes one of i's further holders out, 0 when there is none.
func (h *holders) pop(i uint32) graph.WorkerID {
	n := h.head[i]
	if n == 0 {
		return 0
	}
	w := h.node[n-1].worker
	h.remove(i, w)
	return w
}
