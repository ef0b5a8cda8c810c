package sched

import (
	"cmp"
	"container/heap"
	"slices"
)

// lane is the ready queue of one job's tasks of the same terms. Lanes are served by priority; those of equal priority take
// turns, so that a small job is not stuck behind a large one. In a lane, tasks
// with inputs come before those without (finish what was begun), the youngest
// first; tasks without inputs come in the order of their indices.
//
// Queues are cleaned lazily: a task that stopped being Ready stays in its queue
// until it is met there, and one that is Ready again may be in two. An entry
// counts only if its task is Ready.
type lane struct {
	job *job
	terms

	ready  int    // tasks of the lane that are Ready and not suspects
	served uint64 // slots given so far: the lane's place among its equals
	listed bool   // in Core.lanes
	took   average

	deps   deque              // have inputs, may run anywhere as well
	near   nearby             // have inputs, most of them on one worker
	hosted map[uint32]*hosted // have no place but a host
	hosts  []uint32           // keys of hosted, in order of arrival
	roots  ranges             // have neither
}

// hosted is the queue of tasks whose input lies on one host. A task whose input
// lies on several is in the queue of each.
type hosted struct {
	deque
	since int64 // when the first of those in it came
}

// deque is a queue with two ends.
type deque struct {
	items []uint32
	head  int
}

func (d *deque) len() int { return len(d.items) - d.head }

func (d *deque) push(i uint32) { d.items = append(d.items, i) }

func (d *deque) popBack() uint32 {
	i := d.items[len(d.items)-1]
	d.items = d.items[:len(d.items)-1]
	d.rewind()
	return i
}

func (d *deque) popFront() uint32 {
	i := d.items[d.head]
	d.head++
	d.rewind()
	return i
}

func (d *deque) empty() {
	if d.head = 0; cap(d.items) > 1024 {
		d.items = nil
	}
	d.items = d.items[:0]
}

func (d *deque) rewind() {
	switch {
	case d.head == len(d.items):
		d.items, d.head = d.items[:0], 0
	case d.head >= 1024 && d.head > len(d.items)/2:
		d.items = slices.Delete(d.items, 0, d.head)
		d.head = 0
	}
}

// ranges is a set of indices that is popped from the smallest. Consecutive
// pushes of consecutive indices, as a submit makes them, cost next to nothing.
type ranges struct {
	heap rangeHeap
	tail indexRange // the one that pushes extend
}

type indexRange struct{ from, to uint32 }

func (r *ranges) push(i uint32) { r.pushRun(i, i+1) }

// pushRun pushes the indices from one up to another.
func (r *ranges) pushRun(from, to uint32) {
	if r.tail.from < r.tail.to && r.tail.to == from {
		r.tail.to = to
		return
	}
	if r.tail.from < r.tail.to {
		heap.Push(&r.heap, r.tail)
	}
	r.tail = indexRange{from, to}
}

// remove takes the indices from one up to another out.
func (r *ranges) remove(from, to uint32) {
	all := append(r.heap, r.tail)
	r.heap, r.tail = nil, indexRange{}
	for _, x := range all {
		for _, part := range []indexRange{{x.from, min(x.to, from)}, {max(x.from, to), x.to}} {
			if part.from < part.to {
				heap.Push(&r.heap, part)
			}
		}
	}
}

func (r *ranges) pop() (i uint32, ok bool) {
	first := &r.tail
	if len(r.heap) > 0 && (first.from == first.to || r.heap[0].from < first.from) {
		first = &r.heap[0]
	}
	if first.from == first.to {
		return 0, false
	}
	i = first.from
	first.from++
	if first != &r.tail {
		// A range that overlaps (an index pushed twice) may come first now.
		if first.from < first.to {
			heap.Fix(&r.heap, 0)
		} else {
			heap.Pop(&r.heap)
		}
	}
	return i, true
}

type rangeHeap []indexRange

func (h rangeHeap) Len() int           { return len(h) }
func (h rangeHeap) Less(a, b int) bool { return h[a].from < h[b].from }
func (h rangeHeap) Swap(a, b int)      { h[a], h[b] = h[b], h[a] }
func (h *rangeHeap) Push(v any)        { *h = append(*h, v.(indexRange)) }
func (h *rangeHeap) Pop() any {
	v := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return v
}

// becomeReady puts a Waiting task whose inputs all have results into a queue.
func (c *Core) becomeReady(j *job, i uint32) {
	c.apply(j, i, moveReady)
	t := j.task(i)
	if t.flags&flagSuspect != 0 {
		c.suspects = append(c.suspects, j.name(i))
		return
	}
	l := j.classOf(t).lane
	l.ready++
	c.ready++
	c.list(l)
	c.enqueue(l, i)
}

// leftReady is called when a task stops being Ready.
func (c *Core) leftReady(j *job, t *task) {
	if t.flags&flagSuspect == 0 {
		j.classOf(t).lane.ready--
		c.ready--
	}
}

// list puts a lane among those that are served, ahead of its equals that had
// more but not ahead of what they were served already: time spent empty is no
// credit.
func (c *Core) list(l *lane) {
	if l.listed {
		return
	}
	l.listed = true
	at, _ := slices.BinarySearchFunc(c.lanes, l.priority, func(m *lane, p int32) int { return cmp.Compare(p, m.priority) })
	if at < len(c.lanes) && c.lanes[at].priority == l.priority {
		l.served = max(l.served, c.lanes[at].served)
	}
	for at < len(c.lanes) && c.lanes[at].priority == l.priority && c.lanes[at].served <= l.served {
		at++
	}
	c.lanes = slices.Insert(c.lanes, at, l)
}

// sweepLanes takes empty lanes off the list, and what is left in their queues.
func (c *Core) sweepLanes() {
	c.lanes = slices.DeleteFunc(c.lanes, func(l *lane) bool {
		if l.ready > 0 {
			return false
		}
		l.empty()
		return true
	})
}

// empty drops what is left in the queues. It keeps small ones for next time.
func (l *lane) empty() {
	l.listed = false
	l.deps.empty()
	l.near.clear()
	clear(l.hosted)
	l.hosts = l.hosts[:0]
	l.roots.tail = indexRange{}
	l.roots.heap = l.roots.heap[:0]
}

// hadTurn moves the n-th lane of the list behind its equals that were not served
// more.
func (c *Core) hadTurn(n int) {
	l := c.lanes[n]
	l.served += uint64(l.slots)
	for ; n+1 < len(c.lanes); n++ {
		next := c.lanes[n+1]
		if next.priority != l.priority || next.served > l.served {
			return
		}
		c.lanes[n], c.lanes[n+1] = next, l
	}
}

// isReady reports whether a queue's entry counts.
func (l *lane) isReady(i uint32) bool {
	if !l.job.tasks.has(i) {
		return false
	}
	t := l.job.task(i)
	return t.state == StateReady && t.flags&flagSuspect == 0
}

func (l *lane) youngest(d *deque) (uint32, bool) {
	for d != nil && d.len() > 0 {
		if i := d.popBack(); l.isReady(i) {
			return i, true
		}
	}
	return 0, false
}

func (l *lane) oldest(d *deque) (uint32, bool) {
	for d != nil && d.len() > 0 {
		if i := d.popFront(); l.isReady(i) {
			return i, true
		}
	}
	return 0, false
}

func (l *lane) firstRoot() (uint32, bool) {
	for {
		i, ok := l.roots.pop()
		if ok && l.job.tasks.has(i) && !l.job.tasks.made(i) {
			l.job.makeRow(i)
		}
		if !ok || l.isReady(i) {
			return i, ok
		}
	}
}

// pushNear queues i for w before the others.
func (l *lane) pushNear(w *worker, i uint32) {
	l.near.make(w.id).push(i)
}

func (c *Core) pushHosted(l *lane, host uint32, i uint32) {
	if l.hosted == nil {
		l.hosted = map[uint32]*hosted{}
	}
	q := l.hosted[host]
	if q == nil {
		q = &hosted{}
		l.hosted[host] = q
		l.hosts = append(l.hosts, host)
	}
	if q.len() == 0 {
		q.since = c.now
	}
	q.push(i)
}

// scatter puts what waits for w into other queues.
func (c *Core) scatter(w *worker) {
	for _, l := range c.lanes {
		d := l.near.take(w.id)
		for i, ok := l.oldest(d); ok; i, ok = l.oldest(d) {
			c.enqueue(l, i)
		}
	}
}

// unmanned notes that the last worker on a host is leaving: after the locality
// wait its tasks are anybody's.
func (c *Core) unmanned(host uint32) {
	for _, l := range c.lanes {
		if q := l.hosted[host]; q != nil {
			q.since = c.now
		}
	}
}

// unpop puts back what popFront gave.
func (d *deque) unpop(i uint32) {
	if d.head == 0 {
		d.items = slices.Insert(d.items, 0, i)
		return
	}
	d.head--
	d.items[d.head] = i
}
