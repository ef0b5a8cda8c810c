package sched

import (
	"fmt"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// worker is one incarnation of a worker.
type worker struct {
	id     graph.WorkerID
	host   uint32
	pool   string
	slots  int
	memory uint64 // bytes for results, 0: unknown
	phase  phase
	solo   bool // kept free for a suspect, or running one
	alone  bool // running one

	sick    int   // executors that did not start, since one did
	resting bool  // gets nothing new until rested
	rested  int64 // milliseconds

	// What it was given and has not ended yet.
	inflight int           // attempts
	queued   int           // their slots
	load     int64         // their estimated microseconds
	running  int           // those that started
	asked    int           // those under retraction
	claims   int           // attempts of other workers under retraction for this one
	given    []TaskAttempt // in order of assignment; ended ones are swept out now and then

	// What it holds.
	results int
	bytes   uint64

	hungry      bool // has a free slot, while there is work that it may not take yet
	hungrySince int64

	leaving evacuation
}

// phase is a worker's way out.
type phase uint8

const (
	working  phase = iota
	cordoned       // gets nothing new; Retired follows when it is drained
	retired        // may be let go
	left           // gone
)

// unknownTook is the estimate charged for a class that never ran: long enough
// that a worker gets no more than one attempt ahead.
var unknownTook = bucket(60_000_000)

// maxSlots is the most that a worker can have.
const maxSlots = 1<<16 - 1

// open reports whether w may be given tasks from the lanes.
func (w *worker) open() bool { return w.phase == working && !w.solo && !w.resting }

func (w *worker) freeSlots() int {
	if !w.open() {
		return 0
	}
	return max(0, w.slots-w.queued)
}

// fits reports whether w is one of the workers that may run tasks of l.
func (w *worker) fits(l *lane) bool {
	return l.slots <= w.slots && (l.pool == "" || l.pool == w.pool)
}

// change alters w through f and keeps the core's sums over all workers.
func (c *Core) change(w *worker, f func()) {
	free, over := w.freeSlots(), w.queued > w.slots
	f()
	c.free += w.freeSlots() - free
	switch now := w.queued > w.slots; {
	case now && !over:
		c.surplus++
	case over && !now:
		c.surplus--
	}
}

func (c *Core) charge(w *worker, slots int, took uint8) {
	c.change(w, func() {
		w.inflight++
		w.queued += slots
		w.load += tooks[took]
	})
}

func (c *Core) discharge(w *worker, slots int, took uint8) {
	c.change(w, func() {
		w.inflight--
		w.queued -= slots
		w.load -= tooks[took]
	})
}

func (w *worker) hold(size uint64) {
	w.results++
	w.bytes += size
}

func (w *worker) unhold(size uint64) {
	w.results--
	w.bytes -= size
}

func (c *Core) stepJoined(ev WorkerJoined) {
	if ev.Worker <= c.newestWorker || ev.Slots < 1 || ev.Slots > maxSlots {
		c.reject(BadWorker)
		return
	}
	c.newestWorker = ev.Worker
	w := &worker{id: ev.Worker, host: c.hostNumber(ev.Host), pool: ev.Pool, slots: ev.Slots, memory: ev.Memory}
	c.workers[w.id] = w
	c.crew = append(c.crew, w)
	c.hostCrew[w.host]++
	c.free += w.freeSlots()
	for _, h := range ev.Held {
		c.nowHolds(w, h)
		c.settle()
	}
}

// stepLeft takes everything back from a worker: first its results, so that
// tasks which return see what is lost, then its attempts.
func (c *Core) stepLeft(ev WorkerLeft) {
	w := c.workers[ev.Worker]
	if w == nil {
		c.reject(UnknownWorker)
		return
	}
	c.close(w, left)
	c.crew = slices.DeleteFunc(c.crew, func(v *worker) bool { return v == w })
	c.transfersLeft(w)
	c.loseResults(w)
	c.takeAttempts(w, ev.Blame)
	if w.solo {
		c.setSolo(w, false)
	}
	if w.resting {
		c.resting--
	}
	delete(c.workers, w.id)
	if w.inflight != 0 || w.queued != 0 || w.load != 0 || w.running != 0 || w.asked != 0 || w.results != 0 || w.bytes != 0 {
		panic(fmt.Sprintf("sched: worker %d left with accounts open: %+v", w.id, *w))
	}
}

// close takes w out of the crew that is given tasks. What waits for it goes to
// the others.
func (c *Core) close(w *worker, p phase) {
	if w.phase == working {
		if c.hostCrew[w.host]--; c.hostCrew[w.host] == 0 {
			c.unmanned(w.host)
		}
	}
	c.change(w, func() { w.phase = p })
	c.scatter(w)
}

func (c *Core) loseResults(w *worker) {
	for _, id := range slices.Sorted(maps.Keys(c.jobs)) {
		j := c.jobs[id]
		for i := uint32(0); i < j.tasks.n && w.results > 0; i++ {
			c.dropCopy(j, i, w)
		}
	}
}

// takeAttempts brings back what w was given. With blame, what was running (or,
// when nothing is known to have started, what came first) is suspected.
func (c *Core) takeAttempts(w *worker, blame bool) {
	given := slices.Clone(c.liveOn(w))
	running, slots, candidates := w.running, w.slots, 0
	candidate := make([]bool, len(given))
	for k, a := range given {
		j, t := c.find(a.Task)
		if blame && (t.state == StateRunning || running == 0 && slots > 0) {
			candidate[k] = true
			candidates++
		}
		slots -= j.classOf(t).slots
	}
	alone := candidates == 1 && (running == 1 || w.solo)
	for k, a := range given {
		switch j, _ := c.find(a.Task); {
		case candidate[k] && alone:
			c.died(j, a.Task.Index)
		case candidate[k]:
			c.goBackSuspect(j, a.Task.Index)
		default:
			c.goBack(j, a.Task.Index)
		}
	}
	c.settle()
}

// nowHolds takes in that w holds a result. One that is not needed is freed.
func (c *Core) nowHolds(w *worker, h Held) {
	j, t := c.find(h.Task)
	i := h.Task.Index
	switch {
	case j == nil:
	case t.state == StateDone && t.attempt == h.Attempt && t.flags&flagInline == 0:
		if !j.holds(i, w.id) {
			j.copies.add(i, w.id)
			w.hold(t.size)
		}
		c.transferArrived(w, h.Task)
		return
	case t.state.Active() && j.lost[i] == h.Attempt && h.Attempt != 0:
		c.recover(j, i, w, h)
		return
	}
	c.reject(StaleResult)
	c.out.Free = append(c.out.Free, Order{w.id, h.Task, h.Attempt})
}

// recover takes an accepted result back that was thought lost, instead of the
// one that is being computed: who saw it sees the same again.
func (c *Core) recover(j *job, i uint32, w *worker, h Held) {
	t := j.task(i)
	if t.state.Given() {
		c.stop(j, i)
	}
	if t.attempt != h.Attempt {
		if j.top == nil {
			j.top = map[uint32]graph.Attempt{}
		}
		j.top[i] = max(t.attempt, j.top[i])
	}
	t.attempt = h.Attempt
	c.finish(j, i, moveRecover, w.id, h.Size)
}

func (c *Core) stepCopied(ev Copied) {
	w := c.workers[ev.Worker]
	if w == nil {
		c.reject(UnknownWorker)
		return
	}
	for _, h := range ev.Tasks {
		c.nowHolds(w, h)
		c.settle()
	}
}

func (c *Core) stepMissing(ev Missing) {
	for _, a := range ev.Tasks {
		j, t := c.find(a.Task)
		if j == nil || a.Attempt != 0 && a.Attempt != t.attempt || !c.copyGone(j, a.Task.Index, ev.Worker) {
			c.reject(StaleResult)
		}
		c.settle()
	}
}

// holds reports whether w is among i's holders.
func (j *job) holds(i uint32, w graph.WorkerID) bool {
	for h := range j.holdersOf(i) {
		if h == w {
			return true
		}
	}
	return false
}

// copyGone is dropCopy for a copy that turned out not to be there, or not to be
// reachable: should it exist after all, it is freed.
func (c *Core) copyGone(j *job, i uint32, id graph.WorkerID) bool {
	w := c.workers[id]
	if w == nil {
		return false
	}
	attempt := j.task(i).attempt
	if !c.dropCopy(j, i, w) {
		return false
	}
	c.out.Free = append(c.out.Free, Order{id, j.name(i), attempt})
	return true
}

// dropCopy takes w from i's holders and reports whether it was one. With the
// last copy the result is lost.
func (c *Core) dropCopy(j *job, i uint32, w *worker) bool {
	t := j.task(i)
	if t.state != StateDone || t.flags&flagInline != 0 {
		return false
	}
	if t.where != w.id {
		if !j.copies.remove(i, w.id) {
			return false
		}
		w.unhold(t.size)
		return true
	}
	w.unhold(t.size)
	if t.where = j.copies.pop(i); t.where == 0 {
		c.lose(j, i)
	}
	return true
}

// lose follows the loss of a result's last copy: who waits for it waits again,
// and if anybody wants it, it is computed again.
func (c *Core) lose(j *job, i uint32) {
	t := j.task(i)
	c.apply(j, i, moveLose)
	if j.lost == nil {
		j.lost = map[uint32]graph.Attempt{}
	}
	j.lost[i] = t.attempt
	c.dropTransfers(j.name(i))
	for jk, k := range c.consumers(j, i) {
		tk := jk.task(k)
		switch tk.state {
		case StateReady:
			c.apply(jk, k, moveUnready)
			tk.waiting++
		case StateWaiting:
			tk.waiting++
		}
	}
	c.dropLater(j, i)
	c.wantLater(j, i)
}

// freeCopies tells all holders that a result is not needed any more.
func (c *Core) freeCopies(j *job, i uint32) {
	t := j.task(i)
	if t.flags&flagInline != 0 {
		t.flags &^= flagInline
		c.out.Free = append(c.out.Free, Order{0, j.name(i), t.attempt})
		return
	}
	c.dropTransfers(j.name(i))
	for h := t.where; h != 0; h = j.copies.pop(i) {
		c.workers[h].unhold(t.size)
		c.out.Free = append(c.out.Free, Order{h, j.name(i), t.attempt})
	}
	t.where = 0
}
