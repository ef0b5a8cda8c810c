package core

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// node is a NodeManager.
type node struct {
	id         yarn.NodeID
	http       string
	rack       string
	label      string
	capability Resource
	used       Resource
	containers map[yarn.ContainerID]*container
	state      pb.NodeState
	why        string // of a state other than running
	seen       time.Time
	// unheard are ends that the node reported and that no application master has heard of yet: not acknowledged.
	unheard map[yarn.ContainerID]bool
	// ending are containers that the node was told to end, with the status to report.
	ending map[yarn.ContainerID]yarn.ExitStatus
	orders tracker.Orders // for the next heartbeat
	// waiting are the containers in its queue, places how many it takes of opportunistic ones.
	waiting, places int
}

func (n *node) free() Resource { return minus(n.capability, n.used) }

func (n *node) cleanUp(id yarn.ContainerID, status yarn.ExitStatus) {
	if status != yarn.ExitPreempted {
		status = yarn.ExitKilledByResourceManager
	}
	n.ending[id] = status
	n.orders.CleanUp = append(n.orders.CleanUp, tracker.CleanUp{ID: id, Status: status})
}

func (n *node) acknowledge(id yarn.ContainerID) {
	delete(n.unheard, id)
	delete(n.ending, id)
	n.orders.Acknowledged = append(n.orders.Acknowledged, id)
}

// Refused tells that a node may not register.
type Refused struct{ Node yarn.NodeID }

func (e *Refused) Error() string {
	return fmt.Sprintf("Disallowed NodeManager from %s, Sending SHUTDOWN signal to the NodeManager.", e.Node.Host)
}

// RegisterNode makes a node known, or known anew, and takes back what it runs. A decommissioned node gets *Refused.
func (c *Cluster) RegisterNode(t tracker.Node, now time.Time) error {
	if g := c.gone[t.ID]; g != nil && g.state == pb.NodeState_NS_DECOMMISSIONED {
		return &Refused{t.ID}
	}
	gone := c.gone[t.ID]
	delete(c.gone, t.ID)
	n := c.nodes[t.ID]
	if n == nil {
		n = &node{id: t.ID, containers: make(map[yarn.ContainerID]*container),
			unheard: make(map[yarn.ContainerID]bool), ending: make(map[yarn.ContainerID]yarn.ExitStatus)}
		if gone != nil {
			n.unheard = gone.unheard
		}
		c.nodes[t.ID] = n
	} else {
		if n.state == pb.NodeState_NS_RUNNING {
			c.offer(n, -1)
		}
		c.missing(n, t.Containers, now)
	}
	n.http, n.label, n.capability = t.HTTP, t.Label, plus(t.Capability, Resource{})
	n.rack = cmp.Or(t.Rack, "/default-rack")
	n.state, n.why, n.seen = pb.NodeState_NS_RUNNING, "", now
	c.offer(n, 1)
	for _, con := range t.Containers {
		c.takeBack(n, con, now)
	}
	for _, id := range t.Apps {
		if a := c.apps[id]; a == nil || a.final() {
			n.orders.Ended = append(n.orders.Ended, id)
		} else {
			a.ran[n.id] = true
		}
	}
	c.announce(n, pb.NodeUpdateType_NODE_USABLE)
	return nil
}

// offer counts a node in or out.
func (c *Cluster) offer(n *node, sign int64) {
	c.total = combine(c.total, n.capability, sign)
	c.labelled[n.label] = combine(c.labelled[n.label], n.capability, sign)
}

// health takes a node that says it is ill out of the scheduler, or puts it back. What ran there counts as lost. Source:
// RMNodeImpl.StatusUpdateWhenHealthyTransition, StatusUpdateWhenUnHealthyTransition.
func (c *Cluster) health(n *node, why string, now time.Time) {
	n.why = why
	switch {
	case why != "" && n.state == pb.NodeState_NS_RUNNING:
		c.offer(n, -1)
		for _, con := range all(n.containers) {
			if c.live[con.ID] == con {
				c.end(con, yarn.ExitAborted, diagLost, false, now)
			}
		}
		n.state = pb.NodeState_NS_UNHEALTHY
		c.announce(n, pb.NodeUpdateType_NODE_UNUSABLE)
	case why == "" && n.state == pb.NodeState_NS_UNHEALTHY:
		n.state = pb.NodeState_NS_RUNNING
		c.offer(n, 1)
		c.announce(n, pb.NodeUpdateType_NODE_USABLE)
	}
}

// forget drops the containers that the node was told to end and that it does not have.
func (n *node) forget(has []tracker.Container) {
	if len(n.ending) == 0 {
		return
	}
	there := make(map[yarn.ContainerID]bool, len(has))
	for _, con := range has {
		there[con.ID] = true
	}
	for id := range n.ending {
		if !there[id] && !ordered(n.orders.CleanUp, id) {
			delete(n.ending, id)
		}
	}
}

// missing ends containers that ran on a node and of which it knows nothing any more.
func (c *Cluster) missing(n *node, has []tracker.Container, now time.Time) {
	there := make(map[yarn.ContainerID]bool, len(has))
	for _, con := range has {
		there[con.ID] = true
	}
	for _, con := range all(n.containers) {
		if con.Phase == Running && !there[con.ID] && c.live[con.ID] == con {
			c.end(con, yarn.ExitAborted, diagRMLost, false, now)
		}
	}
}

// Heartbeat takes a node's report, allocates on it, and returns its orders, without keys.
func (c *Cluster) Heartbeat(h tracker.Heartbeat, now time.Time) tracker.Orders {
	n := c.nodes[h.Node]
	if n == nil {
		if g := c.gone[h.Node]; g != nil && g.state == pb.NodeState_NS_DECOMMISSIONED {
			return tracker.Orders{Shutdown: true}
		}
		return tracker.Orders{Resync: true}
	}
	n.seen = now
	n.waiting, n.places = h.Waiting, h.Places
	for _, con := range h.Containers {
		c.reported(n, con, now)
	}
	c.missing(n, h.Containers, now)
	n.forget(h.Containers)
	c.health(n, h.Unhealthy, now)
	if !c.paused && n.state == pb.NodeState_NS_RUNNING {
		c.beats++
		c.schedule(n, now)
	}
	out := n.orders
	n.orders = tracker.Orders{}
	return out
}

// reported takes note of one container in a heartbeat.
func (c *Cluster) reported(n *node, t tracker.Container, now time.Time) {
	con := c.live[t.ID]
	switch {
	case con != nil && con.node == n && t.State == tracker.Complete:
		c.end(con, t.Exit, t.Diagnostics, true, now)
	case con != nil && con.node == n:
		if con.Phase == Allocated { // cannot be: nobody has its token
			c.end(con, yarn.ExitKilledByResourceManager, diagRMLost, false, now)
			return
		}
		con.Phase = Running
	case n.unheard[t.ID]:
	case t.State == tracker.Complete:
		n.acknowledge(t.ID)
	default:
		// Released, preempted, or never heard of: told to end, and told again until it has.
		if _, told := n.ending[t.ID]; !told || !ordered(n.orders.CleanUp, t.ID) {
			n.cleanUp(t.ID, cmp.Or(n.ending[t.ID], yarn.ExitKilledByResourceManager))
		}
	}
}

func ordered(list []tracker.CleanUp, id yarn.ContainerID) bool {
	for _, x := range list {
		if x.ID == id {
			return true
		}
	}
	return false
}

// takeBack is what becomes of a container that a registering node has. Source:
// AbstractYarnScheduler.recoverContainersOnNode.
func (c *Cluster) takeBack(n *node, t tracker.Container, now time.Time) {
	a := c.apps[t.ID.Attempt.App]
	if c.live[t.ID] != nil || n.unheard[t.ID] || a == nil || a.final() {
		c.reported(n, t, now)
		return
	}
	cur := a.current()
	if cur == nil || cur.over() || t.ID.Attempt != cur.id && !a.keep() {
		c.reported(n, t, now)
		return
	}
	con := &container{app: a, owner: cur, Container: Container{ID: t.ID, Resource: t.Resource, Priority: t.Priority,
		RequestID: t.RequestID, Execution: t.Execution, Phase: Running, Created: t.Created, Acquired: t.Created}}
	if t.ID == cur.masterID {
		con.AM = true
		cur.master = con
	}
	c.place(con, n)
	// Its end, if nobody has heard of it yet, was a mistake.
	cur.done = slices.DeleteFunc(cur.done, func(d Completed) bool { return d.ID == t.ID })
	if t.ID.Attempt != cur.id && cur.registered {
		cur.previous = append(cur.previous, con)
	}
	if t.State == tracker.Complete {
		c.end(con, t.Exit, t.Diagnostics, true, now)
	}
}

// LoseNode gives a node up: what runs there counts as lost. When the node reports it is told to register again.
func (c *Cluster) LoseNode(id yarn.NodeID, now time.Time) bool {
	return c.drop(id, pb.NodeState_NS_LOST, "", now)
}

// Decommission takes a node out of service for good; its next heartbeat is answered with Shutdown.
func (c *Cluster) Decommission(id yarn.NodeID, now time.Time) bool {
	return c.drop(id, pb.NodeState_NS_DECOMMISSIONED, "", now)
}

// Recommission lets a decommissioned node register again.
func (c *Cluster) Recommission(id yarn.NodeID) {
	if g := c.gone[id]; g != nil && g.state == pb.NodeState_NS_DECOMMISSIONED {
		delete(c.gone, id)
	}
}

func (c *Cluster) drop(id yarn.NodeID, state pb.NodeState, why string, now time.Time) bool {
	n := c.nodes[id]
	if n == nil {
		return false
	}
	delete(c.nodes, id)
	c.gone[id] = n
	if n.state == pb.NodeState_NS_RUNNING {
		c.offer(n, -1)
	}
	n.state, n.why, n.orders = state, why, tracker.Orders{}
	for _, con := range all(n.containers) {
		if c.live[con.ID] == con { // and not gone with its application master
			c.end(con, yarn.ExitAborted, diagLost, false, now)
		}
	}
	c.announce(n, pb.NodeUpdateType_NODE_UNUSABLE)
	return true
}

// NodeUpdate is a node whose state has changed.
type NodeUpdate struct {
	Node NodeView
	Type pb.NodeUpdateType
}

// announce tells all running applications of a node's change with their next allocate. Source: NodesListManager.
func (c *Cluster) announce(n *node, t pb.NodeUpdateType) {
	for _, a := range c.apps {
		if !a.final() {
			a.updated[n.id] = t
		}
	}
}
