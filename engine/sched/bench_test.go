package sched

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// shape makes a batch of n tasks.
type shape struct {
	name string
	make func() *graph.Batch
}

func shaped(n int, deps func(i uint32) []uint32) *graph.Batch {
	b := &graph.Batch{Job: 1, Class: make([]graph.ClassID, n)}
	for i := range uint32(n) {
		for _, d := range deps(i) {
			b.Deps = append(b.Deps, graph.TaskID{Job: 1, Index: d})
		}
		b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
	}
	return b
}

var shapes = []shape{
	{"merge-100k", func() *graph.Batch {
		return shaped(100_001, func(i uint32) (d []uint32) {
			for k := uint32(0); i == 100_000 && k < i; k++ {
				d = append(d, k)
			}
			return d
		})
	}},
	{"chain-1000", func() *graph.Batch {
		return shaped(1000, func(i uint32) []uint32 {
			if i == 0 {
				return nil
			}
			return []uint32{i - 1}
		})
	}},
	{"stencil-1000x100", func() *graph.Batch {
		return shaped(100_000, func(i uint32) (d []uint32) {
			for k := -1; k <= 1 && i >= 1000; k++ {
				if x := int(i%1000) + k; x >= 0 && x < 1000 {
					d = append(d, i/1000*1000-1000+uint32(x))
				}
			}
			return d
		})
	}},
	{"tree-2^17", func() *graph.Batch {
		return shaped(1<<17-1, func(i uint32) []uint32 {
			if i < 1<<16 {
				return nil
			}
			k := 2 * (i - 1<<16)
			return []uint32{k, k + 1}
		})
	}},
}

// BenchmarkCore runs graphs through the core alone: workers end everything that
// they were given at once. ns/task and B/task are the core's whole share of a
// task's life; turns counts its outputs.
func BenchmarkCore(b *testing.B) {
	for _, s := range shapes {
		for _, workers := range []int{2, 128, 2000} {
			b.Run(fmt.Sprintf("%s/workers=%d", s.name, workers), func(b *testing.B) {
				var tasks, turns int
				var bytes float64
				for b.Loop() {
					b.StopTimer()
					batch := s.make()
					runtime.GC()
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					b.StartTimer()
					c := New(Config{})
					c.Step(OpenJob{1})
					c.Step(DeclareClass{1, 0, graph.Class{Name: "f"}})
					c.Step(Submit{batch})
					b.StopTimer()
					runtime.GC()
					runtime.ReadMemStats(&after)
					bytes += float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / float64(batch.Len())
					b.StartTimer()
					turns += drive(b, c, workers, batch.Len())
					tasks += batch.Len()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(tasks), "ns/task")
				b.ReportMetric(bytes/float64(b.N), "B/task")
				b.ReportMetric(float64(turns)/float64(b.N), "turns")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// drive gives a core workers that end at once what they are given, until n tasks
// have ended. It returns the turns taken.
func drive(b *testing.B, c *Core, workers, n int) (turns int) {
	for w := range workers {
		c.Step(WorkerJoined{Worker: graph.WorkerID(w + 1), Slots: 1})
	}
	done := make([][]Finished, workers)
	for ended := 0; ended < n; turns++ {
		out := c.Output()
		ended += len(out.Ended)
		if len(out.Assign) == 0 && ended < n {
			b.Fatalf("stuck after %d of %d", ended, n)
		}
		for _, a := range out.Assign {
			w := int(a.Worker) - 1
			done[w] = append(done[w], Finished{
				TaskAttempt: TaskAttempt{a.Task, a.Attempt}, Size: 100, Inline: a.Task.Index%2 == 0, Duration: 10,
			})
		}
		for w := range done {
			if len(done[w]) > 0 {
				c.Step(Done{graph.WorkerID(w + 1), done[w]})
				done[w] = done[w][:0]
			}
		}
	}
	return turns
}
