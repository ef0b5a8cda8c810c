package adapt

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// demand is what a pool's tasks ask for, in workers and seconds.
type demand struct {
	tasks, waiting, unknown int
	work                    float64 // seconds of one worker
	path                    time.Duration
	wide, unknownWide       float64 // workers that could have something to do
	loads                   []load
}

// load is tasks of one kind that can run.
type load struct {
	tasks int
	per   float64 // that one worker runs at once
	took  float64 // seconds
}

// demands are those of v's pools.
func (c *Core) demands(v View) []*demand {
	out := make([]*demand, len(v.Pools))
	for i := range out {
		out[i] = &demand{}
	}
	for i := range v.Work {
		w := &v.Work[i]
		at, per := plainest(w, v.Pools)
		if at < 0 {
			continue // no pool can run it: the scheduler tells why it waits
		}
		delay := c.cfg.Delay
		if m := c.pools[v.Pools[at].Name]; m != nil {
			delay = m.delay(delay)
		}
		out[at].add(w, per, delay, c.atLeast(v.Now, w))
	}
	return out
}

// atLeast is how long tasks of w take: as long as those that have ended, or as those that
// run have run by now if none of them has ended for longer than that.
func (c *Core) atLeast(now time.Duration, w *graph.Demand) time.Duration {
	if t, ok := c.trying[classOf(w)]; ok {
		return max(w.Took, now-t.since)
	}
	return w.Took
}

func (d *demand) add(w *graph.Demand, per float64, delay, took time.Duration) {
	runnable := w.Ready + w.Given
	d.tasks += runnable
	d.waiting += w.Waiting
	wide := runnable
	if w.SoonIn > 0 && w.SoonIn <= delay {
		wide += min(w.Soon, w.Waiting)
	}
	d.wide += float64(wide) / per
	if w.Took == 0 {
		d.unknown += runnable
		d.unknownWide += float64(runnable) / per
	}
	d.work += float64(runnable+w.Waiting) * took.Seconds() / per
	if wide > 0 {
		d.path = max(d.path, w.Path, took)
		d.loads = append(d.loads, load{tasks: wide, per: per, took: took.Seconds()})
	}
}

func (d *demand) width() int        { return int(math.Ceil(d.wide - 1e-9)) }
func (d *demand) unknownWidth() int { return int(math.Ceil(d.unknownWide - 1e-9)) }

// finish is when n workers would be done, in seconds; infinite with none.
func (d *demand) finish(n int) float64 {
	if d.work == 0 {
		return 0
	}
	if n <= 0 {
		return math.Inf(1)
	}
	t := d.work / float64(n)
	for _, l := range d.loads {
		t = max(t, math.Ceil(float64(l.tasks)/(float64(n)*l.per)-1e-9)*l.took)
	}
	return t
}

// enough is the smallest number of workers that are done within goal seconds, and never
// more than the width.
func (d *demand) enough(goal float64) int {
	if d.tasks == 0 && d.wide == 0 {
		return 0
	}
	lo, hi := 1, max(1, d.width())
	for lo < hi {
		if mid := (lo + hi) / 2; d.finish(mid) <= goal {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// missed reports whether n workers miss a goal by more than the band. Where nothing is
// known they always do.
func (d *demand) missed(n int, goal, band float64) bool {
	return d.unknown > 0 || d.finish(n) > goal*(1+band)
}

// plainest is the pool that can run w and has the least that w does not ask for, of those
// that may have workers; per is how many tasks one worker runs at once. -1: there is none.
func plainest(w *graph.Demand, pools []Pool) (at int, per float64) {
	at = -1
	for i := range pools {
		n := perWorker(w, &pools[i])
		if n == 0 {
			continue
		}
		if at < 0 || comparePlain(&pools[i], &pools[at], w) < 0 {
			at, per = i, n
		}
	}
	return at, per
}

func comparePlain(a, b *Pool, w *graph.Demand) int {
	closed := func(p *Pool) int {
		if p.Max > 0 {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(closed(a), closed(b)),
		cmp.Compare(beside(a.Named, w.Named), beside(b.Named, w.Named)),
		cmp.Compare(roomOf(a), roomOf(b)), cmp.Compare(a.Slots, b.Slots),
	)
}

// roomOf puts any amount of memory behind all others.
func roomOf(p *Pool) uint64 { return p.TaskMemory - 1 }

// beside counts the resources of has that are not asked for.
func beside(has, asked graph.Amounts) (n int) {
	for _, x := range has {
		if amount(asked, x.Name) == 0 {
			n++
		}
	}
	return n
}

func amount(a graph.Amounts, name string) uint64 {
	if i := slices.IndexFunc(a, func(x graph.Amount) bool { return x.Name == name }); i >= 0 {
		return a[i].Count
	}
	return 0
}

// perWorker is how many tasks of w a worker of p runs at once; 0: none.
func perWorker(w *graph.Demand, p *Pool) float64 {
	if w.Pool != "" && w.Pool != p.Name {
		return 0
	}
	n := p.Slots / max(1, w.Slots)
	if w.Memory > 0 && p.TaskMemory > 0 {
		n = min(n, int(min(p.TaskMemory/w.Memory, 1<<30)))
	}
	for _, x := range w.Named {
		if x.Count > 0 {
			n = min(n, int(min(amount(p.Named, x.Name)/x.Count, 1<<30)))
		}
	}
	return float64(n)
}

// Fits reports whether a worker of p can run tasks of w.
func Fits(w *graph.Demand, p *Pool) bool { return perWorker(w, p) > 0 }

// seconds is a duration, for ever as the longest.
func seconds(s float64) time.Duration {
	if s >= math.MaxInt64/1e9 {
		return 0
	}
	return time.Duration(s * 1e9)
}
