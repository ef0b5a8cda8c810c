package reconcile

import (
	"fmt"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// schedulerBackoff is the longest pause before another scheduler.
const schedulerBackoff = 5 * time.Second

// judge draws the consequences of the end of a container that was wanted.
func (c *Core) judge(ct *container, cause Cause, status int32, why string) {
	p := ct.pool
	if ct.strikes(cause, status) {
		c.strike(ct, cause, status, why)
	}
	switch {
	case cause == Preempted || cause == Unreachable || cause == Voided:
		// Asking again at once would meet the same cluster.
		c.holdBack(p, c.opt.BackoffBase)
	case cause.Blameless():
	case c.starved(ct, cause):
		// The next one reads the same state, and is as large before long.
		p.starved++
		c.holdBack(p, min(c.backoff(p.starved-1), schedulerBackoff))
		c.failIfStarved(p, ct, cause, status, why)
	case ct.well:
		// It did its work for a while: not a crash loop, whatever killed it.
		c.holdBack(p, c.opt.BackoffBase)
	case ct.cameUp() && killed(cause, status):
		// It did not end by itself. Whoever kills one after the other does not make the program
		// a bad one; and a task that has workers killed is found out by the scheduler, which
		// blames it.
		c.holdBack(p, c.opt.BackoffBase)
	case ct.round < p.round:
		// Its round has been counted already.
	default:
		p.failures++
		p.round++
		p.delay = max(p.delay, c.backoff(p.failures-1))
		if p.spec.Role == spec.RoleScheduler { // all work waits for this one container
			p.delay = min(p.delay, schedulerBackoff)
		}
		c.holdBack(p, p.delay)
		c.failIfHopeless(p, ct, cause, status, why)
	}
}

// starvedTime is how long a scheduler has to be well until it is seen that its memory is enough.
const starvedTime = 10 * time.Minute

// starved tells that a scheduler had come up, and was ended for its memory soon after.
func (c *Core) starved(ct *container, cause Cause) bool {
	return ct.pool.spec.Role == spec.RoleScheduler && cause == OverMemory && (ct.well || ct.served) && c.now-ct.since < starvedTime
}

// failIfStarved ends the application when one scheduler after the other was ended for its memory.
func (c *Core) failIfStarved(p *pool, ct *container, cause Cause, status int32, why string) {
	if limit := p.spec.Restarts(); limit < 0 || p.starved <= limit {
		return
	}
	text := fmt.Sprintf("the memory of the scheduler (%d MiB) is too little for what it has to keep: %d in a row did not last %v; the last, %s on %s, %s",
		p.spec.Resource.MemoryMiB, p.starved, starvedTime, ct.id, ct.node, cause.Describe(status))
	if why != "" {
		text += ": " + why
	}
	c.beginEnd(Stop{Status: Failed, Why: text + "; submit again with more --scheduler-memory, or with fewer tasks at a time"})
	c.ending.culprit = ct.id
}

// cameUp tells that the program was seen to run. Of a worker its certificate shows it: the scheduler may not have told of it
// yet. A scheduler has read the journal only when it attaches.
func (ct *container) cameUp() bool {
	return ct.served || ct.pool.spec.Role == spec.RoleWorker && (ct.came || ct.taken)
}

// killed tells that a process was ended from outside. The signals that a process brings
// upon itself, such as SIGSEGV and SIGABRT, are crashes. Workers and schedulers end with 0 when they get SIGTERM, and
// never else: so do those that an attempt before this one had told to end.
func killed(cause Cause, status int32) bool {
	const sigkill, sigterm = 9, 15
	return cause == Signalled && (status == statusSignalBase+sigkill || status == statusSignalBase+sigterm) || cause == Exited && status == 0
}

func (c *Core) holdBack(p *pool, d time.Duration) { p.hold = max(p.hold, c.now+d) }

// failIfHopeless ends the application when a pool has failed too often and none
// of its containers shows that it can be done.
func (c *Core) failIfHopeless(p *pool, ct *container, cause Cause, status int32, why string) {
	limit := p.spec.Restarts()
	if limit < 0 || p.failures <= limit {
		return
	}
	for _, other := range c.containers {
		if other.pool == p && other.well && other.live() {
			return
		}
	}
	text := fmt.Sprintf("pool %s: %d containers in a row did not stay up; the last, %s on %s, %s", p.spec.Name, p.failures, ct.id, ct.node, cause.Describe(status))
	if why != "" {
		text += ": " + why
	}
	c.beginEnd(Stop{Status: Failed, Why: text})
	c.ending.culprit = ct.id
}

// refused ends an application that the cluster has no workers for: its pool is of a kind
// that the cluster does not have, and there are no others, nor shall be. A pool that was
// in use may be so again.
func (c *Core) refused(ev Refused) {
	if !ev.Unoffered {
		return
	}
	for _, p := range c.pools {
		meant := p.spec.Count > 0 || p.spec.Adapt != nil || p.wanted > 0
		if p.spec.Role == spec.RoleWorker && (p.used || meant && !p.spec.Opportunistic) {
			return
		}
	}
	c.beginEnd(Stop{Status: Failed, Why: ev.Why})
}

// backoff returns the delay before the round after n failed ones: BackoffBase
// doubled n times, plus up to a quarter so that pools do not march in step, and
// never more than BackoffCap. Being capped last, it never falls as n grows.
func (c *Core) backoff(n int) time.Duration {
	d := c.opt.BackoffBase
	for range n {
		if d >= c.opt.BackoffCap {
			break
		}
		d *= 2
	}
	d += time.Duration(c.rand() % uint64(d/4+1))
	return min(d, c.opt.BackoffCap)
}

// rand is SplitMix64 (Steele, Lea, Flood 2014): small, and fixed by the seed.
func (c *Core) rand() uint64 {
	c.random += 0x9e3779b97f4a7c15
	z := c.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// pass lets time do its work: containers become well, idleness ends the
// application, stops that nobody confirmed are given up.
func (c *Core) pass() {
	c.noteUse()
	for _, ct := range c.sorted() {
		switch {
		case ct.state == Running && !ct.well && c.ranFor(ct) >= ct.pool.spec.Healthy():
			ct.well = true
			c.clear(ct.node)
			if p := ct.pool; ct.round == p.round {
				p.failures, p.delay = 0, 0
			}
		case ct.state == Running && ct.pool.starved > 0 && c.now-ct.since >= starvedTime:
			ct.pool.starved = 0
		case ct.state == Missing:
			c.giveUpMissing(ct)
		case ct.state == Running && ct.vouched:
			c.giveUpUnheard(ct)
		case ct.state == Stopping && c.now-ct.since >= c.opt.GiveUp:
			c.do(ReleaseContainer{ct.id})
			c.remove(ct.id, StoppedByUs, StatusAborted, "its end was never reported")
		}
	}
	if c.opt.IdleTimeout > 0 && c.ending == nil && c.now-c.active >= c.opt.IdleTimeout {
		c.beginEnd(Stop{Status: Succeeded, Why: fmt.Sprintf("idle for %v", c.opt.IdleTimeout)})
	}
}

// came notes that the process of a container is there.
func (c *Core) came(ct *container) {
	if !ct.came {
		ct.came, ct.up = true, c.now
	}
}

// ranFor is how long a container has run. One that is opportunistic may wait on its node for long before its process begins.
func (c *Core) ranFor(ct *container) time.Duration {
	switch {
	case !ct.pool.spec.Opportunistic:
		return c.now - ct.since
	case !ct.came:
		return 0
	}
	return c.now - max(ct.since, ct.up)
}

func (c *Core) noteUse() {
	if c.clients > 0 || c.busy || c.driven() {
		c.active = c.now
	}
}
