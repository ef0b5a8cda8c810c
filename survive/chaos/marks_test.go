package main

import (
	"context"
	"encoding/binary"
	"testing"
	"time"
)

// files are places where tasks left marks.
type files struct {
	place
	all [][]byte
}

func (f files) marks(context.Context) ([][]byte, error) { return f.all, nil }

func marked(runs ...uint64) (b []byte) {
	for _, v := range runs {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// Which run of a task is not its first is known over all nodes, by the time, and put down to what was done then.
func TestMarks(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(0, n) }
	m := marks{windows: []window{{kinds[0].name, at(15), at(25)}, {kinds[1].name, at(25), at(99)}}}
	m.take(3)
	f := files{all: [][]byte{
		marked(0, 10, 1, 20, 2, 40), // the first node: task, time
		marked(0, 22, 2, 30),        // the second one: task 0 once more, and task 2 before the first one had it
	}}
	f.all[1] = append(f.all[1], 7) // a mark that was being written
	table := newTable()
	if err := m.count(t.Context(), f, table); err != nil {
		t.Fatal(err)
	}
	if table.Runs != 5 || table.Again != 2 {
		t.Errorf("%d runs, %d of them not the first; want 5, 2", table.Runs, table.Again)
	}
	for i, want := range [][2]int64{{2, 1}, {2, 1}} {
		if r := table.row(kinds[i].name); r.Runs != want[0] || r.Again != want[1] {
			t.Errorf("%s: %d runs, %d of them not the first; want %v", kinds[i].name, r.Runs, r.Again, want)
		}
	}
	table.Tasks = 1
	if err := m.count(t.Context(), files{}, table); err == nil {
		t.Error("marks that got lost are no error")
	}
}
