package client

import (
	"context"
	"fmt"
	"sort"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// Range is what SubmitRange adds to a job: N tasks that depend on nothing and differ in
// one number.
type Range struct {
	Class Class
	// Payload is what the payload of each begins with, copied. Base is the number behind it
	// for the first task; the next have the next ones.
	Payload []byte
	Base    int64
	N       uint32
	Loose   bool // as in Task
	// Sink, if not nil, is told of each task that has an outcome: how manieth it is.
	Sink RangeSink
}

// rangeCost is what a range counts in bytes, beside its payload.
const rangeCost = 64

// SubmitRange adds a range and returns the index of its first task. It costs no more than
// a task, here and on the way: what belongs to a task is made when something is known of
// it. All are held until they are released.
func (j *Job) SubmitRange(ctx context.Context, r *Range) (uint32, error) {
	cost := rangeCost + len(r.Payload)
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.err == nil && j.bytes+j.flying > 0 && j.bytes+j.flying+cost > j.c.opts.InFlight {
		if err := j.waitRoom(ctx); err != nil {
			return 0, err
		}
	}
	if j.err != nil {
		return 0, j.err
	}
	m := &graph.Range{
		Run:   graph.Run{Job: j.id, First: j.next, N: r.N},
		Class: r.Class.id, Payload: append([]byte(nil), r.Payload...), Base: r.Base,
	}
	if err := m.Check(int(j.nextClass)); err != nil {
		return 0, err
	}
	if len(r.Payload) > wire.MaxRangePayload {
		return 0, fmt.Errorf("inputs that begin with the same %d bytes: the limit is %d", len(r.Payload), wire.MaxRangePayload)
	}
	j.flush(true) // they come before
	j.watch()
	j.next += r.N
	j.building.First = j.next
	if r.Loose {
		j.looseRuns = append(j.looseRuns, m.Run)
	}
	j.holdRange(m.Run, r.Sink)
	j.sendRange(m, cost)
	return m.First, nil
}

// sendRange sends a range. Called with j.mu.
func (j *Job) sendRange(m *graph.Range, cost int) {
	if !j.sendClasses() {
		return // see flush
	}
	j.flying += cost
	j.frames++
	_ = j.c.start(&call{ // see flush
		job:  j,
		req:  &wire.Request{Body: &wire.Request_SubmitRange{SubmitRange: wire.RangeToWire(m)}},
		done: func(_ *wire.Reply, err error) { j.submitted(m.Run, cost, err) },
	})
}

// heldRange is a range of tasks that are held. Of most there is no page: one is made when
// something is known of a task on it, or somebody asks for more than whether that is so.
type heldRange struct {
	graph.Run
	sink  RangeSink
	paged []uint64 // by page, from that of First on: there was one
}

func (r *heldRange) bit(at uint32) (word *uint64, mask uint64) {
	k := at - r.First/pageSize
	return &r.paged[k/64], 1 << (k % 64)
}

// holdRange holds tasks that were added.
func (t *table) holdRange(r graph.Run, sink RangeSink) {
	first := r.First / pageSize
	pages := (r.End()-1)/pageSize - first + 1
	t.ranges = append(t.ranges, &heldRange{Run: r, sink: sink, paged: make([]uint64, (pages+63)/64)})
	if t.pages[first] != nil { // of tasks before
		t.unfold(first)
	}
}

// rangesOn returns the ranges of which tasks belong on a page.
func (t *table) rangesOn(at uint32) []*heldRange {
	n := sort.Search(len(t.ranges), func(n int) bool { return uint64(t.ranges[n].End()) > uint64(at)*pageSize })
	to := n
	for to < len(t.ranges) && t.ranges[to].First/pageSize <= at {
		to++
	}
	return t.ranges[n:to]
}

// on returns the range's tasks on a page, from i up to end, counted from the page's first.
func (r *heldRange) on(at uint32) (i, end uint32) {
	first := uint64(at) * pageSize
	return uint32(max(uint64(r.First), first) - first), uint32(min(uint64(r.End())-first, pageSize))
}

// unfold puts the tasks of ranges that belong on a page there, the first time. It returns
// the page, nil if there is none.
func (t *table) unfold(at uint32) *page {
	p := t.pages[at]
	for _, r := range t.rangesOn(at) {
		word, mask := r.bit(at)
		if *word&mask != 0 {
			continue
		}
		*word |= mask
		if p == nil {
			p = t.newPage(at)
		}
		for i, end := r.on(at); i < end; i++ {
			c := cell{p, uint8(i)}
			p.state[i] = pending
			p.live++
			switch {
			case t.failed != nil: // its sink was told
				c.put(t.failed)
			case r.sink != nil:
				c.tell(told{r.sink, at*pageSize + i - r.First})
			}
		}
	}
	return p
}

// bare returns the range of a task that is held and pending, and of which there is no page.
func (t *table) bare(index uint32) *heldRange {
	at := index / pageSize
	if len(t.ranges) == 0 || t.failed != nil || t.pages[at] != nil {
		return nil
	}
	for _, r := range t.rangesOn(at) {
		if word, mask := r.bit(at); index >= r.First && index < r.End() && *word&mask == 0 {
			return r
		}
	}
	return nil
}

// failBare is failCells for tasks without a page.
func (t *table) failBare(out *Outcome, to *news) {
	t.failed = out
	for _, r := range t.ranges {
		if r.sink == nil {
			continue
		}
		for at := r.First / pageSize; at <= (r.End()-1)/pageSize; at++ {
			if word, mask := r.bit(at); *word&mask != 0 {
				continue
			}
			i, end := r.on(at)
			to.addRun(r.sink, at*pageSize+i-r.First, end-i)
		}
	}
}

// releaseBare lets go of what a range has on the page of index, if all that is in the run
// that begins there and ends at end, without making the page. It returns where the run
// goes on, index if nothing was done.
func (t *table) releaseBare(index, end uint32, to *news) uint32 {
	r := t.bare(index)
	if r == nil {
		return index
	}
	at := index / pageSize
	i, n := r.on(at)
	if last := uint64(at)*pageSize + uint64(n); index != at*pageSize+i || last > uint64(end) {
		return index
	}
	word, mask := r.bit(at)
	*word |= mask
	if r.sink != nil {
		to.addRun(r.sink, index-r.First, n-i)
	}
	return index + n - i
}
