package main

import (
	"math"
	"testing"

	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestPi(t *testing.T) {
	client := enginetest.New(t, 2)
	first, err := run(t.Context(), client, 1, 40, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	pi, deviation := first.estimate()
	if first.Points != 400_000 || math.Abs(pi-math.Pi) > 4*deviation {
		t.Errorf("%+v: %v ± %v", first, pi, deviation)
	}
	again, err := run(t.Context(), client, 1, 40, 10_000)
	if err != nil || again != first {
		t.Errorf("the same seed gives %+v, %v, and gave %+v", again, err, first)
	}
}
