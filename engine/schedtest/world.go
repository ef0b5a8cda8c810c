package schedtest

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/sched"
)

// World is a core, what surrounds it, and who watches. It changes by actions alone.
type World struct {
	conf   worldConfig
	trace  bool
	log    []string
	core   *sched.Core
	twin   *twin
	oracle *oracle
	now    int64

	epoch      int // of the scheduler; those that take over from one another have the same
	generation uint32
	journal    []record
	safe       int          // how many records were there when clients were last told something
	forget     func()       // of the request that is made just now
	asked      *graph.Batch // likewise, as the journal has it
	haze       *haze        // a snapshot that is being taken
	awaiting   bool         // the scheduler waits for workers to come back
	given      map[sched.TaskAttempt]bool

	machines   []*machine // those that live
	conns      []*conn    // those of which anything may still come
	byID       map[graph.WorkerID]*conn
	nextWorker graph.WorkerID

	jobs    []*job
	nextJob graph.JobID
	inline  map[sched.TaskAttempt]uint64 // the scheduler's store of small results
	sent    map[sched.TaskAttempt]uint64 // small results on their way
	payload map[graph.TaskID]bool        // the scheduler's store of payloads
	flaked  map[Name]int
	cured   map[Name]bool // bad tasks that are good, since they were retried
	gone    map[graph.JobID]bool
	told    map[graph.TaskID]graph.FailKind

	healing     bool
	every       bool // the core counts its books after every step, not only after every turn
	hashing     bool
	hash        uint64 // of all that the core ever wanted
	events      int    // that the core took
	localEvents int    // that machines' cores took
	faults      int
	rounds      int // that it took to come to rest, the longest time
	phantoms    int
	doubtful    bool // somebody said of a result what is not so: phantoms may come of it
	cover       *Coverage
}

// job is a client's view of a job.
type job struct {
	name    int
	id      graph.JobID
	classes []*behaviour
	tasks   map[int]uint32 // by its number in scripts
	last    sched.Event    // a Submit or SubmitRange
	pinned  []graph.TaskID
	held    int // tasks that may still be released, roughly
	closed  bool
}

func newWorld(trace bool) *World {
	w := &World{
		trace: trace, cover: &Coverage{},
		flaked: map[Name]int{}, cured: map[Name]bool{},
	}
	w.epoch = 1
	w.begin()
	return w
}

// begin makes a scheduler that knows nothing.
func (w *World) begin() {
	w.dropHaze()
	w.oracle = newOracle()
	w.jobs, w.nextJob = nil, 0
	w.told, w.given = map[graph.TaskID]graph.FailKind{}, map[sched.TaskAttempt]bool{}
	w.journal, w.safe, w.generation = nil, 0, 0
	w.empty(false)
}

// empty makes a scheduler's process that has not heard of anything yet.
func (w *World) empty(restore bool) {
	w.core = sched.New(sched.Config{
		Prefill: w.conf.Prefill, MaxPrefill: int(w.conf.MaxPrefill), LocalityWait: w.conf.LocalityWait, CopyTimeout: w.conf.CopyTimeout,
		Durable: true, Restore: restore, Generation: w.generation,
	})
	w.twin = newTwin(w.core, w.oracle)
	w.twin.restoring, w.twin.generation = restore, w.generation
	w.byID, w.conns, w.nextWorker = map[graph.WorkerID]*conn{}, nil, 0
	w.inline, w.sent = map[sched.TaskAttempt]uint64{}, map[sched.TaskAttempt]uint64{}
	w.payload, w.gone = map[graph.TaskID]bool{}, map[graph.JobID]bool{}
	w.awaiting = restore
}

// fault is how a violated expectation is raised; who runs a world catches it.
type fault struct{ error }

func (w *World) must(err error) {
	if err != nil {
		panic(fault{err})
	}
}

func (w *World) note(format string, args ...any) {
	if w.trace {
		w.log = append(w.log, fmt.Sprintf(format, args...))
	}
}

// step puts an event into the core and lets everybody look at what came of it.
func (w *World) step(ev sched.Event) {
	if w.trace {
		w.note("%T%+v", ev, ev)
	}
	switch ev := ev.(type) {
	case sched.Done:
		w.keepInline(ev)
	case sched.Submit:
		w.keepPayloads(ev.Batch.Job, ev.Batch.First, ev.Batch.Len())
	case sched.SubmitRange:
		w.keepPayloads(ev.Job, ev.First, int(ev.N))
	}
	w.events++
	retire, must := w.leavers(ev)
	w.cover.see(w.core, w.twin, ev)
	refused := w.refusals()
	if ev, ok := ev.(sched.Submit); ok {
		w.asked = withoutGone(w.core, ev.Batch)
	}
	w.core.Step(ev)
	w.record(ev)
	if w.refusals() > refused {
		w.refused(ev)
	}
	if w.every {
		w.must(w.core.Check())
	}
	w.twin.see(ev)
	w.must(w.twin.compare())
	if _, ok := ev.(sched.Retry); ok && len(w.core.Revived()) != w.twin.revived {
		w.must(fmt.Errorf("the core says that it revived %d tasks, %d should be", len(w.core.Revived()), w.twin.revived))
	}
	w.goOnHaze()
	if retire {
		if _, left := w.leavers(ev); left != 0 {
			w.must(fmt.Errorf("%+v: %d workers must leave, %d still must", ev, must, left))
		}
	}
}

// keepPayloads is what the scheduler's loop does with a submission that the core takes.
func (w *World) keepPayloads(job graph.JobID, first uint32, n int) {
	if j, ok := w.core.Job(job); !ok || j.Closed || j.Tasks != first {
		return
	}
	for k := range n {
		w.payload[graph.TaskID{Job: job, Index: first + uint32(k)}] = true
	}
}

// leavers counts the workers that a Retire asks to leave and that do not yet.
func (w *World) leavers(ev sched.Event) (retire bool, n int) {
	r, ok := ev.(sched.Retire)
	if !ok {
		return false, 0
	}
	for _, c := range w.conns {
		k, ok := w.core.Worker(c.id)
		switch {
		case !ok || k.Phase != "working":
		case len(r.Workers) > 0 && slices.Contains(r.Workers, c.id), len(r.Workers) == 0 && k.Pool == r.Pool:
			n++
		}
	}
	if len(r.Workers) == 0 {
		n = max(0, n-max(0, r.To))
	}
	return true, n
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
	w.cover.turn(w.core, w.twin)
	w.noteLonely()
	out := w.core.Output()
	w.record(nil)
	w.hashOutput(out)
	if len(out.Ended)+len(out.Cancelled) > 0 {
		w.safe = len(w.journal)
	}
	if w.awaiting && len(out.Assign)+len(out.Copy)+len(out.Retired) > 0 {
		w.must(fmt.Errorf("while workers come back %d attempts are given, %d results copied, %d workers retired",
			len(out.Assign), len(out.Copy), len(out.Retired)))
	}
	for _, a := range out.Assign {
		w.assign(a, out.Inputs[a.From:a.To])
	}
	w.must(w.twin.stopped(out.Stop))
	for _, o := range out.Stop {
		w.send(o.Worker, local.Stop{Tasks: []local.Key{{Task: o.Task, Attempt: o.Attempt}}})
	}
	for _, o := range out.Retract {
		w.send(o.Worker, local.Retract{Tasks: []local.Key{{Task: o.Task, Attempt: o.Attempt}}})
	}
	for _, o := range out.Free {
		w.free(o)
	}
	for _, o := range out.Copy {
		w.twin.copies[sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt}]++
		w.send(o.To, local.Copy{Tasks: []local.CopyOrder{{Key: local.Key{Task: o.Task, Attempt: o.Attempt}, Size: o.Size, From: o.From}}})
	}
	for k, e := range out.Ended {
		w.ended(e, slices.ContainsFunc(out.Ended[k+1:], func(f sched.Ended) bool { return f.Task == e.Task && f.Again }))
	}
	for _, id := range idsOf(out.Cancelled) {
		w.ended(sched.Ended{Task: id, Kind: graph.FailCancelled, Cause: id}, false)
	}
	w.forgotten(out)
	retired := slices.Clone(out.Retired)
	w.must(w.core.Check())
	w.must(w.twin.compare())
	w.must(w.bounds())
	w.must(w.twin.retired(retired))
	for _, id := range retired {
		w.retired(id)
	}
}

// idsOf returns the tasks of runs.
func idsOf(runs []graph.Run) (ids []graph.TaskID) {
	for _, r := range runs {
		for i := r.First; i < r.End(); i++ {
			ids = append(ids, graph.TaskID{Job: r.Job, Index: i})
		}
	}
	return ids
}

// hashOutput takes what the core wants into the hash of all it ever wanted.
func (w *World) hashOutput(out *sched.Output) {
	h := w.hash
	for _, a := range out.Assign {
		h = mix(mix(mix(h, uint64(a.Worker)), uint64(a.Task.Job)<<32|uint64(a.Task.Index)), uint64(a.Attempt))
	}
	for _, in := range out.Inputs {
		h = mix(mix(h, uint64(in.Task.Index)), uint64(in.Held[0])<<40|uint64(in.Held[1])<<20|uint64(in.Held[2]))
	}
	for _, orders := range [][]sched.Order{out.Stop, out.Retract, out.Free} {
		h = mix(h, uint64(len(orders)))
		for _, o := range orders {
			h = mix(mix(mix(h, uint64(o.Worker)), uint64(o.Task.Job)<<32|uint64(o.Task.Index)), uint64(o.Attempt))
		}
	}
	for _, o := range out.Copy {
		h = mix(mix(h, uint64(o.To)<<32|uint64(o.From)), uint64(o.Task.Index))
	}
	for _, e := range out.Ended {
		h = mix(mix(h, uint64(e.Task.Job)<<32|uint64(e.Task.Index)), uint64(e.Kind))
	}
	for _, id := range slices.Concat(out.Forget, idsOf(out.Cancelled), idsOf(out.Forgotten)) {
		h = mix(h, uint64(id.Index))
	}
	if w.hashing {
		h = mix(h, w.core.Hash())
	}
	w.hash = h
}

func (w *World) free(o sched.Order) {
	w.note("free %+v", o)
	w.must(w.twin.freed(o))
	at := sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt}
	if o.Worker == 0 {
		delete(w.inline, at)
		return
	}
	w.send(o.Worker, local.Free{Tasks: []local.Key{keyOf(at)}})
}

// onLoan reports whether an inline input does not come with its attempt, as when there
// are too many of them.
func onLoan(in sched.Input) bool { return in.Task.Index%3 == 1 }

func (w *World) assign(a sched.Assign, inputs []sched.Input) {
	if w.trace {
		w.note("assign %+v %+v", a, inputs)
	}
	w.must(w.twin.assigned(a, inputs))
	at := sched.TaskAttempt{Task: a.Task, Attempt: a.Attempt}
	if w.given[at] {
		w.must(fmt.Errorf("%v attempt %d is given twice", a.Task, a.Attempt))
	}
	w.given[at] = true
	if !w.payload[a.Task] {
		w.must(fmt.Errorf("%v assigned after it was forgotten", a.Task))
	}
	c := w.byID[a.Worker]
	if c == nil || c.gone {
		w.must(fmt.Errorf("%v assigned to worker %d, which left", a.Task, a.Worker))
	}
	does := w.oracle.specs[a.Task].does
	w.must(w.fits(a, c.m))
	t := local.Assignment{Key: local.Key{Task: a.Task, Attempt: a.Attempt}, Class: &local.Class{Class: &does.class}}
	for _, in := range inputs {
		to := local.Input{Key: local.Key{Task: in.Task, Attempt: in.Attempt}, Size: in.Size}
		if in.Inline {
			v, ok := w.inline[attemptOf(to.Key)]
			if !ok {
				w.must(fmt.Errorf("%v assigned with inline input %v, which is not there", a.Task, in.Task))
			}
			if onLoan(in) {
				to.Holders = []graph.WorkerID{0}
			} else {
				to.Inline = binary.BigEndian.AppendUint64(nil, v)
			}
		}
		for _, h := range in.Held {
			if h != 0 {
				to.Holders = append(to.Holders, h)
			}
		}
		t.Inputs = append(t.Inputs, to)
	}
	w.send(a.Worker, local.Assigned{Tasks: []local.Assignment{t}})
}

// fits objects to an assignment to a machine that may not run the task, or that has not
// what it needs beside all that it was given.
func (w *World) fits(a sched.Assign, m *machine) error {
	does := w.oracle.specs[a.Task].does
	if slotsOf(&does.class) > m.slots || does.class.Pool != "" && does.class.Pool != m.pool || does.only > 0 && does.only-1 != m.host {
		return fmt.Errorf("%v assigned to worker %d, which does not fit", a.Task, a.Worker)
	}
	var memory, gpus uint64
	for _, t := range w.twin.tasks {
		if t.worker == a.Worker || t.second.worker == a.Worker {
			memory += t.class.Resources.Memory
			gpus += w.oracle.specs[t.id].does.gpus
		}
	}
	if does.class.Resources.Memory > 0 && m.needs > 0 && memory > m.needs || does.gpus > 0 && gpus > m.gpus {
		return fmt.Errorf("%v assigned to worker %d: its tasks need %d bytes of %d, %d GPUs of %d", a.Task, a.Worker, memory, m.needs, gpus, m.gpus)
	}
	return nil
}

// ended is what a client is told. What it was told once stays true, unless the task
// is retried; the twin knows no more of what was before that.
func (w *World) ended(e sched.Ended, outdated bool) {
	if w.trace {
		w.note("ended %+v", e)
	}
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

// retried takes back what a client was told. Now and then that heals the task.
func (w *World) retried(e sched.Ended) {
	if w.told[e.Task] == graph.FailNone {
		w.must(fmt.Errorf("%v runs again, and had not failed", e.Task))
	}
	delete(w.told, e.Task)
	s := w.oracle.specs[e.Task]
	if s.does.does == "bad" && mix(uint64(e.Attempt), uint64(s.name.Task))%2 == 0 {
		w.cured[s.name] = true
	}
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

func (w *World) send(id graph.WorkerID, msg any) {
	if c := w.byID[id]; c != nil && !c.gone && c.open {
		c.send(msg)
	}
}

// fetch reads a result over the data plane. A machine answers while it lives,
// whether or not the scheduler can see it.
func (w *World) fetch(by *machine, from graph.WorkerID, a sched.TaskAttempt) (s stored, ok bool) {
	if from == 0 {
		v, ok := w.inline[a]
		return stored{value: v, size: w.oracle.sizeOf(a.Task)}, ok && by.welcomed() && !by.parted()
	}
	c := w.byID[from]
	if c == nil || c.m.dead || c.m.parted() || by != nil && by.parted() {
		return stored{}, false
	}
	s, ok = c.m.store[keyOf(a)]
	return s, ok
}

func (o *oracle) sizeOf(id graph.TaskID) uint64 {
	if s := o.specs[id]; s != nil {
		return s.does.size
	}
	return 0
}

// noteLonely notes which workers that are to leave have nobody to copy to.
func (w *World) noteLonely() {
	for _, c := range w.conns {
		if k, ok := w.core.Worker(c.id); !ok || k.Phase != "leaving" || w.twin.lonely[c.id] {
			continue
		}
		w.twin.lonely[c.id] = !slices.ContainsFunc(w.conns, func(d *conn) bool {
			k, ok := w.core.Worker(d.id)
			return ok && k.Phase == "working" && d.m.mem == 0
		})
	}
}

// bounds checks what the core makes others keep, after its output was done: the stores
// hold what some task needs and nothing else, and no worker has more than its credit.
func (w *World) bounds() error {
	inline, payloads := 0, 0
	for _, t := range w.twin.tasks {
		if t.done && t.inline {
			inline++
		}
		if t.needsPayload() && !w.gone[t.id.Job] {
			payloads++
		}
	}
	if inline != len(w.inline) {
		return fmt.Errorf("the scheduler stores %d small results, %d are needed: %v", len(w.inline), inline, w.inline)
	}
	if payloads != len(w.payload) {
		return fmt.Errorf("the scheduler stores %d payloads, %d are needed", len(w.payload), payloads)
	}
	credit := 1024
	if n := int(w.conf.MaxPrefill); n > 0 {
		credit = n
	}
	for _, c := range w.conns {
		if c.gone {
			continue
		}
		k, ok := w.core.Worker(c.id)
		if n := k.Assigned - w.twin.strayed(c.id); !ok || n > max(credit, c.m.slots+1) {
			return fmt.Errorf("worker %d (known: %v) has %d attempts, its credit is %d", c.id, ok, n, max(credit, c.m.slots+1))
		}
	}
	return nil
}
