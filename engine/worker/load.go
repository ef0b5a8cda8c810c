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

// sendLoad tells the scheduler how this worker is.
func (w *worker) sendLoad() {
	if w.conn == nil {
		return
	}
	running, queued := w.core.Counts()
	results, usage := w.store.Stats(), w.exec.Usage()
	w.push(wire.KindLoad, &wire.Load{
		MemoryUsed: results.Memory, Rss: usage.RSS,
		Running: uint32(running), Queued: uint32(queued), Done: w.done,
		Cpu: w.load.cpu(usage.CPU, time.Now()),
	})
}
