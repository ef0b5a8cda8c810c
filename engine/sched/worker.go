package sched

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// worker is one incarnation of a worker.
type worker struct {
	id     graph.WorkerID
	at     int    // its place in the crew
	name   uint32 // interned among hosts
	host   uint32
	pool   string
	slots  int
	memory uint64 // bytes for results, 0: unknown
	has    goods  // for tasks
	phase  phase
	solo   bool // kept free for a suspect, or running one
	alone  bool // running one
	// brought says that attempts came with it: with what it was given before it said so,
	// they may take more than it has.
	brought bool

	sick    int   // executors that did not start, since one did
	resting bool  // gets nothing new until rested
	rested  int64 // milliseconds

	// What it was given and has not ended yet.
	inflight int                  // attempts
	queued   int                  // slots of those that do not follow others
	load     int64                // their estimated microseconds
	taken    goods                // of what it has
	aside    int                  // slots of those that are parked, which queued and load do not count
	parked   map[graph.TaskID]int // their slots
	running  int                  // those that started
	asked    int                  // those under retraction
	claims   int                  // attempts of other workers under retraction for this one
	given    []TaskAttempt        // in order of assignment; ended ones are swept out now and then

	// What it holds.
	results int
	bytes   uint64
	held    []graph.TaskID // the results, some of them twice; those let go of are swept out now and then

	hungrySince int64 // while it is among the hungry

	leaving  evacuation
	byNumber bool // it was to leave because its pool had too many
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

// change alters w through f and keeps the core's sums over all workers, and the sets
// that it is in.
func (c *Core) change(w *worker, f func()) {
	free, over := w.freeSlots(), w.queued > w.slots
	f()
	c.sort(w)
	c.free += w.freeSlots() - free
	switch now := w.queued > w.slots; {
	case now && !over:
		c.surplus++
	case over && !now:
		c.surplus--
	}
}

// sort puts w into the sets that follow from its state.
func (c *Core) sort(w *worker) {
	c.crew.idle.put(w, w.freeSlots() > 0)
	c.crew.roomy.put(w, c.hasRoom(w, c.cfg.Prefill/2))
	c.crew.cordoned.put(w, w.phase == cordoned)
}

// charge books an attempt of a task of l on w, and discharge takes it off.
func (c *Core) charge(w *worker, l *lane, slots int, took uint8) {
	w.taken.add(l)
	c.change(w, func() {
		w.inflight++
		w.queued += slots
		w.load += tooks[took]
	})
}

func (c *Core) discharge(w *worker, l *lane, slots int, took uint8) {
	w.taken.remove(l)
	c.change(w, func() {
		w.inflight--
		w.queued -= slots
		w.load -= tooks[took]
	})
}

// hold books that w holds a result from now on.
func (c *Core) hold(w *worker, id graph.TaskID, size uint64) {
	if len(w.held) > 2*w.results+64 {
		c.heldBy(w)
	}
	w.held = append(w.held, id)
	w.results++
	w.bytes += size
}

func (w *worker) unhold(size uint64) {
	w.results--
	w.bytes -= size
}

func (c *Core) stepJoined(ev WorkerJoined) {
	if ev.Worker <= c.newestWorker || ev.Slots < 1 || ev.Slots > maxSlots || c.restoring {
		c.reject(BadWorker)
		return
	}
	c.newestWorker = ev.Worker
	w := &worker{id: ev.Worker, name: c.hostNumber(cmp.Or(ev.Name, ev.Host)), host: c.hostNumber(ev.Host), pool: ev.Pool, slots: ev.Slots, memory: ev.Memory, has: c.goodsOf(&ev)}
	c.workers[w.id] = w
	c.crew.add(w)
	c.sort(w)
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
	c.countShrunk(w)
	c.close(w, left)
	c.transfersLeft(w)
	c.loseResults(w)
	company := c.dropSecondsOn(w, false) > 0
	c.takeAttempts(w, ev.Blame, company)
	if w.solo {
		c.setSolo(w, false)
	}
	if w.resting {
		c.resting--
	}
	c.crew.remove(w)
	delete(c.workers, w.id)
	if w.inflight != 0 || w.queued != 0 || w.load != 0 || w.running != 0 || w.asked != 0 || w.results != 0 || w.bytes != 0 ||
		w.aside != 0 || len(w.parked) != 0 {
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

// heldBy returns the tasks whose results w holds, in the order of their ids.
func (c *Core) heldBy(w *worker) []graph.TaskID {
	w.held = slices.DeleteFunc(w.held, func(id graph.TaskID) bool {
		j, _ := c.find(id)
		return j == nil || !j.holds(id.Index, w.id)
	})
	slices.SortFunc(w.held, graph.TaskID.Compare)
	w.held = slices.Compact(w.held)
	return w.held
}

func (c *Core) loseResults(w *worker) {
	for _, id := range c.heldBy(w) {
		c.dropCopy(c.jobs[id.Job], id.Index, w)
	}
}

// takeAttempts brings back what w was given. With blame, what was running is suspected,
// and what came first, as far as w's slots go: short tasks begin without w saying so
// (see package local). What was parked is suspected only if there was nothing else. In
// company, of second attempts, nobody was alone.
func (c *Core) takeAttempts(w *worker, blame, company bool) {
	given := slices.Clone(c.liveOn(w))
	slots, candidates, parked := w.slots, 0, len(w.parked)
	candidate, waited := make([]bool, len(given)), make([]bool, len(given))
	for k, a := range given {
		j, t := c.find(a.Task)
		if waited[k] = w.isParked(a.Task); waited[k] {
			continue
		}
		if blame && (t.state == StateRunning || slots > 0) {
			candidate[k] = true
			candidates++
		}
		slots -= j.classOf(t).slots
	}
	alone := candidates == 1 && !company && (w.running-parked == 1 || w.solo)
	only := candidates == 0 && parked == 1 && !company
	for k, a := range given {
		switch j, _ := c.find(a.Task); {
		case candidate[k] && alone, blame && waited[k] && only:
			c.died(j, a.Task.Index)
		case candidate[k]:
			c.goBackSuspect(j, a.Task.Index)
		case blame && waited[k]:
			c.stoodBy(j, a.Task.Index)
		default:
			c.goBack(j, a.Task.Index)
		}
	}
	c.settle()
}
