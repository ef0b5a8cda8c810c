package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// marks are files in which each run of a task leaves a mark, on its node:
//
//	0      8      16
//	┌──────┬──────┐
//	│ task │ when │  little-endian; nanoseconds since 1970
//	└──────┴──────┘
//
// All nodes have the clock of one kernel.
type marks struct {
	file string        // its name where tasks run
	next atomic.Uint64 // the next task's number

	windows []window
}

// window is the time of a fault: from its beginning until all was whole again.
type window struct {
	kind     string
	from, to time.Time
}

const markSize = 16

// take reserves the numbers of n tasks and returns the first.
func (m *marks) take(n int) uint64 { return m.next.Add(uint64(n)) - uint64(n) }

// input is that of one leaf.
func (m *marks) input(index int) leafIn { return leafIn{m.file, m.take(1), index, 0} }

// window notes that a fault is over that began at a time.
func (m *marks) window(kind string, from time.Time) {
	m.windows = append(m.windows, window{kind, from, time.Now()})
}

// taskRun is one run of a task.
type taskRun struct {
	task  uint64
	at    int64
	again bool // it is not the task's first
}

// runs are those of all files, in order.
func (m *marks) runs(files [][]byte) (all []taskRun) {
	for _, text := range files {
		for ; len(text) >= markSize; text = text[markSize:] {
			all = append(all, taskRun{binary.LittleEndian.Uint64(text), int64(binary.LittleEndian.Uint64(text[8:])), false})
		}
	}
	slices.SortFunc(all, func(a, b taskRun) int { return cmp.Compare(a.at, b.at) })
	seen := make([]bool, m.next.Load())
	for i := range all {
		if id := all[i].task; id < uint64(len(seen)) {
			all[i].again, seen[id] = seen[id], true
		}
	}
	return all
}

// count counts runs, and which were not the first of their task, by what was done then. Work that was acknowledged
// and left no mark would make nonsense of both.
func (m *marks) count(ctx context.Context, p place, t *table) error {
	files, err := p.marks(ctx)
	if err != nil {
		return err
	}
	all := m.runs(files)
	if len(all) == 0 && t.Tasks > 0 {
		return errors.New("tasks were acknowledged and none of them left a mark")
	}
	for _, r := range all {
		t.Runs++
		if r.again {
			t.Again++
		}
	}
	for _, w := range m.windows {
		row, to := t.row(w.kind), w.to.UnixNano()
		from, _ := slices.BinarySearchFunc(all, w.from.UnixNano(), func(r taskRun, at int64) int { return cmp.Compare(r.at, at) })
		for _, r := range all[from:] {
			if r.at >= to {
				break
			}
			row.Runs++
			if r.again {
				row.Again++
			}
		}
	}
	return nil
}

// mark notes that a task runs, and lets it take its time.
func mark(in leafIn) error {
	f, err := os.OpenFile(in.Marks, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	text := binary.LittleEndian.AppendUint64(nil, in.ID)
	if _, err := f.Write(binary.LittleEndian.AppendUint64(text, uint64(time.Now().UnixNano()))); err != nil {
		return err
	}
	time.Sleep(time.Duration(in.Micros) * time.Microsecond)
	return nil
}
