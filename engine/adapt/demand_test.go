package adapt

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// enough finds by halves what trying all numbers finds.
func TestEnoughIsTheSmallestThatDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		d := &demand{}
		for range 1 + r.IntN(4) {
			w := &graph.Demand{Slots: 1, Ready: r.IntN(200), Given: r.IntN(20), Waiting: r.IntN(100), Took: time.Duration(r.IntN(20)) * time.Second}
			d.add(w, float64(1+r.IntN(4)), 5*time.Second, w.Took)
		}
		goal := max(d.path.Seconds(), float64(1+r.IntN(100)))
		slow := 0
		if d.tasks > 0 {
			for slow = 1; slow < max(1, d.width()) && d.finish(slow) > goal; slow++ {
			}
		}
		if got := d.enough(goal); got != slow {
			t.Fatalf("%+v: %d are enough for %v s, trying all says %d", *d, got, goal, slow)
		}
	}
}

// More workers never finish later: what enough relies on.
func TestMoreAreNeverSlower(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for range 300 {
		d := &demand{}
		for range 1 + r.IntN(4) {
			d.add(&graph.Demand{Ready: r.IntN(100), Waiting: r.IntN(50), Took: time.Second}, float64(1+r.IntN(3)), time.Second, time.Duration(r.IntN(9))*time.Second)
		}
		for n := range 100 {
			if d.finish(n+1) > d.finish(n) {
				t.Fatalf("%+v: %d finish at %v, %d at %v", *d, n, d.finish(n), n+1, d.finish(n+1))
			}
		}
	}
}
