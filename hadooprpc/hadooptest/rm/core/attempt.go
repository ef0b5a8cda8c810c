package core

import (
	"fmt"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// attempt is the life of one application master.
type attempt struct {
	id    yarn.AttemptID
	app   *app
	state pb.AttemptState

	host                            string
	port                            int32
	trackingURL                     string // as the master told, "N/A" before; "" when it has none
	diagnostics                     string
	outcome                         pb.FinalApplicationStatus
	progress                        float32
	began, launched, finished, seen time.Time
	exit                            yarn.ExitStatus // of the master's container
	failedFor                       bool            // ended by failure

	master   *container
	masterID yarn.ContainerID
	counter  int64 // of container ids, epoch included

	registered bool
	responseID int32
	last       *Allocation

	groups    []*group // by priority, then request id
	offhand   []*offhand
	blacklist map[string]bool
	// containers that it holds, fresh those of them that it was not told of.
	containers map[yarn.ContainerID]*container
	fresh      []*container
	done       []Completed // not told yet
	told       []Completed // told with the last response, to be acknowledged with the next request
	tokens     map[yarn.NodeID]bool
	strict     map[yarn.ContainerID]bool
	negotiable map[yarn.ContainerID]bool
	updates    []Updated
	previous   []*container // taken back late, to be told as containers from previous attempts
}

const notAvailable = "N/A"

func newAttempt(a *app, number int32, now time.Time) *attempt {
	return &attempt{
		id: yarn.AttemptID{App: a.id, Attempt: number}, app: a, state: pb.AttemptState_APP_ATTEMPT_SCHEDULED,
		host: notAvailable, port: -1, trackingURL: notAvailable, began: now, responseID: -1, exit: yarn.ExitInvalid,
		blacklist: make(map[string]bool), containers: make(map[yarn.ContainerID]*container), tokens: make(map[yarn.NodeID]bool),
		strict: make(map[yarn.ContainerID]bool), negotiable: make(map[yarn.ContainerID]bool),
	}
}

// over tells that the attempt has ended.
func (t *attempt) over() bool {
	switch t.state {
	case pb.AttemptState_APP_ATTEMPT_FINISHED, pb.AttemptState_APP_ATTEMPT_FAILED, pb.AttemptState_APP_ATTEMPT_KILLED:
		return true
	}
	return false
}

// counts tells whether its failure counts towards the limit of attempts. Source:
// RMAppAttemptImpl.shouldCountTowardsMaxAttemptRetry.
func (t *attempt) counts() bool {
	if !t.failedFor {
		return false
	}
	switch t.exit {
	case yarn.ExitPreempted, yarn.ExitAborted, yarn.ExitDisksFailed, yarn.ExitKilledByResourceManager:
		return false
	}
	return true
}

func (t *attempt) forgetNew(con *container) {
	for i, x := range t.fresh {
		if x == con {
			t.fresh = append(t.fresh[:i], t.fresh[i+1:]...)
			return
		}
	}
}

func (t *attempt) nextID() yarn.ContainerID {
	t.counter++
	return yarn.ContainerID{Attempt: t.id, ID: t.counter}
}

// strip takes an attempt's containers away, but for those that run when keep is set, and the attempt off its queue.
func (c *Cluster) strip(t *attempt, keep bool, now time.Time) {
	if t.app.queue != nil {
		t.app.queue.remove(t)
	}
	t.groups, t.offhand, t.previous = nil, nil, nil
	for _, con := range all(t.containers) {
		if keep && con.Phase == Running && con != t.master {
			continue
		}
		c.displace(con, now)
		if con.node.state == pb.NodeState_NS_RUNNING {
			con.node.cleanUp(con.ID, yarn.ExitKilledByResourceManager)
		}
	}
	t.fresh = nil
	for _, d := range t.told {
		c.heard(d)
	}
	t.told = nil
	if !keep {
		for _, d := range t.done {
			c.heard(d)
		}
		t.done = nil
	}
}

// endAttempt closes an attempt with a state.
func (c *Cluster) endAttempt(t *attempt, state pb.AttemptState, now time.Time) {
	t.finished, t.progress = now, 1
	t.registered, t.last = false, nil
	t.failedFor = state == pb.AttemptState_APP_ATTEMPT_FAILED
	t.state = state
	if state == pb.AttemptState_APP_ATTEMPT_FINISHED {
		return
	}
	// Its page and its port are no more. Source: RMAppAttemptImpl.invalidateAMHostAndPort, setTrackingUrlToRMAppPage.
	t.host, t.port = notAvailable, -1
	t.trackingURL = c.appPage(t.app.id)
}

// appPage is the ResourceManager's page of an application.
func (c *Cluster) appPage(id yarn.ApplicationID) string {
	return fmt.Sprintf("http://%s/cluster/app/%s", c.cfg.WebAddr, id)
}

// fail ends an attempt by failure.
func (c *Cluster) fail(t *attempt, diagnostics string, now time.Time) {
	if t.over() {
		return
	}
	t.diagnostics += diagnostics
	c.endAttempt(t, pb.AttemptState_APP_ATTEMPT_FAILED, now)
	c.strip(t, t.app.keep() && c.mayRetry(t.app, now), now)
	c.attemptFailed(t, now)
}

// masterEnded is the end of a master's container.
func (c *Cluster) masterEnded(t *attempt, done Completed, now time.Time) {
	t.exit = done.Exit
	switch {
	case t.over():
	case t.state == pb.AttemptState_APP_ATTEMPT_FINISHING:
		c.finished(t, now)
	default:
		c.fail(t, fmt.Sprintf("AM Container for %s exited with  exitCode: %d\nFailing this attempt.Diagnostics: %s"+
			"For more detailed output, check the application tracking page: %s Then click on links to logs of each attempt.\n",
			t.id, done.Exit, done.Diagnostics, c.appPage(t.app.id)), now)
	}
}

// finished is the end of an attempt that has unregistered.
func (c *Cluster) finished(t *attempt, now time.Time) {
	c.endAttempt(t, pb.AttemptState_APP_ATTEMPT_FINISHED, now)
	c.strip(t, false, now)
	c.endApp(t.app, pb.ApplicationState_FINISHED, t.diagnostics, now)
}

// Launched tells that the node has taken an application master's container.
func (c *Cluster) Launched(id yarn.AttemptID, now time.Time) {
	t, err := c.attempt(id)
	if err != nil || t.state != pb.AttemptState_APP_ATTEMPT_ALLOCATED {
		return
	}
	t.state, t.launched, t.seen = pb.AttemptState_APP_ATTEMPT_LAUNCHED, now, now
	if t.app.launched.IsZero() {
		t.app.launched = now
	}
}

// LaunchFailed tells that the node has not.
func (c *Cluster) LaunchFailed(id yarn.AttemptID, why string, now time.Time) {
	if t, err := c.attempt(id); err == nil && t.state == pb.AttemptState_APP_ATTEMPT_ALLOCATED {
		c.fail(t, fmt.Sprintf("Error launching %s. Got exception: %s", id, why), now)
	}
}

func (c *Cluster) attempt(id yarn.AttemptID) (*attempt, error) {
	a := c.apps[id.App]
	if a == nil {
		return nil, noApp(id.App)
	}
	if id.Attempt < 1 || int(id.Attempt) > len(a.attempts) {
		return nil, noAttempt(id)
	}
	return a.attempts[id.Attempt-1], nil
}
