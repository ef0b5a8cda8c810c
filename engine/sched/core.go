package sched

import (
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
)

// Config has the core's few knobs. The zero value of each means its default.
type Config struct {
	// Prefill is how much estimated work, in microseconds per slot, a worker is
	// given ahead of what it runs. Default 20,000.
	Prefill int64
	// MaxPrefill bounds the attempts that a worker has at a time. Default 1024.
	MaxPrefill int
	// Bandwidth is what a fetch between workers is assumed to reach, in bytes per
	// millisecond. Default 200,000.
	Bandwidth uint64
	// LocalityWait bounds, in milliseconds, how long a slot stays idle rather than
	// take a task whose input lies on another worker's host. Default 1,000.
	LocalityWait int64
	// CopyTimeout is how long a Copy may take before another is tried, in
	// milliseconds. Default 60,000.
	CopyTimeout int64
}

func (c Config) withDefaults() Config {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.Prefill, 20_000)
	def(&c.LocalityWait, 1_000)
	def(&c.CopyTimeout, 60_000)
	if c.MaxPrefill <= 0 {
		c.MaxPrefill = 1024
	}
	if c.Bandwidth == 0 {
		c.Bandwidth = 200_000
	}
	return c
}

// Core is the scheduler's state. It is not safe for concurrent use: one loop
// owns it.
type Core struct {
	cfg Config
	now int64 // milliseconds, of the last Tick

	jobs      map[graph.JobID]*job
	newestJob graph.JobID
	last      *job // of the last find

	workers      map[graph.WorkerID]*worker
	crew         []*worker // the same, in the order in which they joined
	newestWorker graph.WorkerID

	hosts     map[string]uint32               // host name → number
	hostCrew  []int32                         // number → working workers on it
	lanes     []*lane                         // lanes with ready tasks, in the order in which they are served
	ready     int                             // tasks that are Ready in lanes
	suspects  []graph.TaskID                  // tasks that run alone, when Ready
	solos     int                             // workers with solo set
	free      int                             // slots of working workers that nothing is assigned to
	surplus   int                             // workers that have more than their slots can run
	claims    map[graph.TaskID]graph.WorkerID // attempts under retraction → for whom
	transfers []transfer                      // Copies under way
	scratch   []graph.WorkerID

	todo     []todo
	rejected [reasons]uint64

	out, spare *Output
}

// New returns a core without jobs or workers.
func New(cfg Config) *Core {
	return &Core{
		cfg:     cfg.withDefaults(),
		jobs:    map[graph.JobID]*job{},
		workers: map[graph.WorkerID]*worker{},
		hosts:   map[string]uint32{},
		claims:  map[graph.TaskID]graph.WorkerID{},
		out:     &Output{},
		spare:   &Output{},
	}
}

// Step takes one event in. What follows from it is seen in the next Output.
// Whatever the event holds, Step does not fail: rows that make no sense or come
// too late change nothing and are counted (see Rejected).
func (c *Core) Step(ev Event) {
	switch ev := ev.(type) {
	case Tick:
		c.now = max(c.now, ev.Now)
	case Done:
		c.stepDone(ev)
	case Started:
		c.stepStarted(ev)
	case Submit:
		c.stepSubmit(ev)
	case Release:
		c.stepRelease(ev)
	case Failed:
		c.stepFailed(ev)
	case Retracted:
		c.stepRetracted(ev)
	case Copied:
		c.stepCopied(ev)
	case Missing:
		c.stepMissing(ev)
	case WorkerJoined:
		c.stepJoined(ev)
	case WorkerLeft:
		c.stepLeft(ev)
	case OpenJob:
		c.stepOpen(ev)
	case DeclareClass:
		c.stepClass(ev)
	case Pin:
		c.stepPin(ev)
	case Cancel:
		c.stepCancel(ev)
	case CloseJob:
		c.stepClose(ev)
	case Retire:
		c.stepRetire(ev)
	default:
		panic(fmt.Sprintf("sched: event of type %T", ev))
	}
	c.settle()
}

// Output gives ready tasks to workers and returns all that is to be done since
// the last call. It is the caller's until the next call.
func (c *Core) Output() *Output {
	c.fill()
	c.rebalance()
	c.drain()
	c.settle()
	out := c.out
	c.out, c.spare = c.spare, out
	c.out.reset()
	return out
}

func (o *Output) reset() {
	o.Assign, o.Inputs, o.Stop, o.Retract = o.Assign[:0], o.Inputs[:0], o.Stop[:0], o.Retract[:0]
	o.Free, o.Copy, o.Ended, o.Forget = o.Free[:0], o.Copy[:0], o.Ended[:0], o.Forget[:0]
	o.Gone, o.Retired = o.Gone[:0], o.Retired[:0]
}

// find returns the task's job and row; nil when there is no such task.
func (c *Core) find(t graph.TaskID) (*job, *task) {
	j := c.last
	if j == nil || j.id != t.Job {
		if j = c.jobs[t.Job]; j == nil {
			return nil, nil
		}
		c.last = j
	}
	if t.Index >= j.tasks.n {
		return nil, nil
	}
	return j, j.task(t.Index)
}

// todo is a consequence that still has to be drawn. Consequences run through
// graphs of any depth, so they are a list and not a recursion.
type todo struct {
	what  consequence
	kind  graph.FailKind // fails
	task  graph.TaskID
	cause graph.TaskID // fails
}

type consequence uint8

const (
	wanted   consequence = iota // a Released task: somebody may want it now
	unwanted                    // nobody may want it any more
	fails                       // it cannot have a result
)

func (c *Core) later(what consequence, j *job, i uint32) {
	c.todo = append(c.todo, todo{what: what, task: j.name(i)})
}

func (c *Core) failLater(j *job, i uint32, kind graph.FailKind, cause graph.TaskID) {
	c.todo = append(c.todo, todo{what: fails, kind: kind, task: j.name(i), cause: cause})
}

// settle draws all consequences. Each looks at the task anew, so their order
// matters little and one too many does nothing.
func (c *Core) settle() {
	for len(c.todo) > 0 {
		d := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		j, t := c.find(d.task)
		if j == nil {
			continue
		}
		switch i := d.task.Index; d.what {
		case wanted:
			if t.state == StateReleased && j.wanted(i) {
				c.activate(j, i)
			}
		case unwanted:
			c.dropUnwanted(j, i)
		case fails:
			if t.state.Active() {
				c.fail(j, i, d.kind, d.cause)
			}
		}
	}
}
