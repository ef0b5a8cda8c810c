package schedtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// Result is what came of a run.
type Result struct {
	Err   error
	Log   []string // with Plan.Trace
	Tasks int
	// Phantoms counts copies that the core believed in and that were not there when
	// a client asked for them. One comes about when a Free, sent because somebody
	// could not fetch a copy, crosses with the news that the worker has fetched it
	// anew. Rare, and healed by whoever misses it.
	Phantoms int
	Hash     uint64 // of everything that happened: equal plans have equal ones
}

// Run plays a plan through.
func Run(p Plan) (r Result) {
	var w *World
	defer func() {
		if w != nil {
			r.Log, r.Tasks, r.Phantoms, r.Hash = w.log, len(w.twin.tasks), w.phantoms, w.hash()
		}
		switch v := recover().(type) {
		case nil:
		case fault:
			r.Err = v.error
		case error:
			r.Err = fmt.Errorf("panic: %w", v)
			if !p.Trace {
				return
			}
			panic(v)
		case string:
			r.Err = errors.New(v)
		default:
			panic(v)
		}
	}()
	w = newWorld(p)
	for range p.Actions {
		w.act()
	}
	w.heal()
	w.retryAll()
	for w.missed() {
		w.quiesce()
	}
	w.judge()
	w.letGo()
	return Result{}
}

// heal ends all faults and lets the world run until nothing happens any more.
func (w *World) heal() {
	w.healing = true
	w.note("healing")
	for len(w.conns) > 0 {
		c := pick(w, w.conns, func(c *conn) bool { return c.m == nil })
		if c == nil {
			break
		}
		w.notice(c, false)
	}
	for _, m := range slices.Clone(w.machines) {
		if m.conn.m != m {
			w.reconnect(m)
		}
	}
	w.quiesce()
}

// quiesce runs until the core is idle. Machines that tasks kill are replaced.
func (w *World) quiesce() {
	for range 20000 {
		w.staff()
		switch {
		case w.chance(4):
			w.turn()
		case w.work(), w.deliverDown(), w.deliverUp():
		default:
			w.turn()
			w.tick(100)
			if w.still() {
				return
			}
		}
	}
	w.must(fmt.Errorf("no end: %s", w.stuck()))
}

// staff keeps a worker in each pool that can run anything.
func (w *World) staff() {
	for _, pool := range []string{"", "big"} {
		if !slices.ContainsFunc(w.machines, func(m *machine) bool {
			if m.conn.m != m || m.pool != pool || m.slots < 2 {
				return false
			}
			k, _ := w.core.Worker(m.conn.id)
			return k.Phase == "working"
		}) {
			m := &machine{name: -1, host: w.someHost(), pool: pool, slots: 2, memory: 1 << 30, results: map[sched.TaskAttempt]stored{}}
			w.machines = append(w.machines, m)
			w.connect(m)
		}
	}
}

func (w *World) still() bool {
	if w.core.Busy() {
		return false
	}
	for _, c := range w.conns {
		if len(c.up) > 0 || len(c.down) > 0 {
			return false
		}
		if k, _ := w.core.Worker(c.id); k.Phase == "leaving" {
			return false
		}
	}
	for _, m := range w.machines {
		if len(m.queue) > 0 || len(m.running) > 0 {
			return false
		}
	}
	return true
}

// stuck says what does not end.
func (w *World) stuck() string {
	for _, t := range w.twin.tasks {
		if got, ok := w.core.Task(t.id); ok && got.State.Active() {
			return fmt.Sprintf("%v is %v on worker %d (%s)", t.id, got.State, got.Worker, w.oracle.specs[t.id].does.kind)
		}
	}
	return "a worker"
}

// missed looks for results as clients do, and reports those that are not where
// the core says. There are few.
func (w *World) missed() (any bool) {
	for _, t := range w.twin.tasks {
		for _, h := range w.core.Holders(nil, t.id) {
			at := sched.TaskAttempt{Task: t.id, Attempt: t.attempt}
			if _, ok := w.fetch(h, at); ok || w.phantoms > 10 {
				continue
			}
			w.phantoms++
			any = true
			w.step(sched.Missing{Worker: h, Tasks: []sched.TaskAttempt{at}})
		}
	}
	return any
}

// judge compares every outcome with the oracle's.
func (w *World) judge() {
	for _, t := range w.twin.tasks {
		if !t.wanted || w.gone[t.id.Job] {
			continue
		}
		got, _ := w.core.Task(t.id)
		switch got.State {
		case sched.StateDone:
			w.must(w.judgeResult(got))
		case sched.StateFailed, sched.StateCancelled:
			if !t.failedDep(w.twin) && !t.unlinked && got.Kind == graph.FailUpstream {
				w.must(fmt.Errorf("%v failed as upstream, and all its dependencies are well", t.id))
			}
		default:
			w.must(fmt.Errorf("%v is %v at the end", t.id, got.State))
		}
	}
}

func (t *twinTask) failedDep(tw *twin) bool { return slices.ContainsFunc(t.deps, tw.hopeless) }

// judgeResult reads a result wherever the core says that it is.
func (w *World) judgeResult(got sched.Task) error {
	does := w.oracle.specs[got.ID].does.kind
	if does != "ok" && does != "flaky" && !(does == "bad" && w.plan.has("retry")) {
		return fmt.Errorf("%v has a result and is %s", got.ID, does)
	}
	at, want := sched.TaskAttempt{Task: got.ID, Attempt: got.Attempt}, w.oracle.value(got.ID)
	if got.Inline {
		if v, ok := w.inline[at]; !ok || v != want {
			return fmt.Errorf("%v: inline result %x (there: %v), should be %x", got.ID, v, ok, want)
		}
		return nil
	}
	for _, h := range w.core.Holders(nil, got.ID) {
		s, ok := w.fetch(h, at)
		if !ok || s.value != want {
			return fmt.Errorf("%v: result %x on %d (there: %v), should be %x", got.ID, s.value, h, ok, want)
		}
	}
	return nil
}

// letGo closes everything; nothing may be left.
func (w *World) letGo() {
	for _, j := range w.jobs {
		for _, id := range j.pinned {
			w.step(sched.Pin{Task: id, Delta: -1})
		}
		j.pinned = nil
		if !j.closed {
			w.closeJob(j)
		}
	}
	w.quiesce()
	for _, j := range w.jobs {
		if _, ok := w.core.Job(j.id); ok || !w.gone[j.id] {
			w.must(fmt.Errorf("job %d is still there", j.id))
		}
	}
	if len(w.inline)+len(w.payload) > 0 {
		w.must(fmt.Errorf("left in the scheduler's stores: %v, %v", w.inline, w.payload))
	}
	for _, m := range w.machines {
		k, ok := w.core.Worker(m.conn.id)
		if len(m.results) > 0 {
			w.must(fmt.Errorf("left on worker %d: %v", m.conn.id, m.results))
		}
		if !ok || k.Assigned+k.Running+k.Results != 0 || k.Bytes != 0 {
			w.must(fmt.Errorf("worker %d's books are not empty: %+v", m.conn.id, k))
		}
	}
}

// hash sums up the world.
func (w *World) hash() uint64 {
	var v []uint64
	for _, t := range w.twin.tasks {
		got, _ := w.core.Task(t.id)
		v = append(v, uint64(t.last), uint64(t.attempt), uint64(t.failed), uint64(got.State), uint64(w.told[t.id]))
	}
	return valueOf(graph.TaskID{Job: graph.JobID(w.nextWorker), Index: uint32(w.now)}, v)
}
