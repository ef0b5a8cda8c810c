package core

import (
	"math"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Registration answers an application master's first call.
type Registration struct {
	Maximum  Resource
	Queue    string
	ACLs     []*pb.ApplicationACLMap
	Previous []Container   // that live on from earlier attempts
	Tokens   []yarn.NodeID // nodes of Previous, for each of which a token is due
}

// Register makes an attempt's application master known.
func (c *Cluster) Register(id yarn.AttemptID, host string, port int32, trackingURL string, now time.Time) (*Registration, error) {
	t, err := c.talking(id)
	if err != nil {
		return nil, err
	}
	if t.registered {
		return nil, yarnError("InvalidApplicationMasterRequestException", "Application Master is already registered : %s", id.App)
	}
	if t.state == pb.AttemptState_APP_ATTEMPT_ALLOCATED { // it was faster than the answer of its node
		c.Launched(id, now)
	}
	a := t.app
	t.registered, t.responseID, t.last, t.seen = true, 0, nil, now
	t.state, a.state = pb.AttemptState_APP_ATTEMPT_RUNNING, pb.ApplicationState_RUNNING
	t.host, t.port, t.trackingURL = host, port, trackingURL
	t.groups, t.offhand, t.told = nil, nil, nil
	out := &Registration{Maximum: c.Maximum(), Queue: a.queue.Name, ACLs: a.ctx.GetAmContainerSpec().GetApplicationAcls()}
	clear(t.tokens)
	if a.keep() {
		for _, con := range all(t.containers) {
			if con.ID.Attempt != t.id {
				out.Previous = append(out.Previous, con.Container)
				out.Tokens = t.token(out.Tokens, con.Node)
			}
		}
	}
	t.previous = nil
	return out, nil
}

// token adds a node for which the attempt has no token yet.
func (t *attempt) token(list []yarn.NodeID, n yarn.NodeID) []yarn.NodeID {
	if t.tokens[n] {
		return list
	}
	t.tokens[n] = true
	return append(list, n)
}

// talking finds the attempt of an application master that calls; one that is over does not exist any more.
func (c *Cluster) talking(id yarn.AttemptID) (*attempt, error) {
	t, err := c.attempt(id)
	if err != nil || t.over() {
		return nil, yarnError("ApplicationAttemptNotFoundException", "Application attempt %s doesn't exist in ApplicationMasterService cache.", id)
	}
	return t, nil
}

// AllocateRequest is an application master's heartbeat.
type AllocateRequest struct {
	ResponseID  int32
	Progress    float32
	TrackingURL string // "" leaves it
	Asks        []Ask
	Releases    []yarn.ContainerID
	Block       []string // hosts and racks
	Unblock     []string
	Updates     []Update
}

// Allocation answers it. It is not changed any more once it has been returned.
type Allocation struct {
	ResponseID         int32
	Containers         []Container
	Completed          []Completed
	Headroom           Resource
	Nodes              []NodeUpdate
	NumNodes           int
	Strict, Negotiable []yarn.ContainerID
	Tokens             []yarn.NodeID
	Priority           int32
	Updated            []Updated
	UpdateErrors       []UpdateError
	Previous           []Container
}

// Allocate is an application master's heartbeat. The last one repeated gets the last response again, whatever else is in
// it. What is refused leaves nothing behind, and does not count as a response.
func (c *Cluster) Allocate(id yarn.AttemptID, r *AllocateRequest, now time.Time) (*Allocation, error) {
	t, err := c.talking(id)
	if err != nil {
		return nil, err
	}
	t.seen = now
	if !t.registered {
		return nil, yarnError("ApplicationMasterNotRegisteredException",
			"AM is not registered for known application attempt: %s or RM had restarted after AM registered.  AM should re-register.", id)
	}
	switch {
	case t.last != nil && r.ResponseID == t.responseID-1:
		return t.last, nil
	case r.ResponseID != t.responseID:
		return nil, yarnError("InvalidApplicationMasterRequestException",
			"Invalid responseId in AllocateRequest from application attempt: %s, expect responseId to be %d, but get %d", id, t.responseID, r.ResponseID)
	}
	if err := c.validate(t, r); err != nil {
		return nil, err
	}
	t.heed(r)
	out := &Allocation{Priority: t.app.priority, NumNodes: c.active()}
	for _, d := range t.told {
		c.heard(d)
	}
	t.told = nil
	if t.state == pb.AttemptState_APP_ATTEMPT_RUNNING {
		t.ask(c.partition(t, r.Asks))
		out.UpdateErrors = c.update(t, r.Updates)
	}
	c.pull(t, out, now)
	if t.state == pb.AttemptState_APP_ATTEMPT_RUNNING {
		c.offhandNow(t, out, now)
	}
	for _, id := range r.Releases {
		if con := c.live[id]; con != nil && con.app == t.app {
			if con.Phase == Allocated {
				con.Phase = Acquired // so that its end is told
				t.forgetNew(con)
			}
			c.end(con, yarn.ExitAborted, diagReleased, false, now)
		}
	}
	t.responseID++
	out.ResponseID, t.last = t.responseID, out
	return out, nil
}

// active counts the nodes that are in the scheduler.
func (c *Cluster) active() (n int) {
	for _, x := range c.nodes {
		if x.state == pb.NodeState_NS_RUNNING {
			n++
		}
	}
	return n
}

func (t *attempt) heed(r *AllocateRequest) {
	t.progress = r.Progress
	if p := float64(r.Progress); math.IsNaN(p) || p < 0 {
		t.progress = 0
	} else if p > 1 {
		t.progress = 1
	}
	if r.TrackingURL != "" {
		t.trackingURL = r.TrackingURL
	}
	for _, name := range r.Block {
		t.blacklist[name] = true
	}
	for _, name := range r.Unblock {
		delete(t.blacklist, name)
	}
}

// pull puts everything that waits for the application master into the response.
func (c *Cluster) pull(t *attempt, out *Allocation, now time.Time) {
	for _, con := range t.fresh {
		con.Phase, con.Acquired = Acquired, now
		out.Containers = append(out.Containers, con.Container)
		out.Tokens = t.token(out.Tokens, con.Node)
	}
	for _, con := range t.previous {
		if c.live[con.ID] == con {
			out.Previous = append(out.Previous, con.Container)
			out.Tokens = t.token(out.Tokens, con.Node)
		}
	}
	out.Completed, t.told = t.done, t.done
	out.Updated = t.updates
	t.fresh, t.previous, t.done, t.updates = nil, nil, nil, nil
	for id, kind := range t.app.updated {
		n := c.nodes[id]
		if n == nil {
			n = c.gone[id]
		}
		if n != nil {
			out.Nodes = append(out.Nodes, NodeUpdate{n.view(), kind})
		}
	}
	clear(t.app.updated)
	out.Strict, out.Negotiable = t.warned(t.strict), t.warned(t.negotiable)
	out.Headroom = c.headroom(t.app.queue)
}

// warned lists, with each response as long as they live, the containers that are going to be taken.
func (t *attempt) warned(m map[yarn.ContainerID]bool) []yarn.ContainerID {
	var out []yarn.ContainerID
	for id := range m {
		if t.containers[id] == nil {
			delete(m, id)
			continue
		}
		out = append(out, id)
	}
	slices.SortFunc(out, yarn.ContainerID.Compare)
	return out
}

// headroom is what an application may still get.
func (c *Cluster) headroom(q *queue) Resource {
	var used Resource
	for _, n := range c.nodes {
		if n.label == "" && n.state == pb.NodeState_NS_RUNNING {
			used = plus(used, n.used)
		}
	}
	return positive(lesser(minus(c.labelled[""], used), minus(c.limit(q), q.used)))
}

// Finish is an application master's last call: true when the application's end is stored. A managed one has to ask
// twice. Source: ApplicationMasterService.finishApplicationMaster.
func (c *Cluster) Finish(id yarn.AttemptID, status pb.FinalApplicationStatus, diagnostics, trackingURL string, now time.Time) (bool, error) {
	if a := c.apps[id.App]; a != nil && a.stored {
		return true, nil
	}
	t, err := c.attempt(id)
	switch {
	case err != nil || t.over():
		return false, yarnError("InvalidApplicationMasterRequestException", "Application doesn't exist in cache %s", id)
	case !t.registered:
		return false, yarnError("ApplicationMasterNotRegisteredException", "Application Master is trying to unregister before registering for: %s", id.App)
	}
	a := t.app
	t.seen, t.progress, t.outcome = now, 1, status
	t.diagnostics += diagnostics
	t.trackingURL = trackingURL
	a.state, a.stored, a.finished = pb.ApplicationState_FINISHED, true, now
	t.state = pb.AttemptState_APP_ATTEMPT_FINISHING
	t.groups, t.offhand = nil, nil
	if a.unmanaged() {
		c.finished(t, now)
		return true, nil
	}
	return false, nil
}
