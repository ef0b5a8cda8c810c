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
	Err     error
	Log     []string // with tracing
	Actions []Action // what was done, so that it can be done again
	Stats
	// Phantoms counts copies that the core believed in and that were not there when
	// a client asked for them, although nobody had said anything wrong. One comes about
	// when a Free, sent because somebody could not fetch a copy, crosses with the news
	// that the worker has fetched it anew. Rare, and healed by whoever misses it.
	Phantoms int
	Hash     uint64 // of everything that the core wanted, and of its state at the end
	Cover    *Coverage
}

// Replay does a list of actions, then lets the world heal and judges it. The core's
// books are counted after every step.
func Replay(actions []Action, trace bool) Result {
	return play(trace, true, func(w *World, r *Result) {
		r.Actions = actions
		for i := range actions {
			w.do(&actions[i])
		}
	})
}

// play runs a world to its end.
func play(trace, every bool, act func(*World, *Result)) (r Result) {
	w := newWorld(trace)
	w.every = every
	defer w.dropHaze()
	defer func() {
		r.Log, r.Stats, r.Phantoms, r.Hash, r.Cover = w.log, w.stats(), w.phantoms, w.finalHash(), w.cover
		switch v := recover().(type) {
		case nil:
		case fault:
			r.Err = v.error
		case error:
			r.Err = fmt.Errorf("panic: %w", v)
			if trace {
				panic(v)
			}
		case string:
			r.Err = errors.New(v)
		default:
			panic(v)
		}
	}()
	act(w, &r)
	w.heal()
	w.retryAll()
	for w.missed() {
		w.quiesce()
	}
	w.judge()
	w.letGo()
	return r
}

// retryAll asks for everything that failed, and sees that what can be retried is.
func (w *World) retryAll() {
	if !w.conf.Retry {
		return
	}
	for _, t := range w.twin.tasks {
		if t.failed == 0 {
			continue
		}
		why, _ := w.core.MayRetry(t.id)
		w.step(sched.Retry{Tasks: []graph.TaskID{t.id}})
		if got, ok := w.core.Task(t.id); ok && (got.State == sched.StateFailed || got.State == sched.StateCancelled) != (why != sched.NoObstacle) {
			w.must(fmt.Errorf("%v is %v after a retry, against which was said: %d", t.id, got.State, why))
		}
	}
	w.quiesce()
}

// missed looks for results as clients do, and reports those that are not where
// the core says. There are few.
func (w *World) missed() (missing bool) {
	for _, t := range w.twin.tasks {
		for _, h := range w.core.Holders(nil, t.id) {
			at := sched.TaskAttempt{Task: t.id, Attempt: t.attempt}
			c := w.byID[h]
			if _, ok := w.fetch(nil, h, at); ok {
				continue
			}
			missing = true
			switch {
			case c.m.mislaid[keyOf(at)]:
			case !w.doubtful:
				w.phantoms++
			}
			w.step(sched.Missing{Worker: h, Tasks: []sched.TaskAttempt{at}})
		}
	}
	return missing
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
			if got.Kind == graph.FailUpstream && !t.unlinked && !slices.ContainsFunc(t.deps, w.twin.hopeless) {
				w.must(fmt.Errorf("%v failed as upstream, and all its dependencies are well", t.id))
			}
		default:
			w.must(fmt.Errorf("%v is %v at the end", t.id, got.State))
		}
		if w.isHeld(t) {
			w.must(w.wasTold(t, got))
		}
	}
}

// isHeld reports whether a client may look at a task.
func (w *World) isHeld(t *twinTask) bool { return (t.held || t.pins > 0) && !t.closed }

// wasTold objects to an end that nobody was told.
func (w *World) wasTold(t *twinTask, got sched.Task) error {
	kind, ok := w.told[t.id]
	if t.done && !t.told { // it was not held when it got its result
		return nil
	}
	if !ok || kind != got.Kind {
		return fmt.Errorf("%v ended as %v, told was %v (at all: %v)", t.id, got.Kind, kind, ok)
	}
	return nil
}

// judgeResult reads a result wherever the core says that it is.
func (w *World) judgeResult(got sched.Task) error {
	if does := w.oracle.specs[got.ID].does.does; does == "poison" || does == "bomb" {
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
		s, ok := w.fetch(nil, h, at)
		if !ok || s.value != want {
			return fmt.Errorf("%v: result %x on %d (there: %v), should be %x", got.ID, s.value, h, ok, want)
		}
	}
	return nil
}

// letGo closes everything; nothing may be left.
func (w *World) letGo() {
	for _, j := range w.jobs {
		for _, id := range slices.Clone(j.pinned) {
			w.unpin(id)
		}
		if !j.closed {
			w.do(&Action{Op: OpClose, J: j.name})
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
		w.must(m.watch.rest(m))
		k, ok := w.core.Worker(m.conn.id)
		if len(m.store)+len(m.mislaid) > 0 {
			w.must(fmt.Errorf("left on worker %d: %v", m.conn.id, m.store))
		}
		if !ok || k.Assigned+k.Running+k.Results != 0 || k.Bytes != 0 {
			w.must(fmt.Errorf("worker %d's books are not empty: %+v", m.conn.id, k))
		}
	}
}

// finalHash sums up all that the core wanted, and what it knows at the end.
func (w *World) finalHash() uint64 {
	h := mix(w.hash, uint64(w.now))
	for _, t := range w.twin.tasks {
		got, _ := w.core.Task(t.id)
		h = mix(mix(h, uint64(got.State)<<32|uint64(got.Attempt)), uint64(t.failed))
	}
	return h
}
