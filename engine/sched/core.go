package sched

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// Config has the core's few knobs. The zero value of each means its default.
type Config struct {
	// Prefill is how much estimated work, in microseconds per slot, a worker is
	// given ahead of what it runs. Default 20,000.
	Prefill int64
	// MaxPrefill bounds the attempts that a worker has at a time. Default 1024.
	MaxPrefill int
	// Follow is how long a task may take, in microseconds, that follows others or is
	// followed (follow.go). Default 2,000; less than 0 is none.
	Follow int64
	// Bandwidth is what a fetch between workers is assumed to reach, in bytes per
	// millisecond. Default 200,000.
	Bandwidth uint64
	// LocalityWait bounds, in milliseconds, how long a slot stays idle rather than
	// take a task whose input lies on another worker's host. Default 1,000.
	LocalityWait int64
	// CopyTimeout is how long a Copy may take before another is tried, in
	// milliseconds. Default 60,000.
	CopyTimeout int64

	// Durable has the core collect Facts, for a journal.
	Durable bool
	// Restore has it begin with what a journal tells, until Restored (restore.go).
	Restore bool
	// Generation is how many schedulers there were before this one, whose attempts are
	// known by their numbers.
	Generation uint32
}

func (c Config) withDefaults() Config {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.Prefill, 20_000)
	if c.Follow == 0 {
		c.Follow = 2_000
	}
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
	tomb      task // stands for every row that was dropped, or not made

	workers      map[graph.WorkerID]*worker
	crew         crew // the same, in the order in which they joined
	newestWorker graph.WorkerID

	hosts      map[string]uint32               // host name → number
	resources  map[string]uint32               // name of a resource → number
	hostCrew   []int32                         // number → working workers on it
	lanes      []*lane                         // lanes with ready tasks, in the order in which they are served
	active     int                             // tasks in active states
	ready      int                             // tasks that are Ready in lanes
	suspects   []graph.TaskID                  // tasks that run alone, when Ready
	solos      int                             // workers with solo set
	resting    int                             // workers with resting set
	free       int                             // slots of working workers that nothing is assigned to
	surplus    int                             // workers that have more than their slots can run
	claims     map[graph.TaskID]graph.WorkerID // attempts under retraction → for whom
	transfers  []transfer                      // Copies under way
	speculated int64                           // when slow tasks were last looked for
	scratch    []graph.WorkerID
	spoils     []*worker      // of the last rebalance
	revived    []graph.TaskID // by the last Retry

	todo     consequences
	rejected [reasons]uint64
	shrunk   Shrunk

	facts     []Fact // since they were last asked for
	tooks     []ClassTook
	era       uint32 // the generation of the core that took in what is told now
	restoring bool   // until Restored
	hazy      bool   // from Hazy until Clear
	haze      haze
	awaiting  bool // from then until Resume: nothing is given out, nor fails because of an input

	// unused are, until then, tasks that were let go of before anybody wanted them: what
	// they need may be fresh yet.
	unused map[graph.TaskID]struct{}

	out, spare *Output
}

// New returns a core without jobs or workers.
func New(cfg Config) *Core {
	c := &Core{
		cfg:       cfg.withDefaults(),
		jobs:      map[graph.JobID]*job{},
		workers:   map[graph.WorkerID]*worker{},
		hosts:     map[string]uint32{},
		resources: map[string]uint32{},
		claims:    map[graph.TaskID]graph.WorkerID{},
		out:       &Output{},
		spare:     &Output{},
		restoring: cfg.Restore,
		unused:    map[graph.TaskID]struct{}{},
	}
	if !cfg.Restore {
		c.era = cfg.Generation
	}
	return c
}

// Step takes one event in. What follows from it is seen in the next Output.
// Whatever the event holds, Step does not fail: rows that make no sense or come
// too late change nothing and are counted (see Rejected).
func (c *Core) Step(ev Event) {
	if c.waits(ev) {
		return
	}
	switch ev := ev.(type) {
	case Tick:
		c.now = max(c.now, ev.Now)
	case Done:
		c.stepDone(ev)
	case Started:
		c.stepStarted(ev)
	case Submit:
		c.stepSubmit(ev)
	case SubmitRange:
		c.stepRange(ev)
	case Release:
		c.stepRelease(ev)
	case ReleaseRun:
		c.releaseRun(ev.Run)
	case Failed:
		c.stepFailed(ev)
	case Parked:
		c.stepParked(ev)
	case Unparked:
		c.stepUnparked(ev)
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
	case CancelRun:
		c.cancelRun(ev.Run)
	case Retry:
		c.stepRetry(ev)
	case CloseJob:
		c.stepClose(ev)
	case Retire:
		c.stepRetire(ev)
	case Recall:
		c.stepRecall(ev)
	case RecallTook:
		c.stepRecallTook(ev)
	case Hazy:
		c.hazy = c.restoring
	case Clear:
		c.stepClear()
	case Restored:
		c.stepRestored()
	case Adopt:
		c.stepAdopt(ev)
	case Resume:
		c.stepResume()
	default:
		panic(fmt.Sprintf("sched: event of type %T", ev))
	}
	c.settle()
}

// Output gives ready tasks to workers and returns all that is to be done since
// the last call. It is the caller's until the next call.
func (c *Core) Output() *Output {
	if !c.restoring && !c.awaiting {
		c.wake()
		c.fill()
		c.rebalance()
		c.speculate()
		c.drain()
		c.settle()
	}
	c.out.Free = slices.DeleteFunc(c.out.Free, c.Counts)
	out := c.out
	c.out, c.spare = c.spare, out
	c.out.reset()
	return out
}

// Counts reports whether a Free names a copy that counts: what the holder said
// later, before it could hear of the Free, or said twice, made it one.
func (c *Core) Counts(o Order) bool {
	j, t := c.look(o.Task)
	if j == nil || t.state != StateDone || t.attempt != o.Attempt {
		return false
	}
	if t.flags&flagInline != 0 {
		return o.Worker == 0
	}
	return j.holds(o.Task.Index, o.Worker)
}

func (o *Output) reset() {
	o.Assign, o.Inputs, o.Stop, o.Retract = o.Assign[:0], o.Inputs[:0], o.Stop[:0], o.Retract[:0]
	o.Free, o.Copy, o.Ended, o.Forget = o.Free[:0], o.Copy[:0], o.Ended[:0], o.Forget[:0]
	o.Gone, o.Retired = o.Gone[:0], o.Retired[:0]
	o.Cancelled, o.Forgotten = o.Cancelled[:0], o.Forgotten[:0]
}

// find returns the task's job and row; nil when there is no such task.
func (c *Core) find(t graph.TaskID) (*job, *task) {
	j, row := c.look(t)
	if row == &c.tomb && row.state != StateForgotten {
		row = j.makeRow(t.Index)
	}
	return j, row
}

// look is find for who changes nothing of a task that no worker was ever given: what it
// returns of one whose row was not made, or was dropped, is a copy that the next call
// changes.
func (c *Core) look(t graph.TaskID) (*job, *task) {
	j := c.last
	if j == nil || j.id != t.Job {
		if j = c.jobs[t.Job]; j == nil {
			return nil, nil
		}
		c.last = j
	}
	switch {
	case t.Index >= j.tasks.n:
		return nil, nil
	case j.tasks.made(t.Index):
		return j, j.task(t.Index)
	case j.tasks.has(t.Index):
		c.tomb = j.rowOf(t.Index)
	default:
		c.tomb = task{state: StateForgotten, flags: flagCut}
	}
	return j, &c.tomb
}

// A consequence is something that still has to be done because of what was done.
// Consequences run through graphs of any depth, so they are kept in lists and
// not in a recursion. First all that is wanted again is wanted, then all that
// cannot have a result fails, then what nobody wants is dropped: in that order
// no consequence asks for one of an earlier kind, and what comes out does not
// depend on the order within a kind. Each looks at its task anew, so one too many
// does nothing. Followers are looked at whenever something ended: what becomes of them
// follows like everything else.
type consequences struct {
	doubts   []graph.TaskID // Given tasks that may follow no more
	wanted   []graph.TaskID // Released tasks that somebody may want
	fails    []failing      // active tasks that cannot have a result
	unwanted []graph.TaskID // tasks that nobody may want any more
}

type failing struct {
	task  graph.TaskID
	kind  graph.FailKind
	cause graph.TaskID
}

func (c *Core) wantLater(j *job, i uint32) { c.todo.wanted = append(c.todo.wanted, j.name(i)) }

func (c *Core) dropLater(j *job, i uint32) { c.todo.unwanted = append(c.todo.unwanted, j.name(i)) }

func (c *Core) failLater(j *job, i uint32, kind graph.FailKind, cause graph.TaskID) {
	c.todo.fails = append(c.todo.fails, failing{j.name(i), kind, cause})
}

func (q *consequences) empty() bool {
	return len(q.doubts)+len(q.wanted)+len(q.fails)+len(q.unwanted) == 0
}

// settle draws all consequences.
func (c *Core) settle() {
	for q := &c.todo; !q.empty(); {
		switch {
		case len(q.doubts) > 0:
			id := pop(&q.doubts)
			if j, t := c.find(id); j != nil && t.follower() {
				c.stray(j, id.Index)
			}
		case len(q.wanted) > 0:
			id := pop(&q.wanted)
			if j, t := c.find(id); j != nil && t.state == StateReleased && j.wanted(id.Index) && !c.restoring {
				c.activate(j, id.Index)
			}
		case len(q.fails) > 0:
			f := pop(&q.fails)
			if j, t := c.find(f.task); j != nil && t.state.Active() && !c.awaiting {
				c.fail(j, f.task.Index, f.kind, f.cause)
			}
		default:
			id := pop(&q.unwanted)
			if c.hazy {
				c.haze.unwanted = append(c.haze.unwanted, id)
				continue
			}
			if j, t := c.find(id); j != nil && t.state != StateForgotten {
				c.dropUnwanted(j, id.Index)
			}
		}
	}
}

func pop[T any](s *[]T) T {
	v := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return v
}
