package shuffle

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/yarnd/yarnd/engine"
)

// fetcher brings a partition's segments of all map tasks here, as many at once as memory
// allows.
type fetcher[K, V any] struct {
	ctx     context.Context
	spec    *Spec[K, V]
	spilled spool // file of runs
	runs    []segment
	records uint64
	buf     []byte
}

// remote is a segment of a map task's result.
type remote struct {
	segment
	from sized
	m    int // the map task
}

// open returns what goes through all of a partition.
func (f *fetcher[K, V]) open(who maker, part int, outputs []engine.Ref[[]byte]) (*merger, error) {
	segs := make([]remote, len(outputs))
	err := parallel(f.ctx, len(outputs), func(i int) error {
		p, err := engine.Open(f.ctx, outputs[i])
		if err != nil {
			return fmt.Errorf("map task %d: %w", i, err)
		}
		want := who
		want.Map = uint32(i)
		s, err := findSegment(p, want, part)
		if err != nil {
			return fmt.Errorf("map task %d: %w", i, err)
		}
		segs[i] = remote{s, p, i}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f.gather(segs)
}

// gather fetches the segments and returns what goes through them.
func (f *fetcher[K, V]) gather(segs []remote) (*merger, error) {
	budget := f.spec.memory() / 2
	var batch []remote
	var size, total int64
	for _, s := range segs {
		total += s.size
		f.records += s.records
	}
	for _, s := range segs {
		if size+s.size > budget {
			if err := f.spill(batch, size); err != nil {
				return nil, err
			}
			batch, size = nil, 0
		}
		switch {
		case s.size > budget:
			if err := f.stream(s, budget); err != nil {
				return nil, err
			}
		case s.size > 0:
			batch, size = append(batch, s), size+s.size
		}
	}
	if len(f.runs) == 0 {
		cursors, err := f.load(batch, size)
		if err != nil {
			return nil, err
		}
		return newMerger(cursors)
	}
	if err := f.spill(batch, size); err != nil {
		return nil, err
	}
	f.buf = nil
	if err := f.spilled.flush(); err != nil {
		return nil, err
	}
	return newMerger(cursorsOf(&f.spilled, f.runs, budget))
}

// load fetches segments into memory.
func (f *fetcher[K, V]) load(batch []remote, size int64) ([]*cursor, error) {
	if int64(cap(f.buf)) < size {
		f.buf = make([]byte, size)
	}
	cursors := make([]*cursor, len(batch))
	var pieces []piece
	rest := f.buf[:size]
	for i, s := range batch {
		b := rest[:s.size:s.size]
		rest = rest[s.size:]
		cursors[i] = &cursor{buf: b, index: i}
		pieces = appendPieces(pieces, s.from, b, s.off)
	}
	if err := f.fetch(pieces); err != nil {
		return nil, err
	}
	for i, s := range batch {
		if crc32.Checksum(cursors[i].buf, castagnoli) != s.sum {
			return nil, s.damaged()
		}
	}
	return cursors, nil
}

func (s *remote) damaged() error {
	return fmt.Errorf("map task %d: its records do not have their checksum", s.m)
}

// spill makes a run of segments.
func (f *fetcher[K, V]) spill(batch []remote, size int64) error {
	if len(batch) == 0 {
		return nil
	}
	cursors, err := f.load(batch, size)
	if err != nil {
		return err
	}
	m, err := newMerger(cursors)
	if err != nil {
		return err
	}
	run := segment{off: f.spilled.size}
	var record []byte
	err = combineInto(f.spec, m, func(key, value []byte) error {
		record = appendRecord(record[:0], key, value)
		_, err := f.spilled.Write(record)
		return err
	})
	if err != nil {
		return err
	}
	run.size = f.spilled.size - run.off
	f.runs = append(f.runs, run)
	return f.ctx.Err()
}

// stream makes a run of a segment that is larger than memory.
func (f *fetcher[K, V]) stream(s remote, budget int64) error {
	run := segment{off: f.spilled.size, size: s.size}
	if int64(cap(f.buf)) < budget {
		f.buf = make([]byte, budget)
	}
	sum := uint32(0)
	for done := int64(0); done < s.size; {
		b := f.buf[:min(budget, s.size-done)]
		if err := f.fetch(appendPieces(nil, s.from, b, s.off+done)); err != nil {
			return err
		}
		sum = crc32.Update(sum, castagnoli, b)
		if _, err := f.spilled.Write(b); err != nil {
			return err
		}
		done += int64(len(b))
	}
	if sum != s.sum {
		return s.damaged()
	}
	f.runs = append(f.runs, run)
	return nil
}

// piece is a part of a result that is fetched at once.
type piece struct {
	from sized
	to   []byte
	off  int64
}

func appendPieces(pieces []piece, from sized, to []byte, off int64) []piece {
	for len(to) > 0 {
		n := min(len(to), chunkSize)
		pieces = append(pieces, piece{from, to[:n], off})
		to, off = to[n:], off+int64(n)
	}
	return pieces
}

func (f *fetcher[K, V]) fetch(pieces []piece) error {
	return parallel(f.ctx, len(pieces), func(i int) error {
		return readFull(pieces[i].from, pieces[i].to, pieces[i].off)
	})
}

// inFlight is how many pieces a reduce task asks for at once.
const inFlight = 8

// parallel calls do for all numbers below n, several at once, until one fails or ctx ends.
func parallel(ctx context.Context, n int, do func(i int) error) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	next := 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || next == n {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(n, inFlight) {
		wg.Go(func() {
			for {
				i, ok := take()
				if !ok {
					return
				}
				err := ctx.Err()
				if err == nil {
					err = do(i)
				}
				if err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}
