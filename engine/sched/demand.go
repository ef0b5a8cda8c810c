package sched

import (
	"cmp"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// What remains to be done is counted by class as tasks change their state, so that to ask
// costs nothing for each task. What becomes ready soon, and how long chains are, is found by
// looking at some of the tasks that workers have, and at some of what depends on them.

// part is which of a class's counts an active state is in.
var part = [states]uint8{
	StateReleased: noPart, StateWaiting: 0, StateReady: 1, StateAssigned: 2, StateRunning: 3,
	StateDone: noPart, StateFailed: noPart, StateCancelled: noPart, StateForgotten: noPart,
}

const (
	parts  = 4
	noPart = parts

	sampledTasks = 512     // that workers have
	sampledEdges = 1 << 14 // to consumers
	sampledFan   = 8       // consumers looked at for the next link of a chain
)

// present counts active tasks: waiting, ready, assigned, running.
type present [parts]uint32

// count adds n of a state.
func (c *present) count(s State, n uint32) {
	if p := part[s]; p != noPart {
		c[p] += n
	}
}

// Demand appends what remains to be done, by job and class, and changes nothing.
func (c *Core) Demand(dst []graph.Demand) []graph.Demand {
	s := survey{c: c, found: map[*class]*sighting{}, edges: sampledEdges}
	s.look()
	from := len(dst)
	for _, j := range c.jobs {
		for n := range j.classes {
			cl := &j.classes[n]
			if cl.parts == (present{}) {
				continue
			}
			f := s.found[cl]
			if f == nil {
				f = &sighting{}
			}
			dst = append(dst, graph.Demand{
				Job: j.id, Class: graph.ClassID(n), Name: cl.Name,
				Pool: cl.Pool, Slots: cl.slots, Memory: cl.Resources.Memory, Named: cl.Resources.Named,
				Waiting: int(cl.parts[0]), Ready: int(cl.parts[1]), Given: max(0, int(cl.parts[2]+cl.parts[3])-f.parked),
				Running: max(0, int(cl.parts[3])-f.parked), Ended: cl.ended,
				Soon: f.soon, SoonIn: micros(f.soonIn), Took: micros(cl.took.micros()), Path: micros(f.path),
			})
		}
	}
	slices.SortFunc(dst[from:], func(a, b graph.Demand) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Class, b.Class))
	})
	return dst
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// survey is one look at what workers have.
type survey struct {
	c     *Core
	found map[*class]*sighting
	edges int // that may still be looked at
}

// sighting is what was seen of one class.
type sighting struct {
	soon         int
	soonIn, path int64 // microseconds
	parked       int
	walked       bool
}

func (s *survey) of(cl *class) *sighting {
	f := s.found[cl]
	if f == nil {
		f = &sighting{}
		s.found[cl] = f
	}
	return f
}

func (s *survey) look() {
	tasks := sampledTasks
	for _, w := range s.c.crew.all {
		for id := range w.parked {
			if j, t := s.c.look(id); j != nil && t.state == StateRunning {
				s.of(j.classOf(t)).parked++
			}
		}
	}
	for _, w := range s.c.crew.all {
		for n := range w.given {
			if tasks == 0 {
				return
			}
			a := &w.given[n]
			j, t := s.c.look(a.Task)
			if j == nil || !t.state.Given() || t.where != w.id || t.attempt != a.Attempt {
				continue
			}
			tasks--
			s.task(j, a.Task.Index)
		}
	}
}

// task looks at what follows a task that a worker has.
func (s *survey) task(j *job, i uint32) {
	cl := j.classOf(j.task(i))
	took := cl.took.micros()
	for k, t := range s.waiting(j, i, s.edges) {
		if f := s.of(j.classOf(t)); t.waiting == 1 && k != i {
			f.soon++
			f.soonIn = max(f.soonIn, took)
		}
	}
	if f := s.of(cl); !f.walked {
		f.walked = true
		f.path = s.chain(j, i)
	}
}

// chain is how long a chain of tasks takes that begins with i: at each the consumer that
// takes longest, of the first few, is the next.
func (s *survey) chain(j *job, i uint32) (sum int64) {
	for {
		sum += max(0, j.classOf(j.task(i)).took.micros())
		next, longest := i, int64(-1)
		for k, t := range s.waiting(j, i, sampledFan) {
			if took := j.classOf(t).took.micros(); took > longest {
				next, longest = k, took
			}
		}
		if next == i {
			return sum
		}
		i = next
	}
}

// waiting yields consumers of i, of the same job, that wait, at most so many.
func (s *survey) waiting(j *job, i uint32, most int) func(yield func(uint32, *task) bool) {
	return func(yield func(uint32, *task) bool) {
		for e := j.task(i).out; e != 0 && most > 0 && s.edges > 0; most-- {
			s.edges--
			ed := j.edges.at(e - 1)
			e = ed.next
			if !j.tasks.made(ed.consumer) || !j.tasks.has(ed.consumer) {
				continue
			}
			if t := j.task(ed.consumer); t.state == StateWaiting && !yield(ed.consumer, t) {
				return
			}
		}
	}
}

// Shrunk is what came of workers that were drained.
type Shrunk struct {
	Workers  int // that left after they had been drained
	Attempts int // that they still had: none, or something is wrong
	Results  int // that went with them: nobody had room, or they could not be copied
}

// Shrunk tells what was lost to planned shrinks so far.
func (c *Core) Shrunk() Shrunk { return c.shrunk }

// countShrunk notes what goes with a worker that leaves.
func (c *Core) countShrunk(w *worker) {
	if w.phase != retired {
		return
	}
	c.shrunk.Workers++
	c.shrunk.Attempts += w.inflight
	for _, id := range c.heldBy(w) {
		n := 0
		for range c.jobs[id.Job].holdersOf(id.Index) {
			n++
		}
		if n == 1 {
			c.shrunk.Results++
		}
	}
}
