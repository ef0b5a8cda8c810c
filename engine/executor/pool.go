package executor

import (
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// pool is what an executor runs and will run, under child.mu:
//
//	Runs ──► queue ──► running, at most limit slots at once ──► reported
//	           │
//	           └──► recalled, stopped: they never begin
//
// Calls begin in the order in which they came; one that needs several slots is not
// overtaken. A goroutine that has ended a call begins the next one itself, so that a
// stream of small calls costs no switch between goroutines.
type pool struct {
	limit   int // slots that may be taken
	used    int // slots that are
	queue   callQueue
	running []*run      // by slot; nil: free
	idle    []chan *run // goroutines that wait for a call
	closed  bool
}

// slots returns how many slots a call takes.
func (k *run) slots() int { return max(1, int(k.class.slots)) }

// pop takes the next call, if its turn has come, and gives it a slot.
func (p *pool) pop() *run {
	k := p.queue.first()
	if k == nil || p.closed || p.used > 0 && p.used+k.slots() > p.limit {
		return nil
	}
	p.queue.pop()
	p.used += k.slots()
	if k.slot = slices.Index(p.running, nil); k.slot < 0 {
		k.slot = len(p.running)
		p.running = append(p.running, nil)
	}
	p.running[k.slot] = k
	return k
}

// close lets the goroutines that wait go, and forgets what has not begun.
func (p *pool) close() {
	p.closed = true
	p.queue = callQueue{}
	for _, wake := range p.idle {
		close(wake)
	}
	p.idle = nil
}

// dispatch begins what can begin. Called with c.mu.
func (c *child) dispatch() {
	for k := c.pool.pop(); k != nil; k = c.pool.pop() {
		if n := len(c.pool.idle) - 1; n >= 0 {
			c.pool.idle[n] <- k
			c.pool.idle = c.pool.idle[:n]
		} else {
			c.wg.Go(func() { c.work(k, false) })
		}
	}
}

// work runs one call after the other; the first one may have run.
func (c *child) work(k *run, ran bool) {
	wake := make(chan *run, 1)
	defer func() {
		if k != nil { // the function ended its goroutine
			c.release(k)
		}
	}()
	for start := clock(); k != nil; {
		if !ran {
			c.run(k, start)
		}
		ran = false
		start = k.ended // the next begins at once
		if k = c.following(k, wake); k == nil {
			k = <-wake
			start = clock()
		}
	}
}

// following ends a call and begins the next. When there is none, the goroutine will be
// woken, and what was reported so far is written first.
func (c *child) following(k *run, wake chan *run) *run {
	c.mu.Lock()
	c.pool.leave(k)
	next := c.pool.pop()
	c.dispatch() // it may have had several slots
	left := c.pool.queue.len()
	if next == nil && !c.pool.closed {
		c.pool.idle = append(c.pool.idle, wake)
	} else if next == nil {
		close(wake)
	}
	c.mu.Unlock()
	switch {
	case next == nil:
		c.out.flush()
	case next.class.kind == graph.KindCommand:
		c.out.hold(k.ended, left)
	default:
		c.out.later(k.ended)
	}
	return next
}

// release ends a call whose goroutine ends.
func (c *child) release(k *run) {
	c.mu.Lock()
	c.pool.leave(k)
	c.dispatch()
	c.mu.Unlock()
	c.out.flush()
}

func (p *pool) leave(k *run) {
	p.running[k.slot] = nil
	if !k.parked {
		p.used -= k.slots()
	}
}

// flushEvery is how long reports may wait for more of their sort while calls follow
// one another. Nothing is ever held back when there is nothing to do.
const flushEvery = 50 * time.Microsecond

// callQueue is a queue of calls.
type callQueue struct {
	calls []*run
	head  int
}

func (q *callQueue) push(k *run) { q.calls = append(q.calls, k) }

func (q *callQueue) len() int { return len(q.calls) - q.head }

func (q *callQueue) first() *run {
	if q.head == len(q.calls) {
		return nil
	}
	return q.calls[q.head]
}

func (q *callQueue) pop() {
	q.calls[q.head] = nil
	if q.head++; q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
	} else if q.head > 1024 && q.head > len(q.calls)/2 {
		n := copy(q.calls, q.calls[q.head:])
		clear(q.calls[n:])
		q.calls, q.head = q.calls[:n], 0
	}
}

// remove takes out the calls that f chooses.
func (q *callQueue) remove(f func(*run) bool) (removed []*run) {
	for _, k := range q.calls[q.head:] {
		if f(k) {
			removed = append(removed, k)
		}
	}
	if len(removed) > 0 {
		q.calls = slices.DeleteFunc(q.calls[q.head:], f)
		q.head = 0
	}
	return removed
}
