package schedtest

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/sched"
)

// unfollow takes back every task that was assigned ahead of its inputs and can have them so
// no more: what it follows ended without a result or gave it elsewhere, or another input was
// lost. Its worker must be told.
func (tw *twin) unfollow() {
	for again := true; again; {
		again = false
		for _, t := range tw.tasks {
			if len(t.follows) == 0 {
				continue
			}
			t.follows = slices.DeleteFunc(t.follows, func(a sched.TaskAttempt) bool {
				d := tw.byID[a.Task]
				return d.done && d.attempt == a.Attempt && d.from == t.worker
			})
			if !tw.stillFollows(t) {
				tw.stopFirst(t)
				t.endAttempt()
				again = true
			}
		}
	}
}

// stillFollows reports whether each of t's inputs has a result, or comes from an attempt
// that t follows and that lives where t does.
func (tw *twin) stillFollows(t *twinTask) bool {
	if len(t.follows) == 0 {
		return true
	}
	for _, a := range t.follows {
		if d := tw.byID[a.Task]; d.done {
			return false // its result is another attempt's, or was brought along
		}
	}
	for _, id := range t.deps {
		d := tw.byID[id]
		if d == nil || !d.done && (d.worker != t.worker || !slices.Contains(t.follows, d.live)) {
			return false
		}
	}
	return true
}

// follow notes for which of its inputs an attempt may wait without a fetch: nobody but the
// machine has them, and attempts that it has are about to give them. Should these not give
// them, the attempt must be stopped in the end: else the machine does not come to rest.
func (v *watch) follow(m *machine, l *lived) {
	for i := range l.Inputs {
		in := &l.Inputs[i]
		if !m.welcomed() || !slices.Equal(in.Holders, []graph.WorkerID{m.conn.id}) || v.live[in.Key] == nil || l.here[in.Key] {
			continue
		}
		if l.led == nil {
			l.led = map[local.Key]bool{}
		}
		l.led[in.Key] = true
	}
}
