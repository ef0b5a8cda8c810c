package adapttest

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// Policy says how many workers there shall be.
type Policy interface {
	// Decide is called once a second, and when work comes to a cluster that had none. It
	// uses World.Ask, World.Shrink and World.Retire.
	Decide(w *World) error
}

// Result is how a trace went.
type Result struct {
	Makespan   time.Duration // from the first task's coming to the last one's end
	Wait       time.Duration // from a task's coming to its end, on the average
	Containers time.Duration // that containers were held, until the last was given back
	Tail       time.Duration // as much of that as came after the makespan
	Peak       int           // containers
	Flaps      int           // containers given back by choice within a minute after their worker came
	Early      int           // containers given back by choice before their worker came
	Recomputed int           // attempts that planned shrinks took back
	Tasks      int
}

// World is one run of a trace. Time is virtual.
type World struct {
	Trace *Trace
	Core  *sched.Core
	Now   time.Duration

	policy  Policy
	random  *rand.Rand
	events  timeline
	number  int // of the last event, for a stable order
	workers map[graph.WorkerID]*machine
	boxes   []*box // containers, the oldest first
	asked   []*ask // the oldest first
	most    int

	lastWorker graph.WorkerID
	lastBox    int
	took       float64 // as Dask averages: half of it is the last one's; -1: unknown

	classes map[string]graph.ClassID
	tasks   []*task // by index: all are of one job
	left    int     // that have not ended
	coming  int     // jobs
	settled time.Duration
	waited  time.Duration
	result  Result
	idle    bool // nothing ran when last asked
}

type task struct {
	took, came time.Duration
	ended      bool
}

// box is a container.
type box struct {
	number    int
	id        graph.WorkerID // once it is a worker
	allocated time.Duration
	ready     time.Duration // 0: not yet
	leaving   bool          // by name, on a policy's wish
	gone      bool
}

// machine is a worker: it does one thing after the other.
type machine struct {
	box   *box
	queue []sched.Assign
	run   *sched.Assign
	since time.Duration
	ends  int // number of the event that ends run
}

type ask struct{ since time.Duration }

const job = graph.JobID(1)

// Delays of the model of YARN, from an ask to a container. From that to a worker it takes
// half of Trace.Start, up to one and a half of it.
const allocateLeast, allocateMost = 800 * time.Millisecond, 2200 * time.Millisecond

// Run plays a trace.
func Run(t *Trace, p Policy, seed uint64) (Result, error) {
	w := &World{Trace: t, Core: sched.New(sched.Config{}), policy: p, random: rand.New(rand.NewPCG(seed, 2)), workers: map[graph.WorkerID]*machine{},
		most: t.Max, classes: map[string]graph.ClassID{}, coming: len(t.Jobs), idle: true, took: -1}
	w.Core.Step(sched.OpenJob{Job: job})
	for i := range t.Jobs {
		w.at(t.Jobs[i].At, func() error { return w.submit(&t.Jobs[i]) })
	}
	for _, c := range t.Cuts {
		w.at(c.At, func() error { w.cut(c.Most); return nil })
	}
	w.at(0, w.second)
	for !w.over() {
		e := heap.Pop(&w.events).(*event)
		w.Now = e.at
		if err := e.do(); err != nil {
			return w.result, fmt.Errorf("%s at %v: %w", t.Name, w.Now, err)
		}
		w.turn()
		if w.Now > 12*time.Hour {
			return w.result, fmt.Errorf("%s does not end: %d tasks are left, %d workers, %d asked for", t.Name, w.left, len(w.workers), len(w.asked))
		}
	}
	w.result.Makespan = w.settled - t.Jobs[0].At
	w.result.Wait = w.waited / time.Duration(len(w.tasks))
	w.result.Recomputed, w.result.Tasks = w.Core.Shrunk().Attempts, len(w.tasks)
	return w.result, nil
}

// over: all is done, and the last container has been given back.
func (w *World) over() bool {
	return w.coming == 0 && w.left == 0 && len(w.boxes) == 0 && len(w.asked) == 0
}

// ---- time ------------------------------------------------------------------------

type event struct {
	at     time.Duration
	number int
	do     func() error
}

type timeline []*event

func (t timeline) Len() int { return len(t) }
func (t timeline) Less(a, b int) bool {
	return t[a].at < t[b].at || t[a].at == t[b].at && t[a].number < t[b].number
}
func (t timeline) Swap(a, b int) { t[a], t[b] = t[b], t[a] }
func (t *timeline) Push(v any)   { *t = append(*t, v.(*event)) }
func (t *timeline) Pop() any {
	v := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return v
}

func (w *World) at(at time.Duration, do func() error) int {
	w.number++
	heap.Push(&w.events, &event{at, w.number, do})
	return w.number
}

func (w *World) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)))
}

func (w *World) second() error {
	w.at(w.Now+time.Second, w.second)
	return w.decide()
}

func (w *World) decide() error {
	w.Core.Step(sched.Tick{Now: w.Now.Milliseconds()})
	w.idle = w.left == 0
	return w.policy.Decide(w)
}

// ---- tasks -----------------------------------------------------------------------

func (w *World) submit(j *Job) error {
	w.coming--
	class, ok := w.classes[j.Class]
	if !ok {
		class = graph.ClassID(len(w.classes))
		w.classes[j.Class] = class
		w.Core.Step(sched.DeclareClass{Job: job, Class: class, Spec: graph.Class{Name: j.Class}})
	}
	first := uint32(len(w.tasks))
	b := &graph.Batch{Job: job, First: first}
	for i, took := range j.Took {
		b.Class = append(b.Class, class)
		if j.Deps != nil {
			for _, d := range j.Deps[i] {
				b.Deps = append(b.Deps, graph.TaskID{Job: job, Index: first + d})
			}
			b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
		}
		w.tasks = append(w.tasks, &task{took: took, came: w.Now})
	}
	if j.Deps == nil {
		b.DepEnd = make([]uint32, b.Len())
	}
	b.PayEnd, b.HostEnd = make([]uint32, b.Len()), make([]uint32, b.Len())
	if err := b.Check(len(w.classes)); err != nil {
		return err
	}
	w.left += len(j.Took)
	w.Core.Step(sched.Submit{Batch: b})
	if w.idle {
		return w.decide()
	}
	return nil
}

// turn does what the core wants done.
func (w *World) turn() {
	for {
		out := w.Core.Output()
		for _, a := range out.Assign {
			m := w.workers[a.Worker]
			m.queue = append(m.queue, a)
		}
		var answers []sched.Event
		for _, o := range out.Retract {
			answers = append(answers, w.retract(o))
		}
		for _, id := range out.Retired {
			w.giveBack(w.workers[id].box)
		}
		for _, m := range w.inOrder() {
			if e := w.begin(m); e != nil {
				answers = append(answers, *e)
			}
		}
		if len(answers) == 0 {
			return
		}
		for _, e := range answers {
			w.Core.Step(e)
		}
	}
}

func (w *World) inOrder() []*machine {
	var ms []*machine
	for _, b := range w.boxes {
		if m := w.workers[b.id]; b.ready != 0 && m.run == nil && len(m.queue) > 0 {
			ms = append(ms, m)
		}
	}
	return ms
}

func (w *World) retract(o sched.Order) sched.Event {
	m := w.workers[o.Worker]
	a := sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt}
	n := slices.IndexFunc(m.queue, func(x sched.Assign) bool { return x.Task == o.Task && x.Attempt == o.Attempt })
	if n >= 0 {
		m.queue = slices.Delete(m.queue, n, n+1)
	}
	return sched.Retracted{Worker: o.Worker, Tasks: []sched.TaskAttempt{a}, OK: []bool{n >= 0}}
}

func (w *World) begin(m *machine) *sched.Started {
	if m.run != nil || len(m.queue) == 0 {
		return nil
	}
	a := m.queue[0]
	m.queue = m.queue[1:]
	m.run, m.since = &a, w.Now
	took := w.tasks[a.Task.Index].took
	m.ends = w.at(w.Now+took, func() error {
		if w.workers[m.box.id] == m && m.run == &a {
			w.end(m, took)
		}
		return nil
	})
	return &sched.Started{Worker: m.box.id, Tasks: []sched.TaskAttempt{{Task: a.Task, Attempt: a.Attempt}}}
}

func (w *World) end(m *machine, took time.Duration) {
	a := m.run
	m.run = nil
	if w.took < 0 {
		w.took = took.Seconds()
	}
	w.took = (w.took + took.Seconds()) / 2
	w.Core.Step(sched.Done{Worker: m.box.id, Tasks: []sched.Finished{{TaskAttempt: sched.TaskAttempt{Task: a.Task, Attempt: a.Attempt}, Size: 1, Inline: true, Duration: uint32(took.Microseconds())}}})
	if t := w.tasks[a.Task.Index]; !t.ended {
		t.ended = true
		w.left--
		w.settled = w.Now
		w.waited += w.Now - t.came
	}
}

// ---- containers ------------------------------------------------------------------

// Ask sets how many containers are asked for and not allocated.
func (w *World) Ask(n int) {
	for len(w.asked) > n {
		w.asked = w.asked[:len(w.asked)-1]
	}
	for len(w.asked) < n {
		a := &ask{w.Now}
		w.asked = append(w.asked, a)
		w.allocateLater(a)
	}
}

func (w *World) allocateLater(a *ask) {
	w.at(w.Now+w.between(allocateLeast, allocateMost), func() error {
		n := slices.Index(w.asked, a)
		switch {
		case n < 0: // taken back
		case len(w.boxes) >= w.most:
			w.allocateLater(a) // there is no room
		default:
			w.asked = slices.Delete(w.asked, n, n+1)
			w.allocate()
		}
		return nil
	})
}

func (w *World) allocate() {
	w.lastBox++
	b := &box{number: w.lastBox, allocated: w.Now}
	w.boxes = append(w.boxes, b)
	w.result.Peak = max(w.result.Peak, len(w.boxes))
	w.at(w.Now+w.between(w.Trace.Start/2, w.Trace.Start*3/2), func() error {
		if !b.gone {
			w.lastWorker++
			b.id, b.ready = w.lastWorker, w.Now
			w.workers[b.id] = &machine{box: b}
			w.Core.Step(sched.WorkerJoined{Worker: b.id, Name: fmt.Sprint("w", b.id), Host: fmt.Sprint("h", b.id), Pool: "worker", Slots: 1})
		}
		return nil
	})
}

// Starting counts the containers that are no workers yet.
func (w *World) Starting() (n int) {
	for _, b := range w.boxes {
		if b.ready == 0 {
			n++
		}
	}
	return n
}

// Asked counts what was asked for and is not allocated.
func (w *World) Asked() int { return len(w.asked) }

// Containers counts those that are held.
func (w *World) Containers() int { return len(w.boxes) }

// Shrink has the scheduler drain workers until so many are left; containers that are no
// workers yet go at once, the youngest first.
func (w *World) Shrink(to int) {
	for _, b := range slices.Backward(slices.Clone(w.boxes)) {
		if len(w.boxes) > to && b.ready == 0 {
			w.giveBack(b)
		}
	}
	if len(w.boxes) > to {
		w.Core.Step(sched.Retire{Pool: "worker", To: to})
	}
}

// Retire has certain workers drained.
func (w *World) Retire(ids []graph.WorkerID) {
	for _, b := range w.boxes {
		b.leaving = b.leaving || b.ready != 0 && slices.Contains(ids, b.id)
	}
	w.Core.Step(sched.Retire{Workers: ids})
}

// staying counts the containers that are not to leave.
func (w *World) staying() (n int) {
	for _, b := range w.boxes {
		if !b.leaving {
			n++
		}
	}
	return n
}

// average is how long tasks took, in seconds, the later ones counting more; -1: none has
// ended.
func (w *World) average() float64 { return w.took }

// age is how long ago a worker came.
func (w *World) age(id graph.WorkerID) time.Duration {
	for _, b := range w.boxes {
		if b.id == id {
			return w.Now - b.ready
		}
	}
	return 0
}

// giveBack ends a container by choice.
func (w *World) giveBack(b *box) {
	switch {
	case b.ready == 0:
		w.result.Early++
	case w.Now-b.ready < time.Minute:
		w.result.Flaps++
	}
	w.lose(b)
}

func (w *World) lose(b *box) {
	b.gone = true
	if b.ready != 0 {
		w.Core.Step(sched.WorkerLeft{Worker: b.id})
		delete(w.workers, b.id)
	}
	w.boxes = slices.DeleteFunc(w.boxes, func(x *box) bool { return x == b })
	w.result.Containers += w.Now - b.allocated
	if w.left == 0 && w.coming == 0 {
		w.result.Tail += w.Now - max(b.allocated, w.settled)
	}
}

// cut has the cluster take away what is more than it lets the application have.
func (w *World) cut(most int) {
	for w.most = most; len(w.boxes) > most; {
		w.lose(w.boxes[len(w.boxes)-1])
	}
}
