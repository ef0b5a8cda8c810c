package schedtest

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// retry is what the twin thinks of a retry, in the most obvious way: the failed
// tasks that t needs live again, then all that failed because of one of these, as
// long as there is one whose inputs are all well.
func (tw *twin) retry(t *twinTask) {
	if t == nil || t.failed == 0 || t.unlinked {
		return
	}
	revived := map[*twinTask]bool{}
	if !tw.needs(t, revived) {
		return
	}
	for t := range revived {
		t.revive()
	}
	for again := true; again; {
		again = false
		for _, k := range tw.tasks {
			because := slices.ContainsFunc(k.deps, func(d graph.TaskID) bool { return revived[tw.byID[d]] })
			if because && !k.unlinked && (k.failed == graph.FailUpstream || k.failed == graph.FailLost) && !slices.ContainsFunc(k.deps, tw.hopeless) {
				k.revive()
				revived[k], again = true, true
			}
		}
	}
}

// needs gathers t and the failed tasks without which it has no result. It reports
// false when one of them will not run again.
func (tw *twin) needs(t *twinTask, failed map[*twinTask]bool) bool {
	if t.failed != 0 {
		failed[t] = true
	}
	for _, id := range t.deps {
		d := tw.byID[id]
		switch {
		case d == nil || d.gone || d.failed != 0 && d.unlinked:
			return false
		case d.done || d.open() && d.wanted || failed[d]:
		case !tw.needs(d, failed):
			return false
		}
	}
	return true
}

func (t *twinTask) revive() { t.failed, t.told, t.mistakes = 0, false, 0 }

// retry asks for tasks to be tried again, failed ones more often than others.
func (w *World) retry() {
	var ids []graph.TaskID
	for range 1 + w.rng.IntN(3) {
		t := pick(w, w.twin.tasks, func(t *twinTask) bool { return t.failed != 0 || w.chance(8) })
		if t != nil {
			ids = append(ids, t.id)
		}
	}
	w.step(sched.Retry{Tasks: ids})
}

// retryAll asks for everything that failed, and sees that what can be retried is.
func (w *World) retryAll() {
	if !w.plan.has("retry") || w.chance(2) {
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

// retried takes back what a client was told. Now and then that heals the task.
func (w *World) retried(e sched.Ended) {
	if w.told[e.Task] == graph.FailNone {
		w.must(fmt.Errorf("%v runs again, and had not failed", e.Task))
	}
	delete(w.told, e.Task)
	if w.oracle.specs[e.Task].does.kind == "bad" && w.chance(2) {
		w.cured[e.Task] = true
	}
}
