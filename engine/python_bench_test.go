package engine_test

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// BenchmarkPythonMap calls math.sqrt through a scheduler and two workers that are
// processes, with so many calls under way.
func BenchmarkPythonMap(b *testing.B) {
	if _, err := exec.LookPath("python3"); err != nil {
		b.Skip("no python3 in the PATH")
	}
	client := enginetest.Start(b, enginetest.Options{Workers: 2, Slots: 1, Processes: true}).Client()
	root := engine.Python[float64, float64]("math:sqrt")
	warm := root.Map(b.Context(), client, slices.Values(make([]float64, 2000)))
	if _, err := warm.Gather(b.Context()); err != nil {
		b.Fatal(err)
	}
	warm.Release()
	for _, window := range []int{1, 16, 256, 4096} {
		b.Run(fmt.Sprint("window=", window), func(b *testing.B) {
			batch := root.Map(b.Context(), client, slices.Values(make([]float64, b.N)), engine.Window(window))
			defer batch.Release()
			for _, err := range batch.Completed(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
		})
	}
}
