package reconcile

import (
	"fmt"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// The resource manager notices after ten minutes that a node is gone, and never that a
// process does nothing any more. The scheduler does within its lease. So a worker that
// it knew and knows no more, though it says whom it knows, is silent: it counts for nothing in
// what is wanted, and another is asked for in its place. It may come back, with all that it
// has; then there is one too many, and the scheduler chooses which is to leave. After SilentEnd
// it is stopped.
//
// A scheduler that has taken over gets VouchGrace to hear of its workers. A worker that has its
// certificate has SilentEnd to join.
//
// A scheduler that was there and is out of reach for LoneGrace is stopped. Another takes over
// what it kept; should it live on, it is fenced.

// look finds out which workers the scheduler has lost.
func (c *Core) look() {
	for _, ct := range c.containers {
		ct.present = ct.present && ct.heard == c.now
	}
	if !c.attached || c.ending != nil || c.now-c.began < c.opt.VouchGrace {
		return
	}
	for _, ct := range c.sorted() {
		if ct.silent || !c.unknown(ct) {
			continue
		}
		if ct.leaving == "" {
			ct.pool.leaving++
		}
		ct.silent, ct.lost = true, c.now
		c.do(NoteSilent{ct.id, fmt.Sprintf("the scheduler does not know it; another takes its place, and it is stopped in %v unless it comes back", c.opt.SilentEnd)})
	}
}

// unknown tells that the scheduler ought to know a worker, and does not.
func (c *Core) unknown(ct *container) bool {
	if ct.state != Running || ct.vouched || ct.pool.spec.Role != spec.RoleWorker {
		return false
	}
	since := c.told - max(ct.heard, ct.since, ct.up)
	switch {
	case ct.served:
		return since >= c.opt.SilentGrace
	case ct.came, ct.taken && !ct.pool.spec.Opportunistic: // else it may wait on its node
		return since >= c.opt.SilentEnd // it may have much to prepare before it joins
	}
	return false
}

// speaks notes that a worker is known again.
func (c *Core) speaks(ct *container) {
	if !ct.silent {
		return
	}
	ct.silent = false
	if ct.live() && ct.leaving == "" {
		ct.pool.leaving--
	}
	c.do(NoteBack{ct.id})
}

// tooSilent tells that a worker will not come back any more.
func (c *Core) tooSilent(ct *container) bool {
	return ct.silent && ct.live() && c.attached && c.now-ct.lost >= c.opt.SilentEnd
}

// lone tells that a scheduler which was there is out of reach for too long.
func (c *Core) lone(ct *container) bool {
	return c.opt.LoneGrace > 0 && c.ending == nil && ct.pool.spec.Role == spec.RoleScheduler && ct.state == Running && (ct.served || ct.taken) &&
		!c.attached && c.now-max(c.orphaned, ct.since, ct.heard) >= c.opt.LoneGrace
}
