package local

import (
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// untold notes how an attempt ended: if nobody can be told, it is told later.
func (w *world) untold(k Key) {
	if w.self == 0 && !w.ghosts[k] && w.assigned[k] != nil {
		w.unsaid[k] = true
	}
	delete(w.ghosts, k)
}

func (w *world) leave() {
	w.turn()
	w.self = 0
	w.step(Left{})
	for k := range w.assigned {
		if w.running[k] == nil || w.ghosts[k] {
			w.unassign(k)
		}
	}
}

func (w *world) join() {
	w.self = graph.WorkerID(1 + w.rnd.IntN(8))
	fresh := w.rnd.IntN(3) == 0
	w.step(Joined{Self: w.self, Fresh: fresh})
	clear(w.started)
	if fresh {
		for _, m := range []map[Key]*Assignment{w.running, w.assigned} {
			for k := range m {
				w.unassign(k)
			}
		}
		clear(w.unsaid)
	}
	want := slices.Collect(maps.Keys(w.unsaid))
	for k := range w.running {
		if !w.ghosts[k] {
			want = append(want, k)
			w.kept++
		}
	}
	slices.SortFunc(want, Key.Compare)
	if got := w.c.AppendRunning(nil); !slices.Equal(got, want) {
		w.t.Fatalf("it says that it has %v, not %v", got, want)
	}
	w.turn()
	if len(w.unsaid) > 0 {
		w.t.Fatalf("the ends of %v are not told", w.unsaid)
	}
	for k := range w.running {
		if _, parked := w.parked[k]; parked && !w.ghosts[k] && !w.started[k] {
			w.t.Fatalf("%v is parked, and not said to have begun", k)
		}
	}
}
