package wire

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
)

// Tasks in one frame of the benchmarks; they report nanoseconds a task.
const benchTasks = 128

func benchMessage(b *testing.B, k Kind, build func() proto.Message) {
	frame, err := AppendFrame(nil, k, build())
	if err != nil {
		b.Fatal(err)
	}
	perTask := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchTasks), "ns/task")
		b.ReportMetric(float64(len(frame))/benchTasks, "bytes/task")
	}
	b.Run("encode", func(b *testing.B) {
		buf := make([]byte, 0, 1<<20)
		for b.Loop() {
			if buf, err = AppendFrame(buf[:0], k, build()); err != nil {
				b.Fatal(err)
			}
		}
		perTask(b)
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			m, err := Unmarshal(k, frame[headerLen:])
			if err != nil {
				b.Fatal(err)
			}
			read(m)
		}
		perTask(b)
	})
}

func BenchmarkAssign(b *testing.B) {
	payload, inline := make([]byte, 16), make([]byte, 24)
	benchMessage(b, KindAssign, func() proto.Message {
		m := &Assign{}
		for i := range uint32(benchTasks) {
			m.Add(task(3, 100_000+i), 1, 2, payload)
			m.AddInput(Input{Task: task(3, i), Attempt: 1, Size: uint64(len(inline)), Inline: inline})
		}
		return m
	})
}

func BenchmarkDone(b *testing.B) {
	inline := make([]byte, 24)
	benchMessage(b, KindDone, func() proto.Message {
		m := &Done{}
		for i := range uint32(benchTasks) {
			m.Add(Result{Task: task(3, 100_000+i), Attempt: 1, Duration: 15, IsInline: true, Inline: inline})
		}
		return m
	})
}

func BenchmarkSubmit(b *testing.B) {
	batch := &graph.Batch{Job: 3, First: 100_000}
	for i := range uint32(benchTasks) {
		batch.Class = append(batch.Class, 1)
		batch.Deps = append(batch.Deps, task(3, i), task(3, i+1))
		batch.DepEnd = append(batch.DepEnd, uint32(len(batch.Deps)))
		batch.Payload = append(batch.Payload, make([]byte, 16)...)
		batch.PayEnd = append(batch.PayEnd, uint32(len(batch.Payload)))
	}
	benchMessage(b, KindRequest, func() proto.Message {
		return &Request{Id: 1, Body: &Request_Submit{BatchToWire(batch)}}
	})
}
