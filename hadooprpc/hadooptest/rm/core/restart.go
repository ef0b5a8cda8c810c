package core

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Restart is the end of the ResourceManager's process and the start of the next one. With keep it has a state store:
// applications and attempts are there again, the epoch is one higher, and nodes and application masters are strangers
// until they register. Without, everything is forgotten.
//
// Sources: RMAppImpl.RMAppRecoveredTransition, RMAppAttemptImpl.AttemptRecoveredTransition, ResourceManager.getEpoch.
func (c *Cluster) Restart(keep bool, now time.Time) {
	// Each process has a time stamp of its own: it begins new application ids, and nodes refuse container tokens of
	// another one.
	c.stamp, c.next = max(now.UnixMilli(), c.stamp+1), 0
	if !keep {
		c.epoch = 0
		c.apps, c.ended = make(map[yarn.ApplicationID]*app), nil
		c.reset()
		return
	}
	for _, a := range c.apps {
		for _, t := range a.attempts {
			for _, con := range t.containers {
				a.consumed(con, now)
			}
		}
	}
	c.epoch++
	c.reset()
	for _, a := range c.sortedApps() {
		c.recover(a, now)
	}
}

func (c *Cluster) recover(a *app, now time.Time) {
	a.used = Resource{}
	clear(a.updated)
	if a.queue != nil {
		a.queue = c.queues[a.queue.Name]
		a.queue.submitted++
	}
	if a.closed {
		return
	}
	t := a.current()
	if t == nil { // SUBMITTED
		return
	}
	switch t.state {
	case pb.AttemptState_APP_ATTEMPT_FINISHING:
		t.forget()
		c.endAttempt(t, pb.AttemptState_APP_ATTEMPT_FINISHED, now)
		c.endApp(a, pb.ApplicationState_FINISHED, t.diagnostics, now)
		return
	case pb.AttemptState_APP_ATTEMPT_SCHEDULED: // was never stored
		a.attempts = a.attempts[:len(a.attempts)-1]
		c.startAttempt(a, false, now)
	default:
		t.forget()
		t.state, t.seen, t.counter = pb.AttemptState_APP_ATTEMPT_LAUNCHED, now, c.epoch<<40
		a.queue.add(t)
	}
	a.state = pb.ApplicationState_ACCEPTED
}

// forget drops what an attempt has in memory alone.
func (t *attempt) forget() {
	t.registered, t.responseID, t.last = false, -1, nil
	t.groups, t.offhand, t.fresh, t.done, t.told, t.updates, t.previous, t.master = nil, nil, nil, nil, nil, nil, nil, nil
	clear(t.blacklist)
	clear(t.containers)
	clear(t.tokens)
	clear(t.strict)
	clear(t.negotiable)
	t.host, t.port = notAvailable, -1
	t.trackingURL = notAvailable
}
