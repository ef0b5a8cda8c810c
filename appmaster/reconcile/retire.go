package reconcile

import (
	"cmp"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// Containers that a person names leave one by one, whatever their pools want: the
// scheduler drains them and names them in a Release. Meanwhile they run, and count
// for nothing in what is wanted, so that others may take their place before they
// are gone. One that has not come up yet holds nothing and goes at once. Should
// there be no scheduler for OrphanGrace, nobody can drain them, and they are
// stopped as they are. What the cluster wants back leaves in the same way, but that
// it is the cluster which ends it then.

func (c *Core) retire(ev Retire) {
	var drained []string
	for _, id := range ev.IDs {
		ct := c.containers[id]
		if c.ending != nil || ct == nil || !ct.live() || ct.leaving != "" && ct.leaving != takenBack || ct.pool.spec.Role != spec.RoleWorker {
			continue
		}
		if !ev.Replace {
			ct.pool.wanted = max(0, ct.pool.wanted-1)
		}
		if ct.leaving == takenBack { // it is on its way
			ct.leaving = cmp.Or(ev.Reason, retired)
			continue
		}
		if c.leave(ct, ev.Reason) {
			drained = append(drained, id)
		}
	}
	if len(drained) > 0 && c.attached {
		c.do(TellDrain{drained, ev.Reason})
	}
}

// preempt has workers leave that the cluster wants back. Schedulers and drivers stay
// until they are taken.
func (c *Core) preempt(ev Preempt) {
	var drained []string
	for _, id := range ev.IDs {
		ct := c.containers[id]
		if c.ending != nil || ct == nil || !ct.live() || ct.leaving != "" || ct.pool.spec.Role != spec.RoleWorker {
			continue
		}
		ct.wanted = true
		if c.leave(ct, takenBack) {
			drained = append(drained, id)
		}
	}
	if len(drained) > 0 && c.attached {
		c.do(TellDrain{drained, takenBack})
	}
}

// takenBack is why a worker leaves that the cluster wants back.
const takenBack = "the cluster takes the container back for others"

// leave has a container leave, and tells whether the scheduler has to drain it.
func (c *Core) leave(ct *container, why string) bool {
	if c.blank(ct) {
		c.stop(ct)
		return false
	}
	ct.leaving = cmp.Or(why, retired)
	if ct.silent {
		return false // it counts already, and is told of when it is known again
	}
	ct.pool.leaving++
	return true
}

const retired = "retired"

// drainAgain tells a new scheduler what the one before it was told.
func (c *Core) drainAgain() {
	for _, ct := range c.sorted() {
		if ct.live() && ct.leaving != "" && !ct.silent {
			c.do(TellDrain{[]string{ct.id}, ct.leaving})
		}
	}
}

// stopUndrained ends what nobody is there to drain.
func (c *Core) stopUndrained() {
	if c.attached || c.now-c.orphaned < c.opt.OrphanGrace {
		return
	}
	for _, ct := range c.sorted() {
		instead := ct.silent && ct.pool.spec.Role == spec.RoleWorker && ct.pool.staying() >= ct.pool.wanted // there is another, or none is wanted
		if ct.leaving != "" && !ct.wanted || instead {
			c.stop(ct)
		}
	}
}

// uncount takes a live container out of its pool's counts.
func (ct *container) uncount() {
	ct.pool.live--
	if ct.leaving != "" || ct.silent {
		ct.pool.leaving--
	}
}

// staying is how many of the live containers count for what is wanted.
func (p *pool) staying() int { return p.live - p.leaving }
