package provider

import (
	"sync"

	"github.com/yarnd/yarnd/appmaster/reconcile"
)

// Queue carries a provider's events to the application master's loop. Put never
// blocks, because the loop that receives is also the one whose orders put events
// in. Its length is bounded by what there can be events about: a handful for each
// container that was asked for.
type Queue struct {
	out  chan reconcile.Event
	wake chan struct{}
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex
	events []reconcile.Event
	closed bool
}

// NewQueue returns a queue that runs until Close.
func NewQueue() *Queue {
	q := &Queue{
		out: make(chan reconcile.Event), wake: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go q.run()
	return q
}

// Out is where events come out, in order.
func (q *Queue) Out() <-chan reconcile.Event { return q.out }

// Put adds events. After Close they are dropped.
func (q *Queue) Put(events ...reconcile.Event) {
	q.mu.Lock()
	if !q.closed {
		q.events = append(q.events, events...)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close stops the queue, drops what is in it and closes Out. It can be called
// twice.
func (q *Queue) Close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.stop)
	}
	q.mu.Unlock()
	<-q.done
}

func (q *Queue) run() {
	defer close(q.done)
	defer close(q.out)
	for {
		q.mu.Lock()
		batch := q.events
		q.events = nil
		q.mu.Unlock()
		for _, ev := range batch {
			select {
			case q.out <- ev:
			case <-q.stop:
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-q.wake:
		case <-q.stop:
			return
		}
	}
}
