package server

import (
	"fmt"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// BenchmarkZeroWorker submits tasks to workers that answer at once, over TLS on
// loopback, and waits for all outcomes: what a task costs besides itself, client,
// scheduler and worker side of the wire together.
func BenchmarkZeroWorker(b *testing.B) {
	for _, workers := range []int{1, 4} {
		for _, deps := range []int{0, 1} {
			b.Run(fmt.Sprintf("workers=%d/deps=%d", workers, deps), func(b *testing.B) {
				c := start(b, Options{})
				for i := range workers {
					c.autoWorker(fmt.Sprintf("w%d", i), 4, echo)
				}
				cl := c.client("alice", "")
				job := cl.newJob("")
				_, watch := cl.start(watchFrom(job, 0))
				b.ResetTimer()
				// Batches as a client sends them, some ahead of the outcomes.
				const part = 4096
				ended := 0
				for first := 0; first < b.N; first += part {
					n := min(part, b.N-first)
					t := batch(job, uint32(first), uint32(n))
					if deps > 0 && first > 0 {
						for i := range n {
							t.Deps = append(t.Deps, task(job, uint32(first-part+i)))
							t.DepEnd = append(t.DepEnd, uint32(len(t.Deps)))
						}
					}
					cl.start(submit(t))
					if want := first - 8*part; ended < want {
						ended += len(cl.outcomes(watch, want-ended))
					}
				}
				cl.outcomes(watch, b.N-ended)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
			})
		}
	}
}

// BenchmarkChain is a chain of tasks, each of which needs the one before it: the
// way from one end to the next start.
func BenchmarkChain(b *testing.B) {
	c := start(b, Options{})
	c.autoWorker("w", 1, echo)
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	t := &graph.Batch{Job: graph.JobID(job)}
	for i := range min(b.N, 200_000) {
		t.Class = append(t.Class, 0)
		if i > 0 {
			t.Deps = append(t.Deps, task(job, uint32(i-1)))
		}
		t.DepEnd = append(t.DepEnd, uint32(len(t.Deps)))
	}
	b.ResetTimer()
	cl.call(submit(t))
	cl.outcomes(watch, t.Len())
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(t.Len()), "µs/link")
}
