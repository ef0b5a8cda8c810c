package sched

import (
	"cmp"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// nearby is a lane's queues of tasks that wait for one worker, because it holds most
// of what they need.
type nearby struct {
	by   map[graph.WorkerID]*near
	list []*near // by worker; those that are empty go when somebody looks for the longest
}

type near struct {
	deque
	worker graph.WorkerID
}

// of returns the queue for w, nil when there is none.
func (n *nearby) of(w graph.WorkerID) *deque {
	if q := n.by[w]; q != nil {
		return &q.deque
	}
	return nil
}

// make returns the queue for w, a new one if need be.
func (n *nearby) make(w graph.WorkerID) *deque {
	q := n.by[w]
	if q == nil {
		if n.by == nil {
			n.by = map[graph.WorkerID]*near{}
		}
		q = &near{worker: w}
		n.by[w] = q
		at, _ := n.find(w)
		n.list = slices.Insert(n.list, at, q)
	}
	return &q.deque
}

func (n *nearby) find(w graph.WorkerID) (int, bool) {
	return slices.BinarySearchFunc(n.list, w, func(q *near, w graph.WorkerID) int { return cmp.Compare(q.worker, w) })
}

// take removes the queue for w and returns it, nil when there is none.
func (n *nearby) take(w graph.WorkerID) *deque {
	d := n.of(w)
	if d != nil {
		delete(n.by, w)
		at, _ := n.find(w)
		n.list = slices.Delete(n.list, at, at+1)
	}
	return d
}

// longest returns the longest queue of another worker than w, the first among equals,
// nil when nothing waits for one.
func (n *nearby) longest(w graph.WorkerID) (out *near) {
	n.list = slices.DeleteFunc(n.list, func(q *near) bool {
		if q.len() == 0 {
			delete(n.by, q.worker)
			return true
		}
		if q.worker != w && (out == nil || q.len() > out.len()) {
			out = q
		}
		return false
	})
	return out
}

func (n *nearby) clear() {
	clear(n.by)
	clear(n.list)
	n.list = n.list[:0]
}
