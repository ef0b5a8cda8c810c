package core

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Phase is how far a container is.
type Phase uint8

const (
	// Allocated: on a node, but its application master does not know yet.
	Allocated Phase = iota
	// Acquired: its application master has been told.
	Acquired
	// Running: its node has it.
	Running
)

// Container is an allocation as others see it.
type Container struct {
	ID        yarn.ContainerID
	Node      yarn.NodeID
	HTTP      string // host:port of the node's web server
	Resource  Resource
	Priority  int32
	RequestID int64
	Execution pb.ExecutionType
	Label     string // the node's partition
	AM        bool   // holds the application master
	Version   int32  // counts changes of its size
	Phase     Phase
	// Created is when it was allocated, Acquired when its application master was told: its token dates from then.
	Created, Acquired time.Time
}

// container is one that is live. Invariant: it is in Cluster.live, in its node's containers and in its owner's, it is
// charged to the node and to its application's queue, unless it is opportunistic.
type container struct {
	Container
	app   *app
	owner *attempt // holds it; another one than its id names after a restart of the application master
	node  *node
	// taken is when it will be preempted; the zero time for never.
	taken time.Time
	// from are the rows of the ask that it satisfies.
	from []Ask
	// grow is a size that was asked for and does not fit yet.
	grow *Resource
}

// Completed is a container that has ended.
type Completed struct {
	ID          yarn.ContainerID
	Node        yarn.NodeID
	Exit        yarn.ExitStatus
	Diagnostics string
	Resource    Resource
	Execution   pb.ExecutionType
}

// What the ResourceManager says of containers that it ended itself. Source: SchedulerUtils.
const (
	diagReleased  = "Container released by application"
	diagLost      = "Container released on a *lost* node"
	diagExpired   = "Container expired since it was unused"
	diagPreempted = "Container preempted by scheduler"
	diagRMLost    = "Container reported by RM as lost"
)

// place puts a new container on a node.
func (c *Cluster) place(con *container, n *node) {
	con.node, con.Node, con.HTTP, con.Label = n, n.id, n.http, n.label
	c.live[con.ID] = con
	n.containers[con.ID] = con
	con.owner.containers[con.ID] = con
	con.app.ran[n.id] = true
	c.book(con, 1)
}

// displace takes it away again.
func (c *Cluster) displace(con *container, now time.Time) {
	delete(c.live, con.ID)
	delete(con.node.containers, con.ID)
	delete(con.owner.containers, con.ID)
	c.book(con, -1)
	if con.charged() {
		con.app.consumed(con, now)
	}
}

// book charges a container to its node, application and queue; sign is 1 or -1.
func (c *Cluster) book(con *container, sign int64) {
	if !con.charged() {
		return
	}
	con.node.used = combine(con.node.used, con.Resource, sign)
	con.app.used = combine(con.app.used, con.Resource, sign)
	c.charge(con, sign)
}

// end is the end of a container, by its node's word or by ours: byNode says which. Our own end has the node clean up.
func (c *Cluster) end(con *container, exit yarn.ExitStatus, diagnostics string, byNode bool, now time.Time) {
	c.displace(con, now)
	n, a := con.node, con.owner
	if !byNode && n.state == pb.NodeState_NS_RUNNING {
		n.cleanUp(con.ID, exit)
	}
	done := Completed{con.ID, con.Node, exit, diagnostics, con.Resource, con.Execution}
	if exit == yarn.ExitPreempted {
		con.app.preempted(con, now)
	}
	if con == a.master {
		if byNode {
			n.acknowledge(con.ID)
		}
		c.masterEnded(a, done, now)
		return
	}
	// Nobody has heard of a container that is still Allocated: nobody is told of its end, and it is wanted still.
	if con.Phase == Allocated {
		a.forgetNew(con)
		a.restore(con.from)
		return
	}
	if byNode {
		n.unheard[con.ID] = true
	}
	c.tell(a, done)
}

// tell queues an end for the application's current attempt.
func (c *Cluster) tell(a *attempt, done Completed) {
	if cur := a.app.current(); cur != nil && a.app.keep() {
		a = cur
	}
	if a.over() {
		c.heard(done)
		return
	}
	a.done = append(a.done, done)
}

// heard notes that an application master knows of an end, so that the node may forget it.
func (c *Cluster) heard(done Completed) {
	if n := c.nodes[done.Node]; n != nil && n.unheard[done.ID] {
		n.acknowledge(done.ID)
	}
	if n := c.gone[done.Node]; n != nil {
		delete(n.unheard, done.ID)
	}
}
