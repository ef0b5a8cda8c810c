package schedtest

import (
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/sched"
)

// impossible are the pairs of an event and a task's state that cannot meet, with why.
// All others do, in a hundred thousand schedules.
var impossible = map[eventKind]struct {
	states []sched.State
	why    string
}{
	kindWorkerLeft: {elsewhere, "a worker has attempts of tasks that are assigned or running, and results of those that are done"},
	kindRetire:     {elsewhere, "a worker has attempts of tasks that are assigned or running, and results of those that are done"},
	kindRecall:     {append([]sched.State{sched.StateDone}, atWork...), "nothing is wanted while a core is told what there was, tasks of ranges are ready from the start, and of a small result no more is told"},
	kindRestored:   {atWork, "nothing is wanted while a core is told what there was; tasks of ranges are ready from the start"},
}

// seldom are pairs that can meet, and do in fewer than one of a hundred thousand schedules:
// a job with a range is closed, some of whose tasks had rows, and the journal is read.
var seldom = map[eventKind][]sched.State{kindRecall: {sched.StateCancelled}}

var atWork = []sched.State{sched.StateWaiting, sched.StateAssigned, sched.StateRunning}

var elsewhere = []sched.State{
	sched.StateReleased, sched.StateWaiting, sched.StateReady, sched.StateFailed, sched.StateCancelled, sched.StateForgotten,
}

// check fails when what is impossible happened, and, if the runs were many, when
// something that is possible did not.
func (v *Coverage) check(t *testing.T, many bool) {
	for k := range v {
		never := map[int]bool{}
		for _, s := range impossible[eventKind(k)].states {
			never[int(s)] = true
		}
		for s, n := range v[k] {
			switch {
			case never[s] && n > 0:
				t.Errorf("%s met a %v task %d times, which cannot be: %s", kindNames[k], sched.State(s), n, impossible[eventKind(k)].why)
			case !never[s] && n == 0 && many && !slices.Contains(seldom[eventKind(k)], sched.State(s)):
				t.Errorf("no %s met a task that was %v: the schedules miss something, or it is impossible", kindNames[k], sched.State(s))
			}
		}
	}
}
