package core

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Limits of a submission. Source: YarnConfiguration (RM_APPLICATION_MAX_TAGS, RM_APPLICATION_MAX_TAG_LENGTH,
// APPLICATION_TYPE_LENGTH).
const (
	maxTags       = 20
	maxTagLength  = 100
	maxTypeLength = 20
)

// FromPB reads a resource message.
func FromPB(m *pb.Resource) Resource {
	r := Resource{MemoryMiB: m.GetMemory(), VCores: m.GetVirtualCores()}
	for _, name := range yarn.Names(m)[2:] {
		r = plus(r, Resource{Others: map[string]int64{name: yarn.Amount(m, name)}})
	}
	return r
}

// Submit takes an application on; the caller leaves ctx alone from now on. What is wrong with its form is an error; an
// application that the scheduler does not want ends as FAILED instead. Submitting twice does no harm. Source:
// ClientRMService.submitApplication, RMAppManager.createAndPopulateNewRMApp, CapacityScheduler.addApplication.
func (c *Cluster) Submit(ctx *pb.ApplicationSubmissionContext, user string, now time.Time) error {
	id := yarn.ApplicationIDFromPB(ctx.GetApplicationId())
	if c.apps[id] != nil {
		return nil
	}
	if err := checkForm(ctx); err != nil {
		return err
	}
	if t := ctx.GetApplicationType(); len(t) > maxTypeLength {
		short := t[:maxTypeLength]
		ctx.ApplicationType = &short
	}
	a := &app{id: id, ctx: ctx, user: user, asked: ctx.GetQueue(), state: pb.ApplicationState_SUBMITTED, submitted: now,
		priority: min(ctx.GetPriority().GetPriority(), c.cfg.MaxPriority), max: int(ctx.GetMaxAppAttempts()),
		ran: make(map[yarn.NodeID]bool), updated: make(map[yarn.NodeID]pb.NodeUpdateType), accept: now.Add(c.cfg.SubmitDelay)}
	if a.max <= 0 || a.max > c.cfg.MaxAttempts {
		a.max = c.cfg.MaxAttempts
	}
	if !a.unmanaged() {
		if err := c.masterAsk(a); err != nil {
			return err
		}
	}
	for _, m := range ctx.GetApplicationTimeouts() {
		a.expire = now.Add(time.Duration(m.GetTimeout()) * time.Second)
	}
	c.apps[id] = a
	if id.ClusterTimestamp == c.stamp {
		c.next = max(c.next, id.ID)
	}
	if c.cfg.SubmitDelay <= 0 {
		c.accept(a, now)
	}
	return nil
}

func checkForm(ctx *pb.ApplicationSubmissionContext) error {
	tags := ctx.GetApplicationTags()
	if len(tags) > maxTags {
		return yarnError("YarnException", "java.io.IOException: Too many applicationTags, a maximum of only %d are allowed!", maxTags)
	}
	for _, tag := range tags {
		if len(tag) > maxTagLength {
			return yarnError("YarnException", "java.io.IOException: Tag %s is too long, maximum allowed length of a tag is %d", tag, maxTagLength)
		}
		if strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r > '~' }) {
			return yarnError("YarnException", "java.io.IOException: A tag can only have ASCII characters! Invalid tag - %s", tag)
		}
	}
	for _, m := range ctx.GetApplicationTimeouts() {
		if m.GetTimeout() <= 0 {
			return yarnError("YarnException", "Invalid application timeout, value=%d for type=LIFETIME", m.GetTimeout())
		}
	}
	return nil
}

// masterAsk reads what the application master wants, and refuses what the cluster does not have.
func (c *Cluster) masterAsk(a *app) error {
	x := Ask{Name: Any, Resource: FromPB(a.ctx.GetResource())}
	for _, r := range a.ctx.GetAmContainerResourceRequest() {
		if r.GetResourceName() == Any {
			x.Resource, x.Label = FromPB(r.GetCapability()), r.NodeLabelExpression
		}
	}
	if err := c.checkAsk(a.asked, x, c.Maximum()); err != nil {
		return err
	}
	a.amResource, a.amLabel = c.normalize(x.Resource), x.Label
	return nil
}

// accept hands an application to the scheduler, which may reject it.
func (c *Cluster) accept(a *app, now time.Time) {
	q := c.queue(a.asked)
	reject := ""
	switch {
	case a.asked == "root":
		reject = fmt.Sprintf("Application %s submitted by user %s to non-leaf queue: %s", a.id, a.user, a.asked)
	case q == nil:
		reject = fmt.Sprintf("Application %s submitted by user %s to unknown queue: %s", a.id, a.user, a.asked)
	case q.Stopped:
		reject = fmt.Sprintf("org.apache.hadoop.security.AccessControlException: Queue %s is STOPPED. Cannot accept submission of application: %s", q.path(), a.id)
	}
	if reject != "" {
		c.endApp(a, pb.ApplicationState_FAILED, reject, now)
		return
	}
	a.queue = q
	q.submitted++
	a.state = pb.ApplicationState_ACCEPTED
	c.startAttempt(a, false, now)
}

// Kill ends an application. It tells whether that is stored: for an application whose master the ResourceManager
// started it is not at first, as with the real one, and the caller asks again.
func (c *Cluster) Kill(id yarn.ApplicationID, diagnostics string, now time.Time) (bool, error) {
	a := c.apps[id]
	if a == nil {
		return false, yarnError("ApplicationNotFoundException", "Trying to kill an absent application %s", id)
	}
	if a.stored {
		return true, nil
	}
	c.kill(a, diagnostics, now)
	return a.unmanaged(), nil
}

func (c *Cluster) kill(a *app, diagnostics string, now time.Time) {
	if t := a.current(); t != nil && !t.over() {
		t.diagnostics += diagnostics
		c.endAttempt(t, pb.AttemptState_APP_ATTEMPT_KILLED, now)
	}
	c.endApp(a, pb.ApplicationState_KILLED, diagnostics, now)
}

// FailAttempt makes an attempt fail.
func (c *Cluster) FailAttempt(id yarn.AttemptID, now time.Time) error {
	a := c.apps[id.App]
	if a == nil {
		return yarnError("ApplicationNotFoundException", "Trying to fail an attempt %s of an absent application %s", id, id.App)
	}
	t, err := c.attempt(id)
	if err != nil {
		return err
	}
	if !a.stored {
		c.fail(t, "Attempt failed by user.", now)
	}
	return nil
}

// Move moves an application to another queue.
func (c *Cluster) Move(id yarn.ApplicationID, queue string) error {
	a := c.apps[id]
	if a == nil {
		return yarnError("ApplicationNotFoundException", "Trying to move an absent application %s", id)
	}
	if a.stored || a.queue == nil {
		return yarnError("YarnException", "App in %s state cannot be moved.", a.state)
	}
	q := c.queue(queue)
	switch {
	case q == nil:
		return yarnError("YarnException", "The specified Queue: %s doesn't exist", queue)
	case q.Stopped:
		return yarnError("YarnException", "org.apache.hadoop.security.AccessControlException: Queue %s is STOPPED. Cannot accept submission of application: %s", q.path(), id)
	}
	t := a.current()
	for _, x := range a.attempts {
		a.queue.remove(x)
		for _, con := range x.containers {
			c.charge(con, -1)
		}
	}
	a.queue.submitted--
	a.queue, a.asked = q, q.Name
	q.submitted++
	for _, x := range a.attempts {
		for _, con := range x.containers {
			c.charge(con, 1)
		}
	}
	q.add(t)
	return nil
}

// SetPriority changes an application's priority and returns the one that it got.
func (c *Cluster) SetPriority(id yarn.ApplicationID, priority int32) (int32, error) {
	a := c.apps[id]
	if a == nil {
		return 0, yarnError("ApplicationNotFoundException", "Trying to update priority of an absent application %s", id)
	}
	if a.stored || a.queue == nil {
		return 0, yarnError("YarnException", "Application in %s state cannot update priority.", a.state)
	}
	a.priority = min(priority, c.cfg.MaxPriority)
	a.queue.sort()
	return a.priority, nil
}

// SetLifetime has an application killed at a time.
func (c *Cluster) SetLifetime(id yarn.ApplicationID, expire, now time.Time) error {
	a := c.apps[id]
	switch {
	case a == nil:
		return yarnError("ApplicationNotFoundException", "Trying to update timeouts of an absent application %s", id)
	case a.stored:
		return yarnError("YarnException", "Application is in %s state can not update timeout.", a.state)
	case !expire.After(now):
		return yarnError("YarnException", "Expire time is less than current time, current-time=%d", now.UnixMilli())
	}
	a.expire = expire
	return nil
}

// Signal has a container signalled with its node's next heartbeat.
func (c *Cluster) Signal(id yarn.ContainerID, cmd pb.SignalContainerCommand) error {
	if c.apps[id.Attempt.App] == nil {
		return yarnError("ApplicationNotFoundException", "Trying to signal an absent application %s", id.Attempt.App)
	}
	con := c.live[id]
	if con == nil {
		return yarnError("YarnException", "Trying to signal an absent container %s", id)
	}
	o := &con.node.orders
	o.Signals = append(o.Signals, tracker.Signal{ID: id, Command: cmp.Or(cmd, pb.SignalContainerCommand_GRACEFUL_SHUTDOWN)})
	return nil
}
