package schedtest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// World is one run: a core, what surrounds it, and who watches.
type World struct {
	plan   Plan
	rng    *rand.Rand
	core   *sched.Core
	twin   *twin
	oracle *oracle
	now    int64
	log    []string

	machines   []*machine
	conns      []*conn // those that the core does not know to be gone
	nextWorker graph.WorkerID
	nextName   int
	crashes    int

	jobs    []*job
	inline  map[sched.TaskAttempt]uint64 // the scheduler's store of small results
	sent    map[sched.TaskAttempt]uint64 // small results on their way
	payload map[graph.TaskID]bool        // the scheduler's store of payloads
	flaked  map[graph.TaskID]int
	cured   map[graph.TaskID]bool // bad tasks that are good, since they were retried
	gone    map[graph.JobID]bool
	told    map[graph.TaskID]graph.FailKind
	healing bool
	// strict: one death is enough, and nothing but a task by itself can be its cause,
	// so that a death which is blamed on a bystander shows at once.
	strict bool

	phantoms int
}

// job is a client's view of a job.
type job struct {
	id      graph.JobID
	classes []*behaviour
	next    uint32
	held    []graph.TaskID
	pinned  []graph.TaskID
	closed  bool
}

func newWorld(p Plan) *World {
	w := &World{
		plan: p, rng: rand.New(rand.NewPCG(p.Seed, 1)),
		core:    sched.New(sched.Config{}),
		twin:    &twin{byID: map[graph.TaskID]*twinTask{}},
		oracle:  &oracle{specs: map[graph.TaskID]*spec{}, values: map[graph.TaskID]uint64{}},
		inline:  map[sched.TaskAttempt]uint64{},
		sent:    map[sched.TaskAttempt]uint64{},
		payload: map[graph.TaskID]bool{},
		flaked:  map[graph.TaskID]int{},
		cured:   map[graph.TaskID]bool{},
		gone:    map[graph.JobID]bool{},
		told:    map[graph.TaskID]graph.FailKind{},
	}
	w.twin.core, w.twin.mayFail = w.core, w.mayFail
	w.twin.retries = func(id graph.TaskID) int { return int(w.oracle.specs[id].does.class.Retries) }
	w.strict = w.chance(2)
	for range 1 + w.rng.IntN(4) {
		w.join(w.someHost(), w.somePool())
	}
	return w
}

func (w *World) chance(oneIn int) bool { return w.rng.IntN(oneIn) == 0 }

func (w *World) someHost() string { return fmt.Sprintf("host%d", w.rng.IntN(3)) }

func (w *World) somePool() string {
	if w.plan.has("pools") && w.chance(4) {
		return "big"
	}
	return ""
}

// fault is how a violated expectation is raised; Run catches it.
type fault struct{ error }

func (w *World) must(err error) {
	if err != nil {
		panic(fault{err})
	}
}

func (w *World) note(format string, args ...any) {
	if w.plan.Trace {
		w.log = append(w.log, fmt.Sprintf(format, args...))
	}
}

// step puts an event into the core and lets everybody look at what came of it.
func (w *World) step(ev sched.Event) {
	w.note("%T%+v", ev, ev)
	if d, ok := ev.(sched.Done); ok {
		w.keepInline(d)
	}
	if s, ok := ev.(sched.Submit); ok {
		for k := range s.Batch.Len() {
			w.payload[graph.TaskID{Job: s.Batch.Job, Index: s.Batch.First + uint32(k)}] = true
		}
	}
	w.core.Step(ev)
	w.must(w.core.Check())
	w.twin.see(ev)
	w.must(w.twin.compare())
}

// mayFail judges a failure that the core says a task had by itself.
func (w *World) mayFail(id graph.TaskID, kind graph.FailKind, told bool) error {
	does := w.oracle.specs[id].does.kind
	switch {
	case kind == graph.FailUser && does == "bad" && !w.cured[id]:
	case kind == graph.FailDied && (does == "poison" || does == "bomb"):
	case kind == graph.FailLost && told:
	default:
		return fmt.Errorf("%v (%s) failed as %v", id, does, kind)
	}
	return nil
}

// keepInline is what the scheduler's loop does with small results before the
// core sees them.
func (w *World) keepInline(d sched.Done) {
	for _, f := range d.Tasks {
		if v, ok := w.sent[f.TaskAttempt]; ok && f.Inline {
			w.inline[f.TaskAttempt] = v
		}
	}
}

// turn takes the core's output and carries it out.
func (w *World) turn() {
	out := w.core.Output()
	for _, a := range out.Assign {
		w.assign(a, out.Inputs[a.From:a.To])
	}
	for _, o := range out.Stop {
		w.send(o.Worker, stop(o))
	}
	for _, o := range out.Retract {
		w.send(o.Worker, retract(o))
	}
	for _, o := range out.Free {
		w.note("free %+v", o)
		w.must(w.twin.freed(o))
		if o.Worker == 0 {
			delete(w.inline, sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt})
			continue
		}
		w.send(o.Worker, free(o))
	}
	for _, o := range out.Copy {
		w.send(o.To, copyFrom(o))
	}
	for k, e := range out.Ended {
		w.ended(e, slices.ContainsFunc(out.Ended[k+1:], func(f sched.Ended) bool { return f.Task == e.Task && f.Again }))
	}
	for _, id := range out.Forget {
		if !w.payload[id] {
			w.must(fmt.Errorf("%v forgotten twice", id))
		}
		delete(w.payload, id)
	}
	for _, id := range out.Gone {
		w.jobGone(id)
	}
	for _, id := range out.Retired {
		w.retired(id)
	}
	w.must(w.core.Check())
	w.must(w.twin.compare())
}

func (w *World) assign(a sched.Assign, inputs []sched.Input) {
	w.note("assign %+v %+v", a, inputs)
	w.must(w.twin.assigned(a, inputs))
	if !w.payload[a.Task] {
		w.must(fmt.Errorf("%v assigned after it was forgotten", a.Task))
	}
	x := assigned{Assign: a, slots: max(1, int(w.oracle.specs[a.Task].does.class.Resources.Slots))}
	for _, in := range inputs {
		v, ok := w.inline[sched.TaskAttempt{Task: in.Task, Attempt: in.Attempt}]
		if in.Inline && !ok {
			w.must(fmt.Errorf("%v assigned with inline input %v, which is not there", a.Task, in.Task))
		}
		x.inputs = append(x.inputs, input{in, v})
	}
	c := w.connOf(a.Worker)
	if c == nil {
		w.must(fmt.Errorf("%v assigned to worker %d, which left", a.Task, a.Worker))
	}
	if c.m != nil && (x.slots > c.m.slots || !w.poolFits(a.Task, c.m)) {
		w.must(fmt.Errorf("%v assigned to worker %d, which does not fit", a.Task, a.Worker))
	}
	w.send(a.Worker, x)
}

func (w *World) poolFits(id graph.TaskID, m *machine) bool {
	pool := w.oracle.specs[id].does.class.Pool
	return pool == "" || pool == m.pool
}

// ended is what a client is told. What it was told once stays true, unless the task
// is retried; the twin knows no more of what was before that.
func (w *World) ended(e sched.Ended, outdated bool) {
	w.note("ended %+v", e)
	if e.Again {
		w.retried(e)
		return
	}
	if !outdated {
		w.must(w.twin.ended(e))
	}
	before, again := w.told[e.Task]
	switch {
	case again && before != graph.FailNone:
		w.must(fmt.Errorf("%v ended as %v and then as %v", e.Task, before, e.Kind))
	case again && e.Kind != graph.FailNone && e.Kind != graph.FailLost:
		w.must(fmt.Errorf("%v had a result and then ended as %v", e.Task, e.Kind))
	}
	w.told[e.Task] = e.Kind
}

func (w *World) jobGone(id graph.JobID) {
	if w.gone[id] {
		w.must(fmt.Errorf("job %d gone twice", id))
	}
	w.gone[id] = true
	for t := range w.payload {
		if t.Job == id {
			delete(w.payload, t)
		}
	}
}

func (w *World) connOf(id graph.WorkerID) *conn {
	if n := slices.IndexFunc(w.conns, func(c *conn) bool { return c.id == id }); n >= 0 {
		return w.conns[n]
	}
	return nil
}

func (w *World) send(id graph.WorkerID, msg any) {
	if c := w.connOf(id); c != nil && c.m != nil {
		c.down = append(c.down, msg)
	}
}

// fetch reads a result over the data plane. A machine answers while it lives,
// whether or not the scheduler can see it.
func (w *World) fetch(from graph.WorkerID, a sched.TaskAttempt) (stored, bool) {
	c := w.connOf(from)
	if c == nil || c.m == nil || c.m.conn != c {
		return stored{}, false
	}
	if w.plan.has("missing") && !w.healing && w.chance(12) {
		return stored{}, false // the two cannot reach each other
	}
	s, ok := c.m.results[a]
	return s, ok
}
