package worker

import (
	"time"

	"github.com/yarnd/yarnd/engine/wire"
)

// loadMeter turns counts of clock ticks into a share of a core.
type loadMeter struct {
	ticks uint64
	at    time.Time
}

const ticksPerSecond = 100 // USER_HZ, the same on every Linux that Go runs on

// cpu returns the cores that were busy since the last call.
func (l *loadMeter) cpu(ticks uint64, now time.Time) float64 {
	last := *l
	*l = loadMeter{ticks, now}
	// Processes that ended take their ticks along if nobody waited for them.
	if last.at.IsZero() || ticks < last.ticks || !now.After(last.at) {
		return 0
	}
	return float64(ticks-last.ticks) / ticksPerSecond / now.Sub(last.at).Seconds()
}

// loadRest times LoadEvery is between reports while a worker has nothing to do. By default
// it is a little less than what a connection that says nothing else has between its pings.
const loadRest = 7

// loadPace is how often the load is told.
type loadPace struct {
	timer *time.Ticker
	every time.Duration // of timer
	told  *wire.Load    // the last one
	still bool          // the last two tell of no change, and of no task
}

// newPace returns one of a worker that has something to do.
func newPace(every time.Duration) loadPace {
	return loadPace{timer: time.NewTicker(every), every: every, told: &wire.Load{}}
}

// paceLoad has the load told often while the worker has something to do.
func (w *worker) paceLoad() {
	p, every := &w.pace, w.opts.LoadEvery
	if p.still && w.core.Idle() {
		every *= loadRest
	}
	if every != p.every {
		p.every, p.still = every, p.still && w.core.Idle()
		p.timer.Reset(every)
	}
}

// sendLoad tells the scheduler how this worker is.
func (w *worker) sendLoad() {
	running, queued := w.core.Counts()
	results, usage := w.store.Stats(), w.exec.Usage()
	load := &wire.Load{
		MemoryUsed: results.Memory, Rss: usage.RSS,
		Running: uint32(running), Queued: uint32(queued), Done: w.done,
		Cpu: w.load.cpu(usage.CPU, time.Now()),
	}
	last := w.pace.told
	w.pace.told = load
	w.pace.still = running+queued == 0 && last.Done == load.Done && last.MemoryUsed == load.MemoryUsed
	if w.conn != nil {
		w.push(wire.KindLoad, load)
	}
}
