package engine

import (
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
)

// SubmitOption changes how one Submit, Call or Map runs.
type SubmitOption interface{ submission(*settings) }

// TaskOption changes how a task runs. Given to Define, Command or Python it holds for every
// run, given to Submit, Call or Map for these.
type TaskOption interface {
	SubmitOption
	CommandOption
	PythonOption
	class(*graph.Class)
}

// CommandOption changes how a command runs.
type CommandOption interface{ command(*commandSettings) }

// settings are what options set of a submission.
type settings struct {
	class    graph.Class
	changed  bool        // class is not the task's own any more
	job      *client.Job // nil: the client's unnamed one
	hosts    []string
	loose    bool
	window   int
	readOnce *bool // nil: if the job has no name
}

type commandSettings struct {
	class graph.Class
	spec  executor.CommandSpec
}

type classOption func(*graph.Class)

func (o classOption) class(c *graph.Class)       { o(c) }
func (o classOption) submission(s *settings)     { o(&s.class); s.changed = true }
func (o classOption) command(s *commandSettings) { o(&s.class) }
func (o classOption) python(s *pythonSettings)   { o(&s.class) }

type submitOption func(*settings)

func (o submitOption) submission(s *settings) { o(s) }

type commandOption func(*executor.CommandSpec)

func (o commandOption) command(s *commandSettings) { o(&s.spec) }

// Retries allows n further attempts after the task failed by its own doing: an
// error, a panic, an exit code. Without it there are none. What befalls a task from
// outside (a lost worker, a preemption) is made up for in any case.
func Retries(n int) TaskOption {
	return classOption(func(c *graph.Class) { c.Retries = clamp(n) })
}

// Deaths sets how many executor processes may die while they run the task before it
// is given up; without it three.
func Deaths(n int) TaskOption {
	return classOption(func(c *graph.Class) { c.Deaths = clamp(n) })
}

// Priority lets the task run before ready ones of lower priority, of all jobs.
// Without it a task has 0.
func Priority(p int) TaskOption {
	return classOption(func(c *graph.Class) { c.Priority = int32(p) })
}

// TimeLimit bounds each attempt. Its end is a failure.
func TimeLimit(d time.Duration) TaskOption {
	return classOption(func(c *graph.Class) { c.TimeLimit = d })
}

// Memory says how many bytes the task needs at its peak. A worker runs at a time only
// as many of such tasks as its memory allows.
func Memory(bytes uint64) TaskOption {
	return classOption(func(c *graph.Class) { c.Resources.Memory = bytes })
}

// Idempotent says that the task may run twice at the same time, for instance because it
// writes nothing. When it takes much longer than others like it, and there are slots for
// which there is nothing else to do, it gets a second attempt elsewhere; the first result
// counts, and the other attempt is ended.
func Idempotent() TaskOption {
	return classOption(func(c *graph.Class) { c.Idempotent = true })
}

// Slots says how many of a worker's slots the task takes; without it one.
func Slots(n int) TaskOption {
	return classOption(func(c *graph.Class) { c.Resources.Slots = clamp(n) })
}

// Pool restricts the task to the workers of a pool.
func Pool(name string) TaskOption {
	return classOption(func(c *graph.Class) { c.Pool = name })
}

// Resource says how much of a named resource of a worker the task takes while it runs,
// for instance Resource("yarn.io/gpu", 1). Workers have what their containers were given.
func Resource(name string, count uint32) TaskOption {
	return classOption(func(c *graph.Class) {
		c.Resources.Named = append(slices.Clone(c.Resources.Named), graph.Amount{Name: name, Count: uint64(count)}).Canonical()
	})
}

// OnlyHosts restricts the task to the workers of these hosts, as the node managers call
// them, or to workers by their names. See Hosts for a wish that may be set aside.
func OnlyHosts(names ...string) TaskOption {
	return classOption(func(c *graph.Class) {
		c.Hosts = append(slices.Clone(c.Hosts), names...)
		slices.Sort(c.Hosts)
		c.Hosts = slices.Compact(c.Hosts)
	})
}

func clamp(n int) uint16 { return uint16(min(max(n, 0), 1<<16-1)) }

// Hosts names the hosts on which the task would find its input, as the node managers
// call them. It runs there if a worker there is free soon enough.
func Hosts(names ...string) SubmitOption {
	return submitOption(func(s *settings) { s.hosts = names })
}

// InJob adds the task to a job.
func InJob(j *Job) SubmitOption {
	return submitOption(func(s *settings) { s.job = j.j })
}

// Loose has the result released when this program cannot use it any more: when no
// Future, Batch or Ref of the task can be reached, which Go's garbage collector finds
// out, at the latest some two minutes after. Tasks that were submitted with it as an
// input still get it. It is for intermediate results; to have one freed at once,
// Release it when the last task that needs it is submitted.
func Loose() SubmitOption {
	return submitOption(func(s *settings) { s.loose = true })
}

// ReadOnce says whether All, Completed and Gather of a Map's Batch let go of each
// result once it was read, so that neither this program nor the cluster keeps what was
// gone through. Without it they do in the unnamed job, whose results nobody else can
// find, and do not in a job with a name. See [Batch].
func ReadOnce(on bool) SubmitOption {
	return submitOption(func(s *settings) { s.readOnce = &on })
}

const defaultWindow = 1 << 20

// Window sets how many tasks of a Map may be submitted and not yet ended; without it
// about a million.
func Window(n int) SubmitOption {
	return submitOption(func(s *settings) { s.window = max(n, 1) })
}
