package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/dirstore"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// BenchmarkSnapshot has the state written anew of a job whose tasks have small results and
// two inputs each: how long the longest turn takes for it, how much memory beside the state, how large the
// snapshot is, and how long it takes to begin with it.
func BenchmarkSnapshot(b *testing.B) {
	for _, tasks := range []uint32{1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(tasks), func(b *testing.B) {
			store, err := dirstore.New(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			writeLarge(b, store, tasks)
			for range b.N {
				benchSnapshot(b, store)
			}
		})
	}
}

func benchSnapshot(b *testing.B, store journal.Store) {
	l := takeOverFor(b, store, 2)
	before := liveHeap()
	peak := peakHeap()
	longest, turns := time.Duration(0), 0
	began := time.Now()
	for l.ledger.journal.Size() == 0 { // it begins, and goes on whenever it may
		at := time.Now()
		l.now = at
		l.settleLedger()
		longest = max(longest, time.Since(at))
		turns++
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	most := peak()
	size := l.ledger.journal.Size()
	if err := l.closeJournal(); err != nil {
		b.Fatal(err)
	}
	again := time.Now()
	l = takeOverFor(b, store, 3)
	restored := time.Since(again)
	if err := l.closeJournal(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest-turn")
	b.ReportMetric(took.Seconds(), "s-to-write")
	b.ReportMetric(float64(before)/(1<<20), "MiB-state")
	b.ReportMetric(float64(most)/float64(before), "x-memory-at-most")
	b.ReportMetric(float64(size)/(1<<20), "MiB-snapshot")
	b.ReportMetric(restored.Seconds(), "s-to-restore")
	b.ReportMetric(float64(turns), "turns")
}

// takeOverFor is a loop that has taken over, and to which all workers have come back.
func takeOverFor(b testing.TB, store journal.Store, epoch uint64) *loop {
	o := Options{Log: slog.New(slog.DiscardHandler), JournalGrowth: 1, JournalRows: snapshotRows, Journal: store, Epoch: epoch}
	l := newLoop(o, nil)
	b.Cleanup(func() {
		l.ticker.Stop()
		l.owing.timer.Stop()
	})
	if err := l.takeOver(context.Background(), o, func(error) {}); err != nil {
		b.Fatal(err)
	}
	l.turns.Take() // turns are the benchmark's from now on
	l.back.on = false
	return l
}

// writeLarge writes the journal of a scheduler that had a job of so many tasks, half of which have ended.
func writeLarge(b *testing.B, store journal.Store, tasks uint32) {
	j, err := journal.Open(context.Background(), journal.Options{Store: store, Epoch: 1})
	if err != nil {
		b.Fatal(err)
	}
	if err := j.Replay(context.Background(), func([]byte) error { return nil }); err != nil {
		b.Fatal(err)
	}
	if err := j.Start(); err != nil {
		b.Fatal(err)
	}
	put := func(r *wire.Record) {
		r.AtMs = 1000
		rec, err := proto.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		j.Append(rec)
		j.Commit()
		for j.Pending() > maxPending {
			time.Sleep(time.Millisecond)
		}
	}
	for _, r := range sampleRecords()[:3] {
		put(r)
	}
	const part = 4096
	for first := uint32(0); first < tasks; first += part {
		n := min(part, tasks-first)
		m := &graph.Batch{Job: 1, First: first, Class: make([]graph.ClassID, n)}
		facts := &wire.Facts{}
		for i := first; i < first+n; i++ {
			if i > 1000 {
				m.Deps = append(m.Deps, graph.TaskID{Job: 1, Index: i - 1000}, graph.TaskID{Job: 1, Index: i - 999})
			}
			m.DepEnd = append(m.DepEnd, uint32(len(m.Deps)))
			m.Payload = append(m.Payload, make([]byte, 16)...)
			m.PayEnd = append(m.PayEnd, uint32(len(m.Payload)))
			if i >= tasks/2 {
				continue
			}
			facts.Kind, facts.Job, facts.Index = append(facts.Kind, byte(sched.FactDone)|factInline|factTold), append(facts.Job, 1), append(facts.Index, i)
			facts.Attempt, facts.Size = append(facts.Attempt, 1), append(facts.Size, 8)
			facts.Inline = binary.LittleEndian.AppendUint64(facts.Inline, uint64(i))
			facts.InlineEnd = append(facts.InlineEnd, uint32(len(facts.Inline)))
		}
		put(&wire.Record{Client: 1, Body: &wire.Record_Submit{Submit: wire.BatchToWire(m)}})
		put(&wire.Record{Body: &wire.Record_Facts{Facts: facts}})
	}
	if err := j.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peakHeap looks at the heap until the function that it returns is called, which says how large it was at most.
func peakHeap() func() uint64 {
	most, quit := uint64(0), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(s)
			most = max(most, s[0].Value.Uint64())
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	return func() uint64 {
		close(quit)
		wg.Wait()
		return most
	}
}
