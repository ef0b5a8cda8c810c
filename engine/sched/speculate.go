package sched

import (
	"cmp"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// A task that takes much longer than its like may be on a sick machine. If its class
// says that it may run twice, and there are slots for which there is no other work, it
// gets a second attempt on another worker. The first result counts, and the other
// attempt is stopped.
//
// The task's row speaks of the first attempt; the second is kept aside. When the first
// ends without an outcome the second takes its place.

// second is a task's second live attempt.
type second struct {
	attempt graph.Attempt
	where   graph.WorkerID
	took    uint8 // bucket of the estimate charged to the worker
	running bool
}

// run is the first attempt of a task that may get a second one.
type run struct {
	since  int64 // milliseconds
	copied bool  // it has had one
}

const (
	// slowAfter is how many milliseconds a task runs at least, and slowTimes how many
	// times as long as its class does on average, until it is thought slow.
	slowAfter = 1000
	slowTimes = 3
)

// noteStart remembers when an attempt started that may get a second one.
func (c *Core) noteStart(j *job, i uint32) {
	if !j.classOf(j.task(i)).Idempotent {
		return
	}
	if j.runs == nil {
		j.runs = map[uint32]run{}
	}
	j.runs[i] = run{since: c.now}
}

// slow is a task that a second attempt may help.
type slow struct {
	job   *job
	i     uint32
	times float64 // as long as the average
}

// speculate gives second attempts to slots for which there is nothing else, to the
// slowest tasks first, once in a tick.
func (c *Core) speculate() {
	if c.free == 0 || c.ready > 0 || len(c.suspects) > 0 || c.now == c.speculated {
		return
	}
	c.speculated = c.now
	for _, s := range c.slowTasks() {
		if w := c.otherWorker(s.job, s.i); w != nil {
			c.giveSecond(w, s.job, s.i)
		}
		if c.free == 0 {
			return
		}
	}
}

func (c *Core) slowTasks() (out []slow) {
	for _, id := range slices.Sorted(maps.Keys(c.jobs)) {
		j := c.jobs[id]
		for i, r := range j.runs {
			cl := j.classOf(j.task(i))
			ms := c.now - r.since
			if r.copied || c.workers[j.task(i).where].isParked(j.name(i)) || !cl.took.known || ms < slowAfter || ms*1000 < slowTimes*cl.took.micros() || !c.hasInputs(j, i) {
				continue
			}
			out = append(out, slow{j, i, float64(ms) * 1000 / float64(max(1, cl.took.micros()))})
		}
	}
	slices.SortFunc(out, func(a, b slow) int {
		return cmp.Or(cmp.Compare(b.times, a.times), cmp.Compare(a.job.id, b.job.id), cmp.Compare(a.i, b.i))
	})
	return out
}

// hasInputs reports whether all of i's inputs have results.
func (c *Core) hasInputs(j *job, i uint32) bool {
	for e, to := j.edgesOf(i); e < to; e++ {
		if jd, d := c.dep(j, i, e); jd == nil || jd.task(d).state != StateDone {
			return false
		}
	}
	return true
}

// otherWorker returns a worker with a slot for i, on another host than where it runs if
// there is one.
func (c *Core) otherWorker(j *job, i uint32) (out *worker) {
	t := j.task(i)
	l, at := j.classOf(t).lane, c.workers[t.where]
	for w := range c.crew.of(&c.crew.idle) {
		if w == at || l.slots > w.freeSlots() || w.inflight >= c.maxInflight(w) || !w.fits(l) || !w.spares(l) {
			continue
		}
		if w.host != at.host {
			return w
		}
		if out == nil {
			out = w
		}
	}
	return out
}

func (c *Core) giveSecond(w *worker, j *job, i uint32) {
	t := j.task(i)
	cl := j.classOf(t)
	s := second{attempt: c.nextAttempt(j, i), where: w.id, took: bucket(cl.took.micros())}
	if j.seconds == nil {
		j.seconds = map[uint32]second{}
	}
	if j.top == nil {
		j.top = map[uint32]graph.Attempt{}
	}
	j.seconds[i], j.top[i] = s, s.attempt
	j.runs[i] = run{j.runs[i].since, true}
	c.charge(w, cl.lane, cl.lane.slots, s.took)
	c.assign(w, j, i, s.attempt)
}

// secondOn returns the job of an attempt if it is a task's second one, on that worker.
func (c *Core) secondOn(w graph.WorkerID, a TaskAttempt) *job {
	j := c.jobs[a.Task.Job]
	if j == nil {
		return nil
	}
	if s, ok := j.seconds[a.Task.Index]; !ok || s.where != w || s.attempt != a.Attempt {
		return nil
	}
	return j
}

// dropSecond gives i's second attempt up; with stop its worker is told.
func (c *Core) dropSecond(j *job, i uint32, stop bool) {
	s, ok := j.seconds[i]
	if !ok {
		return
	}
	delete(j.seconds, i)
	w := c.workers[s.where]
	c.unpark(w, j.name(i), s.took)
	c.discharge(w, j.classOf(j.task(i)).lane, j.classOf(j.task(i)).lane.slots, s.took)
	if s.running {
		w.running--
	}
	if stop {
		c.out.Stop = append(c.out.Stop, Order{s.where, j.name(i), s.attempt})
	}
}

// dropSecondsOn gives up all second attempts that w has, and returns how many.
func (c *Core) dropSecondsOn(w *worker, stop bool) (n int) {
	for _, id := range slices.Sorted(maps.Keys(c.jobs)) {
		j := c.jobs[id]
		for _, i := range slices.Sorted(maps.Keys(j.seconds)) {
			if j.seconds[i].where == w.id {
				c.dropSecond(j, i, stop)
				n++
			}
		}
	}
	return n
}

// promote puts the second attempt in the place of the first, which was let go of.
func (c *Core) promote(j *job, i uint32) {
	s, t := j.seconds[i], j.task(i)
	delete(j.seconds, i)
	delete(j.top, i)
	c.apply(j, i, moveSecond)
	t.where, t.attempt, t.took = s.where, s.attempt, s.took
	w := c.workers[s.where]
	w.given = append(w.given, TaskAttempt{j.name(i), s.attempt})
	if s.running {
		c.apply(j, i, moveStart)
		j.runs[i] = run{since: c.now}
	}
}

// overtake lets the second attempt, which gave a result, take the place of the first.
func (c *Core) overtake(j *job, i uint32) {
	c.stop(j, i)
	c.ungive(j, i)
	c.promote(j, i)
}

// secondStarted reports whether an attempt that started is a task's second one.
func (c *Core) secondStarted(w graph.WorkerID, a TaskAttempt) bool {
	j := c.secondOn(w, a)
	if j == nil || j.seconds[a.Task.Index].running {
		return false
	}
	s := j.seconds[a.Task.Index]
	s.running = true
	j.seconds[a.Task.Index] = s
	c.workers[w].running++
	return true
}

// failedSecond takes in that a second attempt gave no result. The first goes on as if
// there had been none: what it does decides.
func (c *Core) failedSecond(w graph.WorkerID, f *FailedAttempt) {
	j := c.secondOn(w, f.TaskAttempt)
	if j == nil {
		c.reject(StaleAttempt)
		return
	}
	if f.Kind == graph.FailInput {
		c.inputGone(j, f.Task.Index, f)
	}
	c.dropSecond(j, f.Task.Index, false)
}
