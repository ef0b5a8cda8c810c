package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// Opportunistic containers do not wait for room: an ask for them is answered with the heartbeat that brings it, as far as
// nodes have places in their queues, and no queue is charged. Where they are not switched on the scheduler takes the ask
// for one of guaranteed containers, and nobody says so (seen on 3.4.2).
//
// Sources: OpportunisticContainerAllocatorAMService, CentralizedOpportunisticContainerAllocator,
// OpportunisticContainerContext, NodeQueueLoadMonitor (3.4.2).

// offhand is an ask for opportunistic containers. There is one for each priority, request id and size; a later one
// replaces an earlier one.
type offhand struct{ Ask }

// partition takes out the asks for opportunistic containers, and makes of all others ones for guaranteed containers.
func (c *Cluster) partition(t *attempt, asks []Ask) (guaranteed []Ask) {
	for _, x := range asks {
		if x.Execution != pb.ExecutionType_OPPORTUNISTIC || !c.cfg.Opportunistic {
			x.Execution = pb.ExecutionType_GUARANTEED
			guaranteed = append(guaranteed, x)
			continue
		}
		if x.Name != Any { // hosts and racks are preferences, which this cluster does not heed
			continue
		}
		i := slices.IndexFunc(t.offhand, func(o *offhand) bool {
			return o.Priority == x.Priority && o.RequestID == x.RequestID && equal(o.Resource, x.Resource)
		})
		if i < 0 {
			t.offhand, i = append(t.offhand, &offhand{}), len(t.offhand)
		}
		t.offhand[i].Ask = x
	}
	t.offhand = slices.DeleteFunc(t.offhand, func(o *offhand) bool { return o.Count <= 0 })
	return guaranteed
}

// offhandNow allocates what nodes have places for, the shortest queues first. The application master is told at once.
func (c *Cluster) offhandNow(t *attempt, out *Allocation, now time.Time) {
	for _, o := range t.offhand {
		for ; o.Count > 0; o.Count-- {
			n := c.shortest(t)
			if n == nil {
				break
			}
			n.waiting++ // as far as anybody knows, until its next heartbeat
			con := &container{app: t.app, owner: t, Container: Container{ID: t.nextID(), Resource: o.Resource, Priority: o.Priority,
				RequestID: o.RequestID, Execution: pb.ExecutionType_OPPORTUNISTIC, Phase: Acquired, Created: now, Acquired: now}}
			c.place(con, n)
			out.Containers = append(out.Containers, con.Container)
			out.Tokens = t.token(out.Tokens, con.Node)
		}
	}
}

// shortest is the node with the shortest queue that has a place left; nil for none.
func (c *Cluster) shortest(t *attempt) *node {
	var best *node
	for _, n := range c.nodes {
		if n.state != pb.NodeState_NS_RUNNING || n.waiting >= n.places || t.blacklist[n.id.Host] || t.blacklist[n.rack] {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(n.waiting, best.waiting), cmp.Compare(n.id.String(), best.id.String())) < 0 {
			best = n
		}
	}
	return best
}

// charged tells whether a container is on the books of its node and queue.
func (con *container) charged() bool { return con.Execution != pb.ExecutionType_OPPORTUNISTIC }
