package sched

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// Check counts everything again, slowly, and reports the first thing that does
// not add up. It is for tests and for finding out what a sick scheduler suffers
// from; a healthy one never returns an error.
func (c *Core) Check() error {
	k := &checker{c: c, accounts: map[graph.WorkerID]*account{}, takes: map[graph.WorkerID]takes{}, lanes: map[*lane][]uint32{}}
	for id := range c.workers {
		k.accounts[id] = &account{}
	}
	for _, j := range c.jobs {
		if err := k.job(j); err != nil {
			return err
		}
		if err := k.seconds(j); err != nil {
			return err
		}
	}
	return k.sums()
}

type checker struct {
	c        *Core
	accounts map[graph.WorkerID]*account
	takes    map[graph.WorkerID]takes
	lanes    map[*lane][]uint32 // their ready tasks
	queued   []uint32           // scratch
	ready    int
	active   int
}

type account struct {
	inflight, queued, running, asked, results int
	aside, parked                             int
	load                                      int64
	bytes                                     uint64
}

// book counts an attempt that w has.
func (a *account) book(w *worker, id graph.TaskID, slots int, took uint8) {
	a.inflight++
	if w.isParked(id) {
		a.aside += slots
		a.parked++
		return
	}
	a.queued += slots
	a.load += tooks[took]
}

// takes counts what attempts take of a worker besides slots.
type takes map[uint32]uint64 // by resource; memory is ofMemory

const ofMemory = 1<<32 - 1

func (k *checker) job(j *job) error {
	var counts [states]uint32
	kept := uint32(0)
	active := make([]present, len(j.classes))
	for i := range j.tasks.n {
		if !j.tasks.has(i) {
			counts[StateForgotten]++
			continue
		}
		if !j.tasks.made(i) {
			if err := k.bare(j, i, &counts); err != nil {
				return fmt.Errorf("task %v, which has no row: %w", j.name(i), err)
			}
			t := j.rowOf(i)
			active[t.class].count(t.state, 1)
			continue
		}
		counts[j.task(i).state]++
		active[j.task(i).class].count(j.task(i).state, 1)
		if j.task(i).state.Active() {
			k.active++
		}
		if t := j.task(i); t.state == StateFailed && t.flags&flagCut == 0 {
			kept++
		}
		if err := k.task(j, i); err != nil {
			return fmt.Errorf("task %v (%v): %w", j.name(i), j.task(i).state, err)
		}
	}
	if kept != j.kept {
		return fmt.Errorf("job %d: keeps %d failed tasks, counted %d", j.id, j.kept, kept)
	}
	for n := range active {
		if active[n] != j.classes[n].parts {
			return fmt.Errorf("job %d, class %d: waiting, ready, assigned and running counted %v, kept %v", j.id, n, active[n], j.classes[n].parts)
		}
	}
	if counts != j.counts {
		return fmt.Errorf("job %d: states counted %v, kept %v", j.id, counts, j.counts)
	}
	return nil
}

// bare counts a task of a range whose row was not made.
func (k *checker) bare(j *job, i uint32, counts *[states]uint32) error {
	t := j.rowOf(i)
	counts[t.state]++
	s := j.spanOf(i &^ (chunkLen - 1))
	_, tallied := j.tallies[i]
	switch {
	case i < s.from || i >= s.to || s.from&(chunkLen-1) != 0:
		return fmt.Errorf("it is not of range %+v", *s)
	case j.pins[i] > 0 || j.hosts[i] != nil || j.abroad[i] != nil || j.lost[i] > 0 || tallied:
		return fmt.Errorf("something is kept of it")
	case t.state == StateReady:
		k.active++
		k.ready++
		l := j.classes[t.class].lane
		k.lanes[l] = append(k.lanes[l], i)
	}
	return nil
}

func (k *checker) task(j *job, i uint32) error {
	t := j.task(i)
	if t.state == StateForgotten {
		return k.forgotten(j, i)
	}
	need, kin := k.edgesInto(j, i)
	switch wanted := j.wanted(i); {
	case (!t.state.Final() || t.state == StateFailed && t.flags&flagCut == 0) && (need != t.need || kin != t.kin):
		return fmt.Errorf("need %d, kin %d, counted %d and %d", t.need, t.kin, need, kin)
	case wanted && t.state == StateReleased:
		return fmt.Errorf("wanted")
	case !wanted && t.state.Active():
		return fmt.Errorf("unwanted")
	case !wanted && t.state == StateDone && (t.flags&flagInline == 0 || t.kin == 0):
		return fmt.Errorf("result that nobody needs")
	case !wanted && t.state == StateReleased && t.kin == 0 && t.flags&flagFresh == 0:
		return fmt.Errorf("not forgotten")
	case t.state == StateFailed && t.flags&flagCut == 0 && (j.closed || !wanted && t.kin == 0):
		return fmt.Errorf("kept for nobody")
	case t.state == StateCancelled && t.flags&flagCut == 0:
		return fmt.Errorf("not cut")
	case t.state.Given() != (t.where != 0) && t.state != StateDone:
		return fmt.Errorf("with worker %d", t.where)
	}
	if err := k.inputs(j, i); err != nil {
		return err
	}
	return k.place(j, i)
}

// forgotten checks a row that stands for nothing any more. Its edges may be gone.
func (k *checker) forgotten(j *job, i uint32) error {
	if t := j.task(i); j.wanted(i) || t.flags&flagCut == 0 || t.kin != 0 || t.where != 0 {
		return fmt.Errorf("wanted, or not cut, or with lineage, or somewhere")
	}
	return nil
}

// edgesInto counts the active consumers of i, and those that keep its lineage.
func (k *checker) edgesInto(j *job, i uint32) (need, kin uint32) {
	for jk, n := range k.c.consumers(j, i) {
		t := jk.task(n)
		if t.state.Active() {
			need++
		}
		if t.flags&flagCut == 0 {
			kin++
		}
	}
	return need, kin
}

func (k *checker) inputs(j *job, i uint32) error {
	t := j.task(i)
	if t.flags&flagCut != 0 && !t.state.Active() {
		return nil // it does not look at its inputs any more
	}
	waiting := uint32(0)
	for e, to := j.edgesOf(i); e < to; e++ {
		jd, d := k.c.dep(j, i, e)
		if jd == nil {
			if t.state == StateWaiting && k.c.awaiting {
				waiting++
			} else if t.state == StateWaiting || t.state == StateReady {
				return fmt.Errorf("input of a job that is gone")
			}
			continue
		}
		switch s := jd.task(d).state; {
		case s == StateDone:
		case s.Active():
			waiting++
		case t.state.Given() && s.Final(), t.state == StateWaiting && s.Final() && k.c.awaiting:
			waiting++
		case t.state.Active():
			return fmt.Errorf("input %v is %v", jd.name(d), s)
		}
	}
	if (t.state == StateWaiting || t.state == StateReady) && t.waiting != waiting {
		return fmt.Errorf("waits for %d, counted %d", t.waiting, waiting)
	}
	if t.follower() && !k.c.follows(j, i) {
		return fmt.Errorf("follows %d inputs that are not all with worker %d", t.waiting, t.where)
	}
	if t.state == StateWaiting && waiting == 0 {
		return fmt.Errorf("waits for nothing")
	}
	return nil
}

// place books the task on its worker, its lane, or its holders.
func (k *checker) place(j *job, i uint32) error {
	t, cl := j.task(i), j.classOf(j.task(i))
	switch {
	case t.state == StateReady && t.flags&flagSuspect == 0:
		k.ready++
		k.lanes[cl.lane] = append(k.lanes[cl.lane], i)
	case t.state == StateReady && !slices.Contains(k.c.suspects, j.name(i)):
		return fmt.Errorf("suspect in no queue")
	case t.state.Given():
		a := k.accounts[t.where]
		if a == nil {
			return fmt.Errorf("on worker %d, which is gone", t.where)
		}
		a.book(k.c.workers[t.where], j.name(i), t.slotsTaken(cl.lane), t.took)
		k.take(t.where, cl.lane)
		if t.state == StateRunning {
			a.running++
		}
		if t.flags&flagRetract != 0 {
			a.asked++
		}
	case t.state == StateDone && t.flags&flagInline == 0:
		for h := range j.holdersOf(i) {
			a := k.accounts[h]
			if a == nil {
				return fmt.Errorf("held by worker %d, which is gone", h)
			}
			a.results++
			a.bytes += t.size
		}
	}
	return nil
}

// take counts what an attempt of a lane takes of a worker.
func (k *checker) take(id graph.WorkerID, l *lane) {
	of := k.takes[id]
	if of == nil {
		of = takes{}
		k.takes[id] = of
	}
	of[ofMemory] += l.memory
	for _, n := range l.named {
		of[n.resource] += n.count
	}
}

// seconds books second attempts on their workers.
func (k *checker) seconds(j *job) error {
	for i, s := range j.seconds {
		t, a := j.task(i), k.accounts[s.where]
		if a == nil || !t.state.Given() || s.where == t.where || s.attempt <= t.attempt || !j.classOf(t).Idempotent {
			return fmt.Errorf("task %v (%v): second attempt %+v", j.name(i), t.state, s)
		}
		l := j.classOf(t).lane
		a.book(k.c.workers[s.where], j.name(i), l.slots, s.took)
		if s.running {
			a.running++
		}
		k.take(s.where, l)
	}
	for i := range j.runs {
		if t := j.task(i); t.state != StateRunning {
			return fmt.Errorf("task %v (%v): said to run", j.name(i), t.state)
		}
	}
	return nil
}

func (k *checker) sums() error {
	c, free, surplus, solos := k.c, 0, 0, 0
	resting := 0
	for id, a := range k.accounts {
		w := c.workers[id]
		if b := (account{w.inflight, w.queued, w.running, w.asked, w.results, w.aside, len(w.parked), w.load, w.bytes}); b != *a {
			return fmt.Errorf("worker %d: books say %+v, counted %+v", id, b, *a)
		}
		free += w.freeSlots()
		if w.queued > w.slots {
			surplus++
		}
		if w.solo {
			solos++
		}
		if w.resting {
			resting++
		}
		if len(w.parked) > w.running {
			return fmt.Errorf("worker %d: %d attempts are parked, %d run", id, len(w.parked), w.running)
		}
		if w.phase == retired && w.inflight > 0 {
			return fmt.Errorf("worker %d is retired and has %d attempts", id, w.inflight)
		}
		if err := k.crew(w); err != nil {
			return fmt.Errorf("worker %d: %w", id, err)
		}
	}
	if k.active != c.active {
		return fmt.Errorf("%d active tasks, counted %d", c.active, k.active)
	}
	if free != c.free || surplus != c.surplus || solos != c.solos || k.ready != c.ready || resting != c.resting {
		return fmt.Errorf("free %d, surplus %d, solo %d, ready %d, resting %d; counted %d, %d, %d, %d, %d",
			c.free, c.surplus, c.solos, c.ready, c.resting, free, surplus, solos, k.ready, resting)
	}
	for l, ready := range k.lanes {
		if l.ready != len(ready) || !l.listed {
			return fmt.Errorf("lane of job %d: %d ready (listed %v), counted %d", l.job.id, l.ready, l.listed, len(ready))
		}
		k.queued = l.queued(k.queued[:0])
		for _, i := range ready {
			if _, found := slices.BinarySearch(k.queued, i); !found {
				return fmt.Errorf("task %v is ready and in no queue", l.job.name(i))
			}
		}
	}
	if err := k.promises(); err != nil {
		return err
	}
	if !c.todo.empty() {
		return fmt.Errorf("consequences not drawn: %+v", c.todo)
	}
	return nil
}

// crew checks where a worker is entered.
func (k *checker) crew(w *worker) error {
	c := k.c
	if c.crew.all[w.at] != w || c.crew.len() != len(c.workers) {
		return fmt.Errorf("not at %d of the crew", w.at)
	}
	if c.crew.idle.has(w) != (w.freeSlots() > 0) || c.crew.roomy.has(w) != c.hasRoom(w, c.cfg.Prefill/2) ||
		c.crew.cordoned.has(w) != (w.phase == cordoned) {
		return fmt.Errorf("in the wrong sets")
	}
	for r, n := range k.takes[w.id] {
		kept, has := w.taken.of(r), w.has.of(r)
		if r == ofMemory {
			kept, has = w.taken.memory, w.has.memory
		}
		if kept != n || n > has && (r != ofMemory || has > 0) && !w.brought {
			return fmt.Errorf("takes %d of resource %d, has %d, counted %d", kept, r, has, n)
		}
	}
	held := map[graph.TaskID]bool{}
	for _, id := range w.held {
		if j, _ := c.find(id); j != nil && j.holds(id.Index, w.id) {
			held[id] = true
		}
	}
	if len(held) != w.results {
		return fmt.Errorf("%d results, %d entered", w.results, len(held))
	}
	return nil
}

// promises checks what is under way between workers.
func (k *checker) promises() error {
	busy, claims := map[*worker]int{}, map[graph.WorkerID]int{}
	for _, t := range k.c.transfers {
		j, row := k.c.find(t.task)
		if t.from.phase == left || t.to.phase == left || j == nil || row.state != StateDone {
			return fmt.Errorf("copy of %v from %d to %d is under way", t.task, t.from.id, t.to.id)
		}
		busy[t.from]++
	}
	for id, w := range k.c.claims {
		if j, t := k.c.find(id); j == nil || !t.state.Given() || t.flags&flagRetract == 0 {
			return fmt.Errorf("task %v is claimed and not under retraction", id)
		}
		claims[w]++
	}
	for _, w := range k.c.workers {
		if w.claims != claims[w.id] || w.leaving.busy != busy[w] {
			return fmt.Errorf("worker %d has %d claims and %d copies, counted %d and %d", w.id, w.claims, w.leaving.busy, claims[w.id], busy[w])
		}
	}
	return nil
}

// queued appends what is in any of the lane's queues, in order.
func (l *lane) queued(in []uint32) []uint32 {
	add := func(d *deque) { in = append(in, d.items[d.head:]...) }
	add(&l.deps)
	for _, d := range l.near.list {
		add(&d.deque)
	}
	for _, q := range l.hosted {
		add(&q.deque)
	}
	for _, r := range append(l.roots.heap[:len(l.roots.heap):len(l.roots.heap)], l.roots.tail) {
		for i := r.from; i < r.to; i++ {
			in = append(in, i)
		}
	}
	slices.Sort(in)
	return in
}
