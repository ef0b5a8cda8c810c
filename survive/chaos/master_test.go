package main

import (
	"math/rand/v2"
	"testing"
)

// Each phase has its share of the kills, also where two of three tries to meet the launch of a container fail, as on real
// daemons; and no more launches are met than cost one container of twenty.
func TestPhases(t *testing.T) {
	for seed := range uint64(200) {
		w := &world{rnd: rand.New(rand.NewPCG(seed, 0)), t: newTable()}
		all, tries := 0, 0
		for all < 50 {
			p := w.nextPhase()
			if tries++; p.name == "launching" && seed%2 == 0 && w.rnd.IntN(3) > 0 {
				continue
			}
			if p.name == "staging" || p.name == "registering" { // the one that runs is killed for it
				w.t.Phases["running"]++
				all++
			}
			w.t.Phases[p.name]++
			all++
		}
		for _, p := range phases {
			if share := float64(w.t.Phases[p.name]) / float64(all); share < leastPhase || p.name == "launching" && share > 0.2 {
				t.Errorf("seed %d: %d of %d %s", seed, w.t.Phases[p.name], all, p.name)
			}
		}
	}
}
