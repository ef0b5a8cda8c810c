package bench

import (
	"context"
	"iter"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.Processes()
	goleak.VerifyTestMain(m)
}

var (
	noop = engine.Define("noop", func(_ context.Context, n int) (int, error) { return n, nil })
	inc  = engine.Define("inc", func(_ context.Context, n engine.Ref[int]) (int, error) { return n.Value() + 1, nil })
	blob = engine.Define("blob", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	size = engine.Define("size", func(_ context.Context, r engine.Ref[[]byte]) (int, error) { return len(r.Value()), nil })
)

// cluster starts two workers of one slot each, as the figures of others have it.
func cluster(b *testing.B, processes bool) *engine.Client {
	b.Helper()
	return enginetest.Start(b, enginetest.Options{Workers: 2, Slots: 1, Processes: processes}).Client()
}

// perTask reports a rate over all rounds.
func perTask(b *testing.B, tasks int) {
	n := float64(b.N * tasks)
	b.ReportMetric(n/b.Elapsed().Seconds(), "tasks/s")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/n, "µs/task")
	b.ReportMetric(0, "ns/op")
}

func repeat[T any](v T, n int) iter.Seq[T] {
	return func(yield func(T) bool) {
		for range n {
			if !yield(v) {
				return
			}
		}
	}
}

// gather runs a task n times and checks that so many results come.
func gather[In, Out any](b *testing.B, c *engine.Client, t *engine.Task[In, Out], in In, n int) {
	b.Helper()
	batch := t.Map(b.Context(), c, repeat(in, n))
	got, err := batch.Gather(b.Context())
	if err != nil || len(got) != n {
		b.Fatalf("%d of %d results: %v", len(got), n, err)
	}
	batch.Release()
}

func warm(b *testing.B, c *engine.Client) {
	b.Helper()
	gather(b, c, noop, 0, 10)
	b.ResetTimer()
}

// BenchmarkNoop is 10,000 Go tasks that do nothing.
func BenchmarkNoop(b *testing.B) {
	const n = 10_000
	for name, processes := range map[string]bool{"goroutines": false, "processes": true} {
		b.Run(name, func(b *testing.B) {
			c := cluster(b, processes)
			warm(b, c)
			for b.Loop() {
				gather(b, c, noop, 1, n)
			}
			perTask(b, n)
		})
	}
}

// BenchmarkChain is 1,000 tasks, each of which needs the one before.
func BenchmarkChain(b *testing.B) {
	const n = 1000
	c := cluster(b, true)
	warm(b, c)
	for b.Loop() {
		ref := engine.Value(0)
		var last *engine.Future[int]
		for range n {
			last = inc.Submit(b.Context(), c, ref)
			ref = last.Ref()
		}
		if got, err := last.Result(b.Context()); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	perTask(b, n)
}

// BenchmarkCall is one task after another, from submit to result.
func BenchmarkCall(b *testing.B) {
	c := cluster(b, true)
	warm(b, c)
	for b.Loop() {
		if _, err := noop.Call(b.Context(), c, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(time.Microsecond), "µs/call")
}

// BenchmarkTrue is 1,000 times the command true.
func BenchmarkTrue(b *testing.B) {
	const n = 1000
	c := cluster(b, true)
	task := engine.Command([]string{"true"})
	warm(b, c)
	for b.Loop() {
		gather(b, c, task, "", n)
	}
	perTask(b, n)
}

// BenchmarkTransfer is a result of 64 MiB that another worker needs, or the client.
func BenchmarkTransfer(b *testing.B) {
	const n = 64 << 20
	c := cluster(b, true)
	warm(b, c)
	b.Run("client", func(b *testing.B) {
		f := blob.Submit(b.Context(), c, n)
		<-f.Done()
		b.SetBytes(n)
		for b.Loop() {
			if data, err := f.Result(b.Context()); err != nil || len(data) != n {
				b.Fatal(len(data), err)
			}
		}
	})
	b.Run("task", func(b *testing.B) {
		b.SetBytes(n)
		for b.Loop() {
			f := blob.Submit(b.Context(), c, n)
			if got, err := size.Call(b.Context(), c, f.Ref()); err != nil || got != n {
				b.Fatal(got, err)
			}
			f.Release()
		}
	})
}
