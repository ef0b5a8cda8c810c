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
