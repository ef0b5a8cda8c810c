package core

import (
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Update asks to change a container.
type Update struct {
	ID        yarn.ContainerID
	Version   int32
	Type      pb.ContainerUpdateType
	Resource  Resource // INCREASE_RESOURCE, DECREASE_RESOURCE
	Execution pb.ExecutionType
	Raw       *pb.UpdateContainerRequest // goes back with an error
}

// Updated is a container that was changed; a new token goes with it.
type Updated struct {
	Type      pb.ContainerUpdateType
	Container Container
}

// UpdateError tells why one was not.
type UpdateError struct {
	Reason  string
	Version int32 // the container's, -1 for an unknown one
	Raw     *pb.UpdateContainerRequest
}

// update heeds requests for changes. What shrinks does so at once; what grows waits until its node has room. Source:
// RMServerUtils.validateAndSplitUpdateResourceRequests.
func (c *Cluster) update(t *attempt, list []Update) []UpdateError {
	var errs []UpdateError
	seen := make(map[yarn.ContainerID]bool)
	for _, u := range list {
		con := c.live[u.ID]
		reason := c.checkUpdate(t, con, u, seen)
		seen[u.ID] = true
		if reason != "" {
			e := UpdateError{Reason: reason, Version: -1, Raw: u.Raw}
			if con != nil {
				e.Version = con.Version
			}
			errs = append(errs, e)
			continue
		}
		switch u.Type {
		case pb.ContainerUpdateType_INCREASE_RESOURCE, pb.ContainerUpdateType_DECREASE_RESOURCE:
			size := c.normalize(u.Resource)
			con.grow = &size
			c.growNow(con, u.Type)
		default:
			c.book(con, -1)
			con.Execution = u.Execution
			c.book(con, 1)
			c.changed(con, u.Type)
		}
	}
	return errs
}

func (c *Cluster) checkUpdate(t *attempt, con *container, u Update, seen map[yarn.ContainerID]bool) string {
	switch {
	case con == nil || con.owner != t:
		return "INVALID_CONTAINER_ID"
	case con.Version != u.Version:
		return "INCORRECT_CONTAINER_VERSION_ERROR"
	case seen[u.ID] || con.grow != nil:
		return "UPDATE_OUTSTANDING_ERROR"
	}
	up := u.Type == pb.ContainerUpdateType_INCREASE_RESOURCE
	if !up && u.Type != pb.ContainerUpdateType_DECREASE_RESOURCE {
		return ""
	}
	name, _ := beyond(u.Resource, c.Maximum())
	size := c.normalize(u.Resource)
	if name != "" || up && !fits(con.Resource, size) || !up && !fits(size, con.Resource) || !fits(size, con.node.capability) {
		return "RESOURCE_OUTSIDE_ALLOWED_RANGE"
	}
	return ""
}

// growNow gives a container the size that it waits for, if its node and its queue have room.
func (c *Cluster) growNow(con *container, kind pb.ContainerUpdateType) bool {
	more := minus(*con.grow, con.Resource)
	if !fits(more, con.node.free()) || !c.room(con.app.queue, con.Label, more) {
		return false
	}
	c.book(con, -1)
	con.Resource, con.grow = *con.grow, nil
	c.book(con, 1)
	c.changed(con, kind)
	return true
}

func (c *Cluster) changed(con *container, kind pb.ContainerUpdateType) {
	con.Version++
	con.owner.updates = append(con.owner.updates, Updated{kind, con.Container})
}

// growOne gives one waiting container on a node its size.
func (c *Cluster) growOne(t *attempt, n *node) bool {
	for _, con := range n.containers {
		if con.owner == t && con.grow != nil && c.growNow(con, pb.ContainerUpdateType_INCREASE_RESOURCE) {
			return true
		}
	}
	return false
}
