package core

import (
	"fmt"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// AppView is what the ResourceManager reports of an application. Source: RMAppImpl.createAndGetApplicationReport.
type AppView struct {
	ID                  yarn.ApplicationID
	Context             *pb.ApplicationSubmissionContext // not to be changed
	User, Queue         string
	State               pb.ApplicationState
	Final               pb.FinalApplicationStatus
	Attempt             AttemptView // zero before the first
	Attempts            int
	Diagnostics         string
	Progress            float32
	Host                string
	Port                int32
	TrackingURL, Origin string
	Priority            int32
	Submitted, Launched time.Time
	Finished, Expire    time.Time // zero for not yet, for never
	Live                bool      // is in the scheduler: Used and Containers mean something
	Used                Resource
	Containers          int
	QueueShare, Share   float32 // percent of the queue, of the cluster
	// Consumption so far, in MiB·s and vcores·s, and of it what was preempted.
	MemorySeconds, CoreSeconds                   int64
	PreemptedMemorySeconds, PreemptedCoreSeconds int64
	Nodes                                        []yarn.NodeID // that it has run on
}

// AttemptView is what it reports of an attempt.
type AttemptView struct {
	ID                  yarn.AttemptID
	State               pb.AttemptState
	Host                string
	Port                int32
	TrackingURL, Origin string
	Diagnostics         string
	Master              yarn.ContainerID // zero before it is allocated
	Began, Finished     time.Time
	// Due tells that its application master may call: a token for it is good.
	Due bool
}

// NodeView is what it reports of a node.
type NodeView struct {
	ID               yarn.NodeID
	HTTP, Rack       string
	Label            string
	State            pb.NodeState
	Why              string
	Used, Capability Resource
	Containers       int
	Seen             time.Time
}

// QueueView is what it reports of a leaf queue.
type QueueView struct {
	Queue
	Path                                                              string
	Used, Pending                                                     Resource
	Containers, PendingContainers                                     int
	Usage                                                             float64 // of its share, 0 to 1 and above
	Applications                                                      []yarn.ApplicationID
	Submitted, Running, PendingApps, Completed, Killed, Failed, Users int64
}

func (n *node) view() NodeView {
	return NodeView{ID: n.id, HTTP: n.http, Rack: n.rack, Label: n.label, State: n.state, Why: n.why, Used: n.used,
		Capability: n.capability, Containers: len(n.containers), Seen: n.seen}
}

// Nodes lists all nodes, those that are gone included.
func (c *Cluster) Nodes() []NodeView {
	var out []NodeView
	for _, m := range []map[yarn.NodeID]*node{c.nodes, c.gone} {
		for _, n := range sortedNodes(m) {
			out = append(out, n.view())
		}
	}
	return out
}

// Apps lists all applications by age.
func (c *Cluster) Apps(now time.Time) []AppView {
	var out []AppView
	for _, a := range c.sortedApps() {
		out = append(out, c.view(a, now))
	}
	return out
}

// App is one application.
func (c *Cluster) App(id yarn.ApplicationID, now time.Time) (AppView, error) {
	a := c.apps[id]
	if a == nil {
		return AppView{}, noApp(id)
	}
	return c.view(a, now), nil
}

func (c *Cluster) view(a *app, now time.Time) AppView {
	v := AppView{ID: a.id, Context: a.ctx, User: a.user, Queue: a.asked, State: a.state, Diagnostics: a.diagnostics, Attempts: len(a.attempts),
		Priority: a.priority, Submitted: a.submitted, Launched: a.launched, Finished: a.finished, Expire: a.expire,
		Host: notAvailable, Port: -1, TrackingURL: c.proxyURL(a.id), Origin: notAvailable}
	if v.Queue == "default" && a.queue != nil {
		v.Queue = a.queue.path() // the placement rules' doing: CSMappingPlacementRule leaves other names as they are
	}
	t := a.current()
	if t != nil {
		v.Attempt = c.viewAttempt(t)
		v.Host, v.Port, v.TrackingURL, v.Origin, v.Progress = t.host, t.port, v.Attempt.TrackingURL, v.Attempt.Origin, t.progress
		if v.Diagnostics == "" {
			v.Diagnostics = v.Attempt.Diagnostics
		}
	}
	switch a.state {
	case pb.ApplicationState_FINISHED:
		v.Final = t.outcome
	case pb.ApplicationState_FAILED:
		v.Final = pb.FinalApplicationStatus_APP_FAILED
	case pb.ApplicationState_KILLED:
		v.Final = pb.FinalApplicationStatus_APP_KILLED
	}
	mb, cores := a.mb, a.cores
	if t != nil && !a.closed {
		v.Live, v.Used, v.Containers = true, plus(a.used, Resource{}), len(t.containers)
		for _, con := range t.containers {
			ms := max(now.Sub(con.Created).Milliseconds(), 0)
			mb += con.Resource.MemoryMiB * ms
			cores += int64(con.Resource.VCores) * ms
		}
		v.Share = percent(a.used.MemoryMiB, c.total.MemoryMiB)
		v.QueueShare = percent(a.used.MemoryMiB, scaled(c.total, a.queue.Capacity/100).MemoryMiB)
	}
	v.MemorySeconds, v.CoreSeconds = mb/1000, cores/1000
	v.PreemptedMemorySeconds, v.PreemptedCoreSeconds = a.preMB/1000, a.preCores/1000
	for id := range a.ran {
		v.Nodes = append(v.Nodes, id)
	}
	return v
}

func percent(part, whole int64) float32 {
	if whole <= 0 {
		return 0
	}
	return 100 * float32(part) / float32(whole)
}

// proxyURL is where users find an application's page.
func (c *Cluster) proxyURL(id yarn.ApplicationID) string {
	return fmt.Sprintf("http://%s/proxy/%s/", c.cfg.WebAddr, id)
}

func (c *Cluster) viewAttempt(t *attempt) AttemptView {
	v := AttemptView{ID: t.id, State: t.state, Host: t.host, Port: t.port, TrackingURL: c.proxyURL(t.app.id), Origin: t.trackingURL,
		Diagnostics: t.diagnostics, Master: t.masterID, Began: t.began, Finished: t.finished, Due: t.state >= pb.AttemptState_APP_ATTEMPT_ALLOCATED && !t.over()}
	if v.Origin == "" {
		v.Origin = notAvailable
	}
	if t.app.unmanaged() || t.over() && t.state != pb.AttemptState_APP_ATTEMPT_FINISHED {
		v.TrackingURL = v.Origin // as it is, not through the proxy. Source: RMAppAttemptImpl.getTrackingUrl
	}
	if v.Diagnostics == "" {
		v.Diagnostics = c.diagnose(t)
	}
	return v
}

// Attempt is one attempt.
func (c *Cluster) Attempt(id yarn.AttemptID) (AttemptView, error) {
	t, err := c.attempt(id)
	if err != nil {
		return AttemptView{}, err
	}
	return c.viewAttempt(t), nil
}

// Attempts lists an application's.
func (c *Cluster) Attempts(id yarn.ApplicationID) ([]AttemptView, error) {
	a := c.apps[id]
	if a == nil {
		return nil, noApp(id)
	}
	var out []AttemptView
	for _, t := range a.attempts {
		out = append(out, c.viewAttempt(t))
	}
	return out, nil
}

// Containers lists the live containers that an attempt holds.
func (c *Cluster) Containers(id yarn.AttemptID) ([]Container, error) {
	t, err := c.attempt(id)
	if err != nil {
		return nil, err
	}
	var out []Container
	for _, con := range all(t.containers) {
		out = append(out, con.Container)
	}
	return out, nil
}

// Container is a live container.
func (c *Cluster) Container(id yarn.ContainerID) (Container, error) {
	if _, err := c.attempt(id.Attempt); err != nil {
		return Container{}, err
	}
	con := c.live[id]
	if con == nil {
		return Container{}, yarnError("ContainerNotFoundException", "Container with id '%s' doesn't exist in RM.", id)
	}
	return con.Container, nil
}

// Queues lists the leaf queues in the order of the configuration.
func (c *Cluster) Queues() []QueueView {
	var out []QueueView
	for _, conf := range c.cfg.Queues {
		q := c.queues[conf.Name]
		v := QueueView{Queue: q.Queue, Path: q.path(), Used: plus(q.used, Resource{}), Containers: q.count, Usage: c.use(q),
			Submitted: q.submitted, Completed: q.completed, Killed: q.killed, Failed: q.failed}
		users := make(map[string]bool)
		for _, t := range q.attempts {
			n, r := t.pendingCount()
			v.PendingContainers += n
			v.Pending = plus(v.Pending, r)
			v.Applications = append(v.Applications, t.app.id)
			users[t.app.user] = true
			if t.app.state == pb.ApplicationState_RUNNING {
				v.Running++
			} else {
				v.PendingApps++
			}
		}
		v.Users = int64(len(users))
		out = append(out, v)
	}
	return out
}
