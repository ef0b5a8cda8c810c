package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/dirstore"
	"github.com/yarnd/yarnd/engine/journal/memstore"
)

// benchStores are the disk of the working directory, which is a real one where that of temporary
// files may not be, and memory, which shows what the journal itself costs.
func benchStores(b *testing.B, run func(b *testing.B, fresh func(b *testing.B) journal.Store)) {
	b.Run("disk", func(b *testing.B) { run(b, onThisDisk) })
	b.Run("memory", func(b *testing.B) {
		run(b, func(*testing.B) journal.Store { return memstore.New(1, false).Process(nil) })
	})
}

func onThisDisk(b *testing.B) journal.Store {
	dir, err := os.MkdirTemp(".", ".bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	s, err := dirstore.New(filepath.Join(dir, "journal"))
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// bench begins an epoch that tells positions to one channel.
func bench(b *testing.B, s journal.Store) (*journal.Journal, chan uint64) {
	b.Helper()
	told := make(chan uint64, 1<<16)
	j, err := journal.Open(b.Context(), journal.Options{Store: s, Epoch: 1, OnFlushed: func(pos uint64) { told <- pos }})
	if err != nil {
		b.Fatal(err)
	}
	if err := j.Replay(b.Context(), func([]byte) error { return nil }); err != nil {
		b.Fatal(err)
	}
	if err := j.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := j.Close(b.Context()); err != nil && b.Context().Err() == nil {
			b.Error(err)
		}
	})
	<-told
	return j, told
}

func settle(j *journal.Journal, told chan uint64) {
	for pos := range told {
		if pos == j.Appended() {
			return
		}
	}
}

// BenchmarkAppend is many records of a size, with a commit for each 100.
func BenchmarkAppend(b *testing.B) {
	benchStores(b, func(b *testing.B, fresh func(*testing.B) journal.Store) {
		for _, size := range []int{50, 1000} {
			b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
				j, told := bench(b, fresh(b))
				rec := bytes.Repeat([]byte("x"), size)
				b.SetBytes(int64(size))
				i := 0
				for b.Loop() {
					j.Append(rec)
					if i++; i%100 == 0 {
						j.Commit()
					}
				}
				j.Commit()
				settle(j, told)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	})
}

// BenchmarkFlush is one record at a time, until it is safe.
func BenchmarkFlush(b *testing.B) {
	benchStores(b, func(b *testing.B, fresh func(*testing.B) journal.Store) {
		j, told := bench(b, fresh(b))
		rec := bytes.Repeat([]byte("x"), 200)
		var waits []time.Duration
		for b.Loop() {
			began := time.Now()
			j.Append(rec)
			j.Commit()
			settle(j, told)
			waits = append(waits, time.Since(began))
		}
		slices.Sort(waits)
		b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
	})
}

// BenchmarkReplay reads a million records of 100 bytes.
func BenchmarkReplay(b *testing.B) {
	const n = 1_000_000
	benchStores(b, func(b *testing.B, fresh func(*testing.B) journal.Store) {
		s := fresh(b)
		j, told := bench(b, s)
		rec := bytes.Repeat([]byte("x"), 100)
		for range n {
			j.Append(rec)
		}
		j.Commit()
		settle(j, told)
		b.SetBytes(n * 100)
		epoch := uint64(1)
		for b.Loop() {
			epoch++
			j, err := journal.Open(b.Context(), journal.Options{Store: s, Epoch: epoch})
			if err != nil {
				b.Fatal(err)
			}
			got := 0
			if err := j.Replay(b.Context(), func([]byte) error { got++; return nil }); err != nil || got != n {
				b.Fatal(got, err)
			}
		}
	})
}
