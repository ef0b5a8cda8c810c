package main

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"time"
)

// marks is a file in which each run of a task leaves the task's number, in 8 bytes, little-endian.
type marks struct {
	file *os.File
	next atomic.Uint64 // the next task's number

	windows []window
}

// window is the time of a fault, as a part of the file: from its beginning until all was whole again.
type window struct {
	kind     string
	from, to int64 // marks
}

const markSize = 8

func newMarks(name string) (*marks, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	return &marks{file: f}, err
}

func (m *marks) close() { m.file.Close() }

// take reserves the numbers of n tasks and returns the first.
func (m *marks) take(n int) uint64 { return m.next.Add(uint64(n)) - uint64(n) }

// input is that of one leaf.
func (m *marks) input(index int) leafIn { return leafIn{m.file.Name(), m.take(1), index, 0} }

// at is how many runs there have been.
func (m *marks) at() int64 {
	info, err := m.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size() / markSize
}

// window notes that a fault is over that began at a mark.
func (m *marks) window(kind string, from int64) {
	m.windows = append(m.windows, window{kind, from, m.at()})
}

// count counts runs, and which were not the first of their task, by what was done then.
func (m *marks) count(t *table) error {
	text, err := os.ReadFile(m.file.Name())
	if err != nil {
		return err
	}
	seen, again := make([]bool, m.next.Load()), make([]bool, len(text)/markSize)
	for i := range again {
		id := binary.LittleEndian.Uint64(text[i*markSize:])
		t.Runs++
		if id < uint64(len(seen)) {
			again[i], seen[id] = seen[id], true
		}
		if again[i] {
			t.Again++
		}
	}
	for _, w := range m.windows {
		r := t.row(w.kind)
		for i := w.from; i < min(w.to, int64(len(again))); i++ {
			r.Runs++
			if again[i] {
				r.Again++
			}
		}
	}
	return nil
}

// mark notes that a task runs, and lets it take its time.
func mark(in leafIn) error {
	f, err := os.OpenFile(in.Marks, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(binary.LittleEndian.AppendUint64(nil, in.ID)); err != nil {
		return err
	}
	time.Sleep(time.Duration(in.Micros) * time.Microsecond)
	return nil
}
