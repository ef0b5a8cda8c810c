package shuffle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// Emitter takes the records of a map task. It is for one goroutine.
type Emitter[K, V any] struct {
	spec *Spec[K, V]
	emit func(key []byte, v V) error
	key  []byte
	done uint64
	ctx  context.Context
}

// ctxEvery is after how many records a context is looked at.
const ctxEvery = 1 << 10

// Emit adds a record, which it copies. After an error there is nothing more to emit: the
// map function returns it.
func (e *Emitter[K, V]) Emit(k K, v V) (err error) {
	if e.done++; e.done%ctxEvery == 0 && e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	if e.key, err = e.spec.Key.Append(e.key[:0], k); err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	return e.emit(e.key, v)
}

// buffer holds records until they are sorted. What it has no room for goes into a file, in
// sorted runs.
type buffer[K, V any] struct {
	spec  *Spec[K, V]
	where *partitioner
	limit int

	// without Combine: records in the order of their arrival
	data    batch
	entries []entry
	spare   []entry // for their sort
	value   []byte
	touched byte // by fetch: it must not be left out

	// with Combine: one record for each key
	table map[string]uint32
	vals  []V
	bytes int // of keys

	spilled spool // file of runs
	runs    [][]segment
}

const (
	entrySize = 2 * 16 // with what it takes to sort it
	// keySize is about what a key of the table takes, besides its bytes and its value's.
	keySize = 128
)

func newBuffer[K, V any](spec *Spec[K, V], where *partitioner) *buffer[K, V] {
	b := &buffer[K, V]{spec: spec, where: where, limit: int(min(spec.memory()/3, 1<<31))}
	if spec.Combine != nil {
		b.table = map[string]uint32{}
	}
	return b
}

func (b *buffer[K, V]) add(key []byte, v V) error {
	if b.spec.Combine != nil {
		return b.combine(key, v)
	}
	var err error
	if b.value, err = b.spec.Value.Append(b.value[:0], v); err != nil {
		return fmt.Errorf("encode a value: %w", err)
	}
	size := len(key) + len(b.value)
	if size > MaxRecord {
		return errLarge(size)
	}
	if len(b.entries) > 0 && b.data.size()+size+maxHead+entrySize*(len(b.entries)+1) > b.limit {
		if err := b.spill(); err != nil {
			return err
		}
	}
	b.entries = append(b.entries, entry{prefixOf(key), b.where.of(key), b.data.add(key, b.value)})
	return nil
}

// close gives all back.
func (b *buffer[K, V]) close() {
	b.free()
	b.spilled.Close()
}

// free gives the memory back.
func (b *buffer[K, V]) free() {
	b.data.empty()
	b.entries, b.spare, b.table, b.vals = nil, nil, nil, nil
}

func errLarge(size int) error {
	return fmt.Errorf("a record of %d bytes: the limit is %d; emit smaller ones", size, MaxRecord)
}

func (b *buffer[K, V]) combine(key []byte, v V) error {
	if i, ok := b.table[string(key)]; ok {
		b.vals[i] = b.spec.Combine(b.vals[i], v)
		return nil
	}
	if len(key) > MaxRecord {
		return errLarge(len(key))
	}
	if len(b.vals) > 0 && b.bytes+len(key)+keySize*(len(b.vals)+1) > b.limit {
		if err := b.spill(); err != nil {
			return err
		}
	}
	b.table[string(key)] = uint32(len(b.vals))
	b.vals = append(b.vals, b.spec.Value.keep(v))
	b.bytes += len(key)
	return nil
}

// sorted yields what is in memory: partition, and encoded record, in their order. Within
// a key they come in the order of their arrival.
func (b *buffer[K, V]) sorted(yield func(part uint32, record []byte) error) error {
	if b.table != nil {
		return b.sortedTable(yield)
	}
	n := len(b.entries)
	b.spare = slices.Grow(b.spare[:0], n)
	entries := sortEntries(b.entries, b.spare[:n], func(x, y entry) int { return compareEntries(x, y, b.keyAt) })
	for few := range slices.Chunk(entries, soon) {
		b.fetch(few)
		for _, e := range few {
			record := b.data.from(e.at)
			_, _, n, _, err := cutRecord(record)
			if err != nil {
				return err
			}
			if err := yield(e.part, record[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// soon is how many records are fetched into the processor's cache at once: they lie
// anywhere, and to wait for one after the other would take most of the time.
const soon = 16

// fetch touches the beginning of records, and where most go on.
func (b *buffer[K, V]) fetch(few []entry) {
	const line = 64
	var sum byte
	for _, e := range few {
		record := b.data.from(e.at)
		sum += record[0] + record[min(line, len(record)-1)]
	}
	b.touched = sum
}

func (b *buffer[K, V]) keyAt(at uint32) []byte {
	key, _, _, _, _ := cutRecord(b.data.from(at))
	return key
}

func (b *buffer[K, V]) sortedTable(yield func(part uint32, record []byte) error) error {
	type row struct {
		key string
		entry
	}
	rows := make([]row, 0, len(b.table))
	for key, at := range b.table {
		k := append(b.value[:0], key...)
		rows = append(rows, row{key, entry{prefixOf(k), b.where.of(k), at}})
		b.value = k
	}
	slices.SortFunc(rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.part, y.part), cmp.Compare(x.key, y.key))
	})
	var record, value []byte
	var err error
	for _, r := range rows {
		if value, err = b.spec.Value.Append(value[:0], b.vals[r.at]); err != nil {
			return fmt.Errorf("encode a value: %w", err)
		}
		if size := len(r.key) + len(value); size > MaxRecord {
			return errLarge(size)
		}
		b.value = append(b.value[:0], r.key...)
		record = appendRecord(record[:0], b.value, value)
		if err := yield(r.part, record); err != nil {
			return err
		}
	}
	return nil
}

// spill makes a run of what is in memory.
func (b *buffer[K, V]) spill() error {
	run := make([]segment, b.where.parts)
	err := b.sorted(func(part uint32, record []byte) error {
		s := &run[part]
		if s.size == 0 {
			s.off = b.spilled.size
		}
		s.size += int64(len(record))
		_, err := b.spilled.Write(record)
		return err
	})
	if err != nil {
		return err
	}
	b.runs = append(b.runs, run)
	b.data.empty()
	b.entries, b.bytes = b.entries[:0], 0
	if b.table != nil {
		clear(b.table)
		clear(b.vals)
		b.vals = b.vals[:0]
	}
	return nil
}

// finish writes the task's result.
func (b *buffer[K, V]) finish(w *outputWriter) error {
	if len(b.runs) > 0 {
		return b.merge(w)
	}
	err := b.sorted(func(part uint32, record []byte) error {
		for len(w.segs) <= int(part) {
			if err := w.begin(); err != nil {
				return err
			}
		}
		return w.addRecord(record)
	})
	if err != nil {
		return err
	}
	for len(w.segs) < b.where.parts {
		if err := w.begin(); err != nil {
			return err
		}
	}
	return w.end()
}

// merge writes the task's result from runs.
func (b *buffer[K, V]) merge(w *outputWriter) error {
	if err := b.spill(); err != nil {
		return err
	}
	b.free()
	if err := b.spilled.flush(); err != nil {
		return err
	}
	for part := range b.where.parts {
		if err := w.begin(); err != nil {
			return err
		}
		segs := make([]segment, len(b.runs))
		for i, run := range b.runs {
			segs[i] = run[part]
		}
		m, err := newMerger(cursorsOf(&b.spilled, segs, b.spec.memory()/3))
		if err != nil {
			return err
		}
		if err := combineInto(b.spec, m, w.add); err != nil {
			return err
		}
	}
	return w.end()
}

const minRead, maxRead = 4 << 10, 256 << 10

// cursorsOf returns cursors of segments that share the memory.
func cursorsOf(from *spool, segs []segment, memory int64) []*cursor {
	size := min(max(memory/int64(max(1, len(segs))), minRead), maxRead)
	cursors := make([]*cursor, 0, len(segs))
	for i, s := range segs {
		if s.size > 0 {
			cursors = append(cursors, &cursor{from: from, off: s.off, end: s.off + s.size, buf: make([]byte, 0, min(size, s.size)), index: i})
		}
	}
	return cursors
}

// combineInto gives what m goes through to add, with the values of a key combined if they
// can be.
func combineInto[K, V any](spec *Spec[K, V], m *merger, add func(key, value []byte) error) error {
	var key, value []byte
	for c := m.top(); c != nil; c = m.top() {
		if spec.Combine == nil {
			if err := add(c.key, c.value); err != nil {
				return err
			}
			if err := m.advance(); err != nil {
				return err
			}
			continue
		}
		key = append(key[:0], c.key...)
		sum, err := combined(spec, m, key)
		if err != nil {
			return err
		}
		if value, err = spec.Value.Append(value[:0], sum); err != nil {
			return fmt.Errorf("encode a value: %w", err)
		}
		if err := add(key, value); err != nil {
			return err
		}
	}
	return nil
}

// combined combines the values of the key at which m is, and goes behind them.
func combined[K, V any](spec *Spec[K, V], m *merger, key []byte) (sum V, err error) {
	prefix, first := prefixOf(key), true
	for c := m.top(); c != nil && compareKeys(c.prefix, prefix, c.key, key) == 0; c = m.top() {
		v, err := spec.Value.Decode(c.value)
		if err != nil {
			return sum, fmt.Errorf("decode a value: %w", err)
		}
		if first {
			sum, first = spec.Value.keep(v), false
		} else {
			sum = spec.Combine(sum, v)
		}
		if err := m.advance(); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// errEnough ends a map function of which a sample is taken.
var errEnough = errors.New("the sample is complete")
