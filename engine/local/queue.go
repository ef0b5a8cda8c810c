package local

import (
	"cmp"
	"slices"
)

// fifo is a queue of attempts.
type fifo struct {
	as   []*attempt // what was taken out in front is nil
	head int
}

func (q *fifo) len() int { return len(q.as) - q.head }

// items are the attempts in order, valid until the queue changes.
func (q *fifo) items() []*attempt { return q.as[q.head:] }

func (q *fifo) front() *attempt { return q.as[q.head] }

func (q *fifo) push(a *attempt) {
	if len(q.as) == cap(q.as) && q.head > len(q.as)/2 {
		n := copy(q.as, q.items())
		clear(q.as[n:])
		q.as, q.head = q.as[:n], 0
	}
	q.as = append(q.as, a)
}

func (q *fifo) pop() *attempt {
	a := q.as[q.head]
	q.as[q.head] = nil
	if q.head++; q.head == len(q.as) {
		q.as, q.head = q.as[:0], 0
	}
	return a
}

// removeAt takes out item i.
func (q *fifo) removeAt(i int) {
	if i == 0 {
		q.pop()
		return
	}
	q.as = slices.Delete(q.as, q.head+i, q.head+i+1)
}

// remove takes a out, which is there.
func (q *fifo) remove(a *attempt) { q.removeAt(slices.Index(q.items(), a)) }

// readyQueue holds attempts: higher priority first, then older ones.
type readyQueue struct {
	lanes []*lane // by priority, highest first; some may be empty
	last  *lane   // the one asked for last
	count int
}

// lane is the attempts of one priority, oldest first.
type lane struct {
	priority int32
	fifo
}

// lane returns that of a's priority.
func (q *readyQueue) lane(a *attempt) *lane {
	p := a.Class.Priority
	if q.last != nil && q.last.priority == p {
		return q.last
	}
	find := func() (int, bool) {
		return slices.BinarySearchFunc(q.lanes, p, func(l *lane, p int32) int { return cmp.Compare(p, l.priority) })
	}
	i, ok := find()
	if !ok {
		q.lanes = slices.DeleteFunc(q.lanes, func(l *lane) bool { return l.len() == 0 })
		i, _ = find()
		q.lanes = slices.Insert(q.lanes, i, &lane{priority: p})
	}
	q.last = q.lanes[i]
	return q.last
}

// push adds a. One that has been there before, or waited, goes before the younger ones.
func (q *readyQueue) push(a *attempt) {
	l := q.lane(a)
	q.count++
	l.push(a)
	items := l.items()
	if n := len(items) - 1; n > 0 && a.seq < items[n-1].seq {
		i := seek(items[:n], a.seq)
		copy(items[i+1:], items[i:n])
		items[i] = a
	}
}

// front returns the first, nil if there is none.
func (q *readyQueue) front() *attempt {
	if q.count > 0 {
		for _, l := range q.lanes {
			if l.len() > 0 {
				return l.front()
			}
		}
	}
	return nil
}

// remove takes a out, which is there.
func (q *readyQueue) remove(a *attempt) {
	l := q.lane(a)
	l.removeAt(seek(l.items(), a.seq))
	q.count--
}

// seek finds the place of seq among attempts that are in order.
func seek(as []*attempt, seq uint64) int {
	if len(as) > 0 && as[0].seq >= seq {
		return 0
	}
	i, _ := slices.BinarySearchFunc(as, seq, func(a *attempt, seq uint64) int { return cmp.Compare(a.seq, seq) })
	return i
}
