package sched

import "github.com/yarnd/yarnd/engine/graph"

// enqueue chooses the queue of a Ready task: by the hosts of its input, by the
// workers that hold its inputs, or none of them.
func (c *Core) enqueue(l *lane, i uint32) {
	j := l.job
	if hosts := j.hosts[i]; hosts != nil {
		for _, h := range hosts {
			c.pushHosted(l, h, i)
		}
		return
	}
	from, to := j.edgesOf(i)
	switch {
	case from == to:
		l.roots.push(i)
	default:
		if w := c.nearest(l, i); w != nil {
			l.pushNear(w, i)
			return
		}
		l.deps.push(i)
	}
}

// fetchMicros is what a fetch costs besides its bytes.
const fetchMicros = 1000

// maxCandidates bounds the holders that are compared for a task.
const maxCandidates = 8

type candidate struct {
	w     *worker
	bytes uint64 // of the inputs that it holds
}

// nearest returns the holder of inputs on which i is expected to end first:
// waiting for its turn there plus fetching what is not there. nil means that an
// idle worker, which holds nothing, would be as good.
func (c *Core) nearest(l *lane, i uint32) *worker {
	j := l.job
	var found [maxCandidates]candidate
	n, total := 0, uint64(0)
	for e, to := j.edgesOf(i); e < to; e++ {
		jd, d := c.dep(j, i, e)
		td := jd.task(d)
		if td.flags&flagInline != 0 {
			continue
		}
		total += td.size
		for h := range jd.holdersOf(d) {
			n = c.addCandidate(&found, n, l, h, td.size)
		}
	}
	if n == 0 {
		return nil
	}
	var best *worker
	least := int64(1) << 62
	if c.free >= c.ready {
		least = c.fetchTime(total)
	}
	for k := range n {
		w := found[k].w
		cost := c.waitOn(w, l)
		if missing := total - found[k].bytes; missing > 0 {
			cost += c.fetchTime(missing)
		}
		if cost < least {
			best, least = w, cost
		}
	}
	return best
}

func (c *Core) addCandidate(found *[maxCandidates]candidate, n int, l *lane, h graph.WorkerID, size uint64) int {
	for k := range n {
		if found[k].w.id == h {
			found[k].bytes += size
			return n
		}
	}
	if w := c.workers[h]; n < len(found) && w.open() && w.fits(l) {
		found[n] = candidate{w, size}
		n++
	}
	return n
}

func (c *Core) fetchTime(bytes uint64) int64 {
	return fetchMicros + int64(bytes/(c.cfg.Bandwidth/1000+1))
}

// waitOn estimates, in microseconds, when w would start one more task of l.
func (c *Core) waitOn(w *worker, l *lane) int64 {
	queued, load := w.queued, w.load
	if d := l.near.of(w.id); d != nil {
		queued += d.len() * l.slots
		load += int64(d.len()) * l.estimate()
	}
	if queued+l.slots <= w.slots {
		return 0
	}
	return load / int64(w.slots)
}

// estimate is what a task of the lane takes, in microseconds.
func (l *lane) estimate() int64 {
	if l.took.known {
		return l.took.micros()
	}
	return tooks[unknownTook]
}
