package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// diagLifetime is said of an application that lived too long. Source: RMAppLifetimeMonitor.
const diagLifetime = "Application is killed by ResourceManager as it has exceeded the lifetime period."

// Tick does what time brings about: silent nodes and application masters, containers that nobody started, containers to
// be preempted, applications past their lifetime.
func (c *Cluster) Tick(now time.Time) {
	for _, n := range sortedNodes(c.nodes) {
		if now.Sub(n.seen) > c.cfg.NodeExpiry {
			c.LoseNode(n.id, now)
		}
	}
	c.tickContainers(now)
	for _, a := range c.sortedApps() {
		switch {
		case a.closed:
			continue
		case a.state == pb.ApplicationState_SUBMITTED && !now.Before(a.accept):
			c.accept(a, now)
		case !a.expire.IsZero() && !now.Before(a.expire) && !a.stored:
			c.kill(a, diagLifetime, now)
		}
		if t := a.current(); t != nil && !a.closed {
			c.tickAttempt(t, now)
		}
	}
}

func (c *Cluster) tickAttempt(t *attempt, now time.Time) {
	if now.Sub(t.seen) <= c.cfg.AMExpiry {
		return
	}
	switch t.state {
	case pb.AttemptState_APP_ATTEMPT_LAUNCHED, pb.AttemptState_APP_ATTEMPT_RUNNING:
		c.fail(t, fmt.Sprintf("ApplicationMaster for attempt %s timed out", t.id), now)
	case pb.AttemptState_APP_ATTEMPT_FINISHING:
		c.finished(t, now)
	}
}

func (c *Cluster) tickContainers(now time.Time) {
	var due []*container
	for _, con := range c.live {
		if con.Phase == Acquired && now.Sub(con.Acquired) > c.cfg.AllocationExpiry || !con.taken.IsZero() && !now.Before(con.taken) {
			due = append(due, con)
		}
	}
	for _, con := range byID(due) {
		switch {
		case c.live[con.ID] != con: // gone with its attempt
		case !con.taken.IsZero() && !now.Before(con.taken):
			c.end(con, yarn.ExitPreempted, diagPreempted, false, now)
		default:
			c.end(con, yarn.ExitAborted, diagExpired, false, now)
		}
	}
}

func byID(list []*container) []*container {
	slices.SortFunc(list, func(a, b *container) int { return a.ID.Compare(b.ID) })
	return list
}

// all lists containers in order.
func all(m map[yarn.ContainerID]*container) []*container {
	out := make([]*container, 0, len(m))
	for _, con := range m {
		out = append(out, con)
	}
	return byID(out)
}
