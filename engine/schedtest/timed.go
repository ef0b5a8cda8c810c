package schedtest

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// Timed runs a core with workers that behave well and take time: nothing fails,
// but how long everything takes is known. It is for questions of quality: how
// much is read where it lies, how long do slots stay idle.
type Timed struct {
	Latency  int64                         // of a message, microseconds
	Duration func(t graph.TaskID) int64    // of a task on its own host, microseconds
	Remote   int64                         // added when a task runs on none of its hosts
	Hosts    func(t graph.TaskID) []string // nil: tasks have no place
	Size     uint64                        // of each result

	core    *sched.Core
	now     int64
	seq     int
	events  timedEvents
	workers map[graph.WorkerID]*timedWorker

	// What was measured.
	Ended    int   // results told
	Last     int64 // when the last task ended, microseconds
	Local    int   // tasks run on one of their hosts
	Away     int   // tasks run elsewhere
	Assigns  int
	Retracts int
	Turns    int
	BusyTime int64 // of all slots
}

type timedWorker struct {
	id    graph.WorkerID
	host  string
	slots int
	busy  int
	queue []sched.TaskAttempt
}

type timedEvent struct {
	at  int64
	seq int
	do  func()
}

type timedEvents []timedEvent

func (h timedEvents) Len() int { return len(h) }
func (h timedEvents) Less(a, b int) bool {
	return cmp.Or(cmp.Compare(h[a].at, h[b].at), cmp.Compare(h[a].seq, h[b].seq)) < 0
}
func (h timedEvents) Swap(a, b int) { h[a], h[b] = h[b], h[a] }
func (h *timedEvents) Push(v any)   { *h = append(*h, v.(timedEvent)) }
func (h *timedEvents) Pop() any {
	v := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return v
}

// NewTimed returns a world around a new core.
func NewTimed(cfg sched.Config) *Timed {
	return &Timed{core: sched.New(cfg), workers: map[graph.WorkerID]*timedWorker{}}
}

func (w *Timed) after(d int64, do func()) {
	w.seq++
	heap.Push(&w.events, timedEvent{w.now + d, w.seq, do})
}

// At lets an event reach the core at a time, in microseconds.
func (w *Timed) At(at int64, ev sched.Event) {
	w.after(at-w.now, func() {
		if j, ok := ev.(sched.WorkerJoined); ok {
			w.workers[j.Worker] = &timedWorker{id: j.Worker, host: j.Host, slots: j.Slots}
		}
		w.core.Step(ev)
		w.turn()
	})
}

// Run goes on until nothing happens any more, or until a time in microseconds.
func (w *Timed) Run(until int64) {
	w.tick()
	for len(w.events) > 0 {
		e := heap.Pop(&w.events).(timedEvent)
		if e.at > until {
			return
		}
		w.now = e.at
		e.do()
	}
}

func (w *Timed) tick() {
	w.core.Step(sched.Tick{Now: w.now / 1000})
	w.turn()
	if len(w.events) > 0 || w.core.Busy() {
		w.after(50_000, w.tick)
	}
}

func (w *Timed) turn() {
	w.Turns++
	out := w.core.Output()
	w.Ended += len(out.Ended)
	for _, a := range out.Assign {
		w.Assigns++
		v := w.workers[a.Worker]
		at := sched.TaskAttempt{Task: a.Task, Attempt: a.Attempt}
		w.after(w.Latency, func() {
			v.queue = append(v.queue, at)
			w.start(v)
		})
	}
	for _, o := range out.Retract {
		w.Retracts++
		v := w.workers[o.Worker]
		at := sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt}
		w.after(w.Latency, func() { w.retract(v, at) })
	}
}

func (w *Timed) retract(v *timedWorker, at sched.TaskAttempt) {
	ok := false
	for k, q := range v.queue {
		if q == at {
			v.queue = append(v.queue[:k:k], v.queue[k+1:]...)
			ok = true
			break
		}
	}
	w.tell(sched.Retracted{Worker: v.id, Tasks: []sched.TaskAttempt{at}, OK: []bool{ok}})
}

func (w *Timed) tell(ev sched.Event) {
	w.after(w.Latency, func() {
		w.core.Step(ev)
		w.turn()
	})
}

func (w *Timed) start(v *timedWorker) {
	for v.busy < v.slots && len(v.queue) > 0 {
		at := v.queue[0]
		v.queue = v.queue[1:]
		v.busy++
		d := w.Duration(at.Task)
		if w.Hosts != nil && !w.isLocal(v, at.Task) {
			d += w.Remote
		}
		w.tell(sched.Started{Worker: v.id, Tasks: []sched.TaskAttempt{at}})
		w.after(d, func() {
			v.busy--
			w.BusyTime += d
			w.Last = w.now
			w.tell(sched.Done{Worker: v.id, Tasks: []sched.Finished{
				{TaskAttempt: at, Size: w.Size, Inline: w.Size <= 4096, Duration: uint32(d)},
			}})
			w.start(v)
		})
	}
}

func (w *Timed) isLocal(v *timedWorker, id graph.TaskID) bool {
	if slices.Contains(w.Hosts(id), v.host) {
		w.Local++
		return true
	}
	w.Away++
	return false
}
