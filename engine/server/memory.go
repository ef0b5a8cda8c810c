package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// Shares of the memory that the scheduler may take.
const (
	// limitShare is where the garbage collector begins to work as hard as it must.
	limitShare = 0.90
	// fullShare is where no more tasks are taken. What is on the heap may be a fifth more
	// than what is of use.
	fullShare = 0.80
	// litter times what the last collection left is more than lies about between two that are tight.
	litter = 1.5
	// sweepPause is how long a scheduler that is full goes on without looking whether it still is.
	sweepPause = 5 * time.Second
	// A heap below smallHeap may grow by collectorLoose percent between collections, a
	// larger one by collectorTight: the scheduler's state has hardly a pointer in it, so
	// that a collection costs little however large that is, and what lies about
	// uncollected would cost a gigabyte in two.
	smallHeap      = 64 << 20
	collectorLoose = 200
	collectorTight = 20
)

// tune sets the garbage collector of a process that is the scheduler and nothing else.
func (l *loop) tune() {
	if !l.opts.Alone {
		return
	}
	if l.opts.Memory > 0 && l.percent == 0 {
		debug.SetMemoryLimit(int64(float64(l.opts.Memory) * limitShare))
	}
	percent := collectorTight
	if l.heap < smallHeap {
		percent = collectorLoose
	}
	if percent != l.percent {
		l.percent = percent
		debug.SetGCPercent(percent)
	}
}

// heapGauge reads how many bytes are on the heap, and how many of them the last collection found to be in use.
type heapGauge struct{ sample [2]metrics.Sample }

func (g *heapGauge) read() (all, used uint64) {
	g.sample[0].Name, g.sample[1].Name = "/memory/classes/heap/objects:bytes", "/gc/heap/live:bytes"
	metrics.Read(g.sample[:])
	return g.sample[0].Value.Uint64(), g.sample[1].Value.Uint64()
}

// weigh looks how much memory is taken. A scheduler that has just read a large journal has left behind more than it
// keeps: that is collected before anybody is told that there is no room. So is, once somebody was told, what was
// released since: the collector itself waits for a fifth more.
func (l *loop) weigh() {
	if l.opts.Memory == 0 && !l.opts.Alone {
		return
	}
	var used uint64
	l.heap, used = l.gauge.read()
	if l.opts.Memory > 0 && l.heap >= l.full() && (float64(l.heap) > litter*float64(used) || l.refused && time.Since(l.swept) > sweepPause) {
		runtime.GC()
		l.swept, l.refused = time.Now(), false
		l.heap, _ = l.gauge.read()
	}
	l.tune()
}

// full is the size of the heap from which on no more tasks are taken.
func (l *loop) full() uint64 { return uint64(float64(l.opts.Memory) * fullShare) }

// mayTouch reports why tasks cannot be cancelled or released one by one: of those of a
// range rows would have to be made.
func (l *loop) mayTouch(tasks []graph.TaskID) error {
	if rows := l.core.Unmade(tasks); rows > 0 {
		return l.mayTake(rows)
	}
	return nil
}

// rowBytes is what a task takes here and in the core, about, whose row was not made.
const rowBytes = 48 + 32

// mayTake reports why no more tasks can be taken, by the heap's size at the last tick and
// the rows that are to be made besides.
func (l *loop) mayTake(rows int) error {
	if err := l.mayRecord(); err != nil {
		return err
	}
	if l.opts.Memory == 0 || l.heap+uint64(rows)*rowBytes < l.full() {
		return nil
	}
	l.refused = true
	return wire.Errorf(wire.TooLarge, "the scheduler holds %d MiB of tasks and results, of %d MiB that it may take: release what is not needed any more, "+
		"submit fewer tasks at a time, or start the application with a larger --scheduler-memory", l.heap>>20, l.opts.Memory>>20)
}
