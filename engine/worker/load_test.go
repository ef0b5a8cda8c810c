package worker

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/wire"
)

// The load is told seldom when it has not changed and there is nothing to do, and often
// again from the first assignment on.
func TestLoadPace(t *testing.T) {
	const every = time.Minute // the timer itself does not matter
	w := &worker{opts: Options{LoadEvery: every}, core: local.New(local.Config{Slots: 1}), pace: newPace(every)}
	defer w.pace.timer.Stop()
	tell := func(still bool) time.Duration {
		w.pace.told, w.pace.still = &wire.Load{}, still
		w.paceLoad()
		return w.pace.every
	}
	if d := tell(false); d != every {
		t.Errorf("%v after a change", d)
	}
	if d := tell(true); d != loadRest*every {
		t.Errorf("%v at rest", d)
	}
	if w.paceLoad(); w.pace.every != loadRest*every {
		t.Errorf("%v in a turn at rest", w.pace.every)
	}
	w.core.Step(local.Assigned{Tasks: []local.Assignment{{Key: local.Key{Task: graph.TaskID{Job: 1}, Attempt: 1}, Class: &local.Class{Class: &graph.Class{}}}}})
	if w.paceLoad(); w.pace.every != every {
		t.Errorf("%v with a task", w.pace.every)
	}
	w.core.Output()
	w.core.Step(local.Ended{Attempts: []local.End{{Key: local.Key{Task: graph.TaskID{Job: 1}, Attempt: 1}}}})
	if w.paceLoad(); w.pace.every != every {
		t.Errorf("%v before the next report", w.pace.every)
	}
}
