package schedtest

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
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
	defer func() { tw.revived += len(revived) }()
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

func (t *twinTask) revive() {
	t.failed, t.told, t.mistakes, t.setbacks = 0, false, 0, setbacks{}
	t.first = true // whatever it failed as: of a result that was lost it is the cause as well
}
