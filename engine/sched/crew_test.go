package sched

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCrew compares sets of workers with lists, while workers come and go.
func TestCrew(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var c crew
	var idle, all []*worker
	for step := range 20_000 {
		switch w := (*worker)(nil); {
		case len(all) < 1+rng.IntN(300):
			w = &worker{slots: step}
			c.add(w)
			all = append(all, w)
			fallthrough
		default:
			if w == nil {
				w = all[rng.IntN(len(all))]
			}
			in := rng.IntN(2) == 0
			c.idle.put(w, in)
			idle = slices.DeleteFunc(idle, func(v *worker) bool { return v == w })
			if in {
				idle = append(idle, w)
			}
		case rng.IntN(3) == 0:
			w = all[rng.IntN(len(all))]
			c.remove(w)
			gone := func(v *worker) bool { return v == w }
			all, idle = slices.DeleteFunc(all, gone), slices.DeleteFunc(idle, gone)
		}
		got := slices.Collect(c.of(&c.idle))
		want := slices.DeleteFunc(slices.Clone(all), func(w *worker) bool { return !slices.Contains(idle, w) })
		if !slices.Equal(got, want) || !slices.Equal(c.all, all) {
			t.Fatalf("step %d: %d of %d idle, want %d of %d", step, len(got), len(c.all), len(want), len(all))
		}
		for _, w := range all {
			if c.idle.has(w) != slices.Contains(idle, w) {
				t.Fatalf("step %d: worker %d: has says %v", step, w.slots, c.idle.has(w))
			}
		}
	}
}
