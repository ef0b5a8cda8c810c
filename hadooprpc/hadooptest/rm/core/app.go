package core

import (
	"fmt"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// app is an application.
type app struct {
	id       yarn.ApplicationID
	ctx      *pb.ApplicationSubmissionContext // as submitted; never changed
	user     string
	queue    *queue // nil when it was rejected for its queue
	asked    string // the queue's name as submitted
	state    pb.ApplicationState
	attempts []*attempt

	submitted, launched, finished time.Time
	accept                        time.Time // when to leave SUBMITTED
	expire                        time.Time // lifetime; zero for no limit
	priority                      int32
	max                           int // attempts
	amResource                    Resource
	amLabel                       *string
	diagnostics                   string
	used                          Resource
	mb, cores                     int64 // MiB·ms, vcores·ms of what has ended
	preMB, preCores               int64 // of it, preempted
	ran                           map[yarn.NodeID]bool
	updated                       map[yarn.NodeID]pb.NodeUpdateType
	stored                        bool // its end is: a further finish is true
	closed                        bool // nothing of it is left in the scheduler
}

func (a *app) final() bool {
	switch a.state {
	case pb.ApplicationState_FINISHED:
		// FINISHING looks finished to clients, but its master still runs.
		cur := a.current()
		return cur == nil || cur.over()
	case pb.ApplicationState_FAILED, pb.ApplicationState_KILLED:
		return true
	}
	return false
}

func (a *app) current() *attempt {
	if len(a.attempts) == 0 {
		return nil
	}
	return a.attempts[len(a.attempts)-1]
}

func (a *app) keep() bool {
	return a.ctx.GetKeepContainersAcrossApplicationAttempts() && !a.unmanaged()
}
func (a *app) unmanaged() bool { return a.ctx.GetUnmanagedAm() }

func (a *app) consumed(con *container, now time.Time) {
	ms := max(now.Sub(con.Created).Milliseconds(), 0)
	a.mb += con.Resource.MemoryMiB * ms
	a.cores += int64(con.Resource.VCores) * ms
}

func (a *app) preempted(con *container, now time.Time) {
	ms := max(now.Sub(con.Created).Milliseconds(), 0)
	a.preMB += con.Resource.MemoryMiB * ms
	a.preCores += int64(con.Resource.VCores) * ms
}

// startAttempt begins the next attempt. keep moves over what runs.
func (c *Cluster) startAttempt(a *app, keep bool, now time.Time) {
	before := a.current()
	t := newAttempt(a, int32(len(a.attempts)+1), now)
	t.counter = c.epoch << 40
	a.attempts = append(a.attempts, t)
	a.queue.add(t)
	if before != nil && keep {
		for id, con := range before.containers {
			con.owner = t
			t.containers[id] = con
		}
		clear(before.containers)
		t.blacklist = before.blacklist // AppSchedulingInfo.transferStateFromPreviousAppSchedulingInfo
		t.done = append(t.done, before.done...)
		before.done = nil
	}
	if a.unmanaged() {
		t.state, t.seen, t.launched = pb.AttemptState_APP_ATTEMPT_LAUNCHED, now, now
	}
}

// attemptFailed starts another attempt or fails the application. Source: RMAppImpl.AttemptFailedTransition.
func (c *Cluster) attemptFailed(t *attempt, now time.Time) {
	a := t.app
	if a.unmanaged() {
		c.endApp(a, pb.ApplicationState_FAILED, fmt.Sprintf("Unmanaged application %s failed due to %s. Failing the application.", a.id, t.diagnostics), now)
		return
	}
	if c.mayRetry(a, now) {
		a.state = pb.ApplicationState_ACCEPTED
		c.startAttempt(a, a.keep(), now)
		return
	}
	window, limit := "", ""
	if v := a.ctx.GetAttemptFailuresValidityInterval(); v > 0 {
		window = fmt.Sprintf(" in previous %d milliseconds", v)
	}
	if c.cfg.MaxAttempts != a.max {
		limit = fmt.Sprintf(" (global limit =%d; local limit is =%d)", c.cfg.MaxAttempts, a.max)
	}
	c.endApp(a, pb.ApplicationState_FAILED, fmt.Sprintf("Application %s failed %d times%s%s due to %s. Failing the application.",
		a.id, a.max, window, limit, t.diagnostics), now)
}

// mayRetry tells whether a further attempt is due: failures that are not the application's fault, or too old, do not
// count. Source: RMAppImpl.getNumFailedAppAttempts.
func (c *Cluster) mayRetry(a *app, now time.Time) bool {
	if a.max == 1 || a.unmanaged() {
		return false
	}
	window := time.Duration(a.ctx.GetAttemptFailuresValidityInterval()) * time.Millisecond
	failures := 0
	for _, t := range a.attempts {
		if t.counts() && (window <= 0 || t.finished.After(now.Add(-window))) {
			failures++
		}
	}
	return failures < a.max
}

// endApp is the end of an application whose attempts are over, or are ended by this.
func (c *Cluster) endApp(a *app, state pb.ApplicationState, diagnostics string, now time.Time) {
	if a.closed {
		return
	}
	if a.diagnostics == "" {
		a.diagnostics = diagnostics
	}
	a.state, a.stored, a.closed = state, true, true
	if a.finished.IsZero() {
		a.finished = now
	}
	for _, t := range a.attempts {
		c.strip(t, false, now)
		t.done = nil
	}
	for id := range a.ran {
		if n := c.nodes[id]; n != nil {
			n.orders.Ended = append(n.orders.Ended, a.id)
		}
	}
	if a.queue != nil {
		a.queue.tally(state)
	}
	c.ended = append(c.ended, a.id)
	for len(c.ended) > c.cfg.MaxCompleted {
		delete(c.apps, c.ended[0])
		c.ended = c.ended[1:]
	}
}

func (q *queue) tally(state pb.ApplicationState) {
	switch state {
	case pb.ApplicationState_FINISHED:
		q.completed++
	case pb.ApplicationState_FAILED:
		q.failed++
	case pb.ApplicationState_KILLED:
		q.killed++
	}
}
