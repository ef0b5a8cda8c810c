package server

import "time"

// ackLag is how long the acknowledgement of a submission waits for something else to
// travel with: most often the outcome of a short task. To send it by itself would cost more
// than all else that the scheduler does for a task that comes alone, and wake its client
// for nothing.
const ackLag = 2 * time.Millisecond

// owing are connections with acknowledgements on them that wait. A second one does not, and
// takes the first along: a client that goes on submitting has two on their way at most.
type owing struct {
	to    map[link]struct{}
	timer *time.Timer
}

func newOwing() owing {
	o := owing{map[link]struct{}{}, time.NewTimer(ackLag)}
	o.timer.Stop()
	return o
}

// wait reports whether what was put on c may wait, and then sees that it does not for long.
func (o *owing) wait(c link) bool {
	if _, ok := o.to[c]; ok {
		return false
	}
	if o.to[c] = struct{}{}; len(o.to) == 1 {
		o.timer.Reset(ackLag)
	}
	return true
}

// forget says that c owes nothing: what was put on it leaves, or it is closed.
func (o *owing) forget(c link) {
	if len(o.to) > 0 {
		delete(o.to, c)
	}
}

// pay has everything leave that still waits.
func (l *loop) pay() {
	for c := range l.owing.to {
		l.departs(c)
	}
}
