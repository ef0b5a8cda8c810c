package core

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// perHeartbeat bounds the containers allocated on one heartbeat. Source:
// yarn.scheduler.capacity.per-node-heartbeat.maximum-container-assignments.
const perHeartbeat = 100

// schedule fills a node: queues by how little of their share they use, applications by priority and age, asks by
// priority.
func (c *Cluster) schedule(n *node, now time.Time) {
	for range perHeartbeat {
		if !fits(c.cfg.Min, n.free()) || !c.assign(n, now) {
			return
		}
	}
}

// assign allocates one container on a node, if one is wanted that fits.
func (c *Cluster) assign(n *node, now time.Time) bool {
	for _, q := range c.queuesByUse() {
		for _, t := range q.attempts {
			if c.assignTo(t, n, now) {
				return true
			}
		}
	}
	return false
}

func (c *Cluster) assignTo(t *attempt, n *node, now time.Time) bool {
	switch t.state {
	case pb.AttemptState_APP_ATTEMPT_SCHEDULED:
		return c.assignMaster(t, n, now)
	case pb.AttemptState_APP_ATTEMPT_RUNNING:
	default:
		return false
	}
	if c.growOne(t, n) {
		return true
	}
	if t.blacklist[n.id.Host] || t.blacklist[n.rack] {
		return false
	}
	free := n.free()
	for _, g := range t.groups {
		row, l := g.match(n, len(c.nodes))
		switch {
		case c.label(t, g) != n.label:
			continue
		case l == nowhere:
			if g.beat != c.beats && g.pending() > 0 {
				g.missed, g.beat = g.missed+1, c.beats
			}
			continue
		case !fits(row.Resource, free) || !c.room(t.app.queue, n.label, row.Resource):
			continue
		}
		con := &container{app: t.app, owner: t, Container: Container{ID: t.nextID(), Resource: row.Resource, Priority: g.priority,
			RequestID: g.request, Execution: row.Execution, Created: now}}
		con.from = g.took(n, l)
		c.place(con, n)
		t.fresh = append(t.fresh, con)
		return true
	}
	return false
}

// label is the partition that a group is for: its own, else the application's, else the queue's.
func (c *Cluster) label(t *attempt, g *group) string {
	if l := g.rows[Any].Label; l != nil {
		return *l
	}
	if t.app.ctx.NodeLabelExpression != nil {
		return t.app.ctx.GetNodeLabelExpression()
	}
	return t.app.queue.Label
}

func (c *Cluster) masterLabel(a *app) string {
	switch {
	case a.amLabel != nil:
		return *a.amLabel
	case a.ctx.NodeLabelExpression != nil:
		return a.ctx.GetNodeLabelExpression()
	}
	return a.queue.Label
}

// assignMaster gives an attempt its first container, within what application masters may take of the queue. Source:
// AbstractLeafQueue.activateApplications.
func (c *Cluster) assignMaster(t *attempt, n *node, now time.Time) bool {
	a := t.app
	if c.masterLabel(a) != n.label || !fits(a.amResource, n.free()) || !c.room(a.queue, n.label, a.amResource) || !c.mayActivate(a) {
		return false
	}
	con := &container{app: a, owner: t, Container: Container{ID: t.nextID(), Resource: a.amResource, RequestID: -1, AM: true,
		Execution: pb.ExecutionType_GUARANTEED, Phase: Acquired, Created: now, Acquired: now}}
	c.place(con, n)
	t.master, t.masterID, t.state = con, con.ID, pb.AttemptState_APP_ATTEMPT_ALLOCATED
	c.launches = append(c.launches, Launch{t.id, con.Container})
	return true
}

// mayActivate tells whether the queue has room for one more application master; the first always has it.
func (c *Cluster) mayActivate(a *app) bool {
	q := a.queue
	return q.ams == 0 || fits(plus(q.amUsed, a.amResource), c.amLimit(q))
}
