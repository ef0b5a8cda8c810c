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
	var t Task
	ok := c.Look(id, &t)
	return t, ok
}

// Look is Task for who looks many up: it fills into in, and says whether there is that task. To copy what was just
// written in smaller pieces makes the processor wait, and that takes most of the time.
func (c *Core) Look(id graph.TaskID, into *Task) bool {
	*into = Task{}
	j, t := c.look(id)
	if j == nil {
		return false
	}
	into.ID, into.State, into.Class, into.Attempt, into.Suspect = id, t.state, t.class, t.attempt, t.flags&flagSuspect != 0
	switch t.state {
	case StateAssigned, StateRunning:
		into.Worker = t.where
	case StateDone:
		into.Size, into.Inline, into.Micros = t.size, t.flags&flagInline != 0, tooks[t.took]
	case StateFailed, StateCancelled:
		into.Kind, into.Cause = graph.FailKind(t.took), unpack(t.size)
	}
	return true
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
