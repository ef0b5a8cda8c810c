package main

import (
	"math"
	"testing"

	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// Whatever the tasks do at once, the line is found. One slot is enough for them and the
// actor.
func TestFit(t *testing.T) {
	for _, o := range []enginetest.Options{{Workers: 2}, {Workers: 1, Slots: 1, Processes: true}} {
		found, err := fit(t.Context(), enginetest.Start(t, o).Client(), 4, 50, 100)
		if err != nil || math.Abs(found.Slope-truth.Slope) > 0.1 || math.Abs(found.Offset-truth.Offset) > 0.1 {
			t.Errorf("%+v, %v", found, err)
		}
	}
}
