package sched

import "github.com/yarnd/yarnd/engine/graph"

// Task is what is known of one task.
type Task struct {
	ID      graph.TaskID
	State   State
	Class   graph.ClassID
	Attempt graph.Attempt  // the live one, the one that gave the result, or the last
	Worker  graph.WorkerID // that has the live attempt; else 0
	Size    uint64         // of the result in bytes
	Inline  bool           // the scheduler holds the result
	Kind    graph.FailKind // why it failed, or FailCancelled
	Cause   graph.TaskID   // in which task that happened
	Micros  int64          // how long it ran, roughly, when Done
	Suspect bool           // it may have killed a worker, and runs alone
}

// Task looks a task up.
func (c *Core) Task(id graph.TaskID) (Task, bool) {
	j, t := c.look(id)
	if j == nil {
		return Task{}, false
	}
	out := Task{ID: id, State: t.state, Class: t.class, Attempt: t.attempt, Suspect: t.flags&flagSuspect != 0}
	switch t.state {
	case StateAssigned, StateRunning:
		out.Worker = t.where
	case StateDone:
		out.Size, out.Inline, out.Micros = t.size, t.flags&flagInline != 0, tooks[t.took]
	case StateFailed, StateCancelled:
		out.Kind, out.Cause = graph.FailKind(t.took), unpack(t.size)
	}
	return out, true
}

// Holders appends the workers that hold a task's result. A result that is inline
// at the scheduler has none.
func (c *Core) Holders(dst []graph.WorkerID, id graph.TaskID) []graph.WorkerID {
	j, _ := c.look(id)
	if j == nil {
		return dst
	}
	for h := range j.holdersOf(id.Index) {
		dst = append(dst, h)
	}
	return dst
}

// Job is what is known of one job.
type Job struct {
	ID      graph.JobID
	Closed  bool
	Tasks   uint32 // the next index
	Classes uint32 // the next class
	Counts  [states]uint32
}

// Count returns how many of the job's tasks are in one of the states.
func (j *Job) Count(in ...State) (n uint32) {
	for _, s := range in {
		n += j.Counts[s]
	}
	return n
}

// Job looks a job up. A closed one is there until Output.Gone names it.
func (c *Core) Job(id graph.JobID) (Job, bool) {
	j := c.jobs[id]
	if j == nil {
		return Job{}, false
	}
	return Job{ID: id, Closed: j.closed, Tasks: j.tasks.n, Classes: uint32(len(j.classes)), Counts: j.counts}, true
}

// Worker is what is known of one worker.
type Worker struct {
	ID       graph.WorkerID
	Pool     string
	Slots    int
	Phase    string // "working", "leaving" or "left"
	Assigned int    // attempts that it has
	Running  int    // those that it said have started
	Parked   int    // those of them that wait for tasks of their own
	Results  int
	Bytes    uint64 // of its results
}

// Worker looks a worker up.
func (c *Core) Worker(id graph.WorkerID) (Worker, bool) {
	w := c.workers[id]
	if w == nil {
		return Worker{}, false
	}
	return Worker{
		ID: id, Pool: w.pool, Slots: w.slots, Phase: [...]string{"working", "leaving", "left", "left"}[w.phase],
		Assigned: w.inflight, Running: w.running, Parked: len(w.parked), Results: w.results, Bytes: w.bytes,
	}, true
}

// Busy reports whether any task is active: the cluster is not idle.
func (c *Core) Busy() bool { return c.active > 0 }

// Ready returns how many tasks could run if there were slots.
func (c *Core) Ready() int { return c.ready + len(c.suspects) }
