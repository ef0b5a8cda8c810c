package core

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Preempt warns the holder of a container that it will be taken, for certain (strict) or unless as much is given back,
// and takes it when grace is over; grace below 0 only warns. Source: PreemptionMessage.
func (c *Cluster) Preempt(id yarn.ContainerID, strict bool, grace time.Duration, now time.Time) bool {
	con := c.live[id]
	if con == nil {
		return false
	}
	if strict {
		con.owner.strict[id] = true
		delete(con.owner.negotiable, id)
	} else {
		con.owner.negotiable[id] = true
	}
	con.taken = time.Time{}
	if grace >= 0 {
		con.taken = now.Add(grace)
	}
	return true
}

// HandOut allocates containers that nobody asked for, where there is room, and tells how many. The real ResourceManager
// does so when an ask and an allocation cross.
func (c *Cluster) HandOut(id yarn.AttemptID, n int, priority int32, r Resource, now time.Time) int {
	t, err := c.attempt(id)
	if err != nil || t.state != pb.AttemptState_APP_ATTEMPT_RUNNING {
		return 0
	}
	r = c.normalize(r)
	given := 0
	for _, node := range sortedNodes(c.nodes) {
		for given < n && node.state == pb.NodeState_NS_RUNNING && fits(r, node.free()) {
			con := &container{app: t.app, owner: t, Container: Container{ID: t.nextID(), Resource: r, Priority: priority, RequestID: -1,
				Execution: pb.ExecutionType_GUARANTEED, Created: now}}
			c.place(con, node)
			t.fresh = append(t.fresh, con)
			given++
		}
	}
	return given
}

// Hold keeps a queue as if it were full: nothing is allocated in it.
func (c *Cluster) Hold(queue string, hold bool) bool {
	q := c.queue(queue)
	if q != nil {
		q.held = hold
	}
	return q != nil
}

// StopQueue stops or opens a queue for new applications.
func (c *Cluster) StopQueue(queue string, stopped bool) bool {
	q := c.queue(queue)
	if q != nil {
		q.Stopped = stopped
	}
	return q != nil
}

// Pause stops all allocation, or lets it go on.
func (c *Cluster) Pause(paused bool) { c.paused = paused }
