package main

import (
	"math"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// Cut into blocks or in one piece, the rod is the same, and no heat is lost.
func TestSpread(t *testing.T) {
	client := enginetest.New(t, 2)
	for _, size := range [][2]int{{1, 50}, {7, 1}, {5, 30}} {
		first := rod(size[0], size[1])
		want := slices.Concat(first...)
		for range 20 {
			want = step(nil, want, nil)
		}
		got, err := spread(t.Context(), client, first, 20)
		if err != nil {
			t.Fatal(err)
		}
		whole, heat := slices.Concat(got...), 0.0
		if !slices.Equal(whole, want) {
			t.Errorf("%d blocks of %d cells: %v, want %v", size[0], size[1], whole, want)
		}
		for _, v := range whole {
			heat += v
		}
		if math.Abs(heat-float64(size[1])) > 1e-9 {
			t.Errorf("%d blocks of %d cells: the heat is %v", size[0], size[1], heat)
		}
	}
}
