package schedtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Stats is how much happened in a run.
type Stats struct {
	Events      int // that the scheduler's core took
	LocalEvents int // that the workers' cores took
	Workers     int // incarnations that joined the last scheduler
	Tasks       int // that it was given
	Faults      int
	Rounds      int // of the healed world until it came to rest, the longest time
	Seconds     int // attempts that were given beside live ones
}

func (w *World) stats() Stats {
	return Stats{w.events, w.localEvents, int(w.nextWorker), len(w.twin.tasks), w.faults, w.rounds, w.twin.seconds}
}

// Distribution are the Stats of many runs: for each of its columns, how many runs had
// which value.
type Distribution struct{ columns [7]map[int]int }

var statNames = [...]string{"events", "worker events", "workers", "tasks", "faults", "rounds to rest", "second attempts"}

// Add adds a run.
func (d *Distribution) Add(s Stats) {
	for k, v := range [...]int{s.Events, s.LocalEvents, s.Workers, s.Tasks, s.Faults, s.Rounds, s.Seconds} {
		if d.columns[k] == nil {
			d.columns[k] = map[int]int{}
		}
		d.columns[k][v]++
	}
}

// Merge adds the runs of another.
func (d *Distribution) Merge(o *Distribution) {
	for k, column := range o.columns {
		if d.columns[k] == nil {
			d.columns[k] = map[int]int{}
		}
		for v, n := range column {
			d.columns[k][v] += n
		}
	}
}

// Events returns the median of the events.
func (d *Distribution) Events() int { return at(d.columns[0], 50) }

// LeastFaults returns the fewest faults that a run had.
func (d *Distribution) LeastFaults() int { return at(d.columns[4], 0) }

// at returns the value that so many of a hundred runs do not exceed.
func at(column map[int]int, percent int) int {
	runs, last := 0, 0
	for _, n := range column {
		runs += n
	}
	rank := (runs - 1) * percent / 100
	for _, v := range slices.Sorted(maps.Keys(column)) {
		last = v
		if rank -= column[v]; rank < 0 {
			break
		}
	}
	return last
}

// String returns a table: least, median, 99th of a hundred, most.
func (d *Distribution) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "a schedule has %5s%8s%8s%8s", "min", "median", "p99", "max")
	for k, name := range statNames {
		c := d.columns[k]
		fmt.Fprintf(&b, "\n%-15s%5d%8d%8d%8d", name, at(c, 0), at(c, 50), at(c, 99), at(c, 100))
	}
	return b.String()
}
