package reconcile

import (
	"slices"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// settle makes what is asked for, and what runs, agree with what is wanted.
func (c *Core) settle() {
	for _, p := range c.pools {
		c.thin(p)
		if p.staying() > p.wanted {
			if c.ending == nil { // else end has its own order
				c.shrink(p)
			}
		} else if p.shrunk >= 0 && p.shrunk != p.wanted {
			// More is wanted again than the scheduler was told to keep.
			p.shrunk = -1
			if c.attached {
				c.do(TellShrink{p.spec.Name, p.wanted})
			}
		}
		c.ask(p)
	}
	c.stopUndrained()
}

// ask tells the provider how many more a pool needs. While the pool is held back
// the number only goes down. An ask that had no answer for AskAgain is repeated,
// in case it was lost.
func (c *Core) ask(p *pool) {
	need := max(0, p.wanted-p.staying())
	if c.now < p.hold {
		need = min(need, p.asked)
	}
	again := need > 0 && c.now-p.answered >= c.opt.AskAgain
	if need != p.asked || again {
		p.asked, p.answered = need, c.now
		c.do(Ask{p.spec.Name, need})
	}
}

// shrink brings a pool down to what is wanted. What has not come up yet holds
// nothing and goes at once, youngest first. Of those that have, the scheduler
// chooses, if there is one and they are its workers; it knows of those that have joined
// it, and is told again when another one has.
func (c *Core) shrink(p *pool) {
	excess := p.staying() - p.wanted
	choice := slices.DeleteFunc(c.sorted(), func(ct *container) bool { return ct.pool != p || !ct.live() || ct.leaving != "" || ct.silent })
	slices.Reverse(choice)
	for _, ct := range choice {
		if excess > 0 && (c.blank(ct) || c.mute(ct)) {
			c.stop(ct)
			excess--
		}
	}
	if excess == 0 {
		return
	}
	if c.attached && p.spec.Role == spec.RoleWorker {
		if p.shrunk != p.wanted || p.joined || c.now-p.toldAt >= c.opt.AskAgain { // one may have connected anew since
			p.shrunk, p.joined, p.toldAt = p.wanted, false, c.now
			c.do(TellShrink{p.spec.Name, p.wanted})
		}
		return
	}
	if p.spec.Role == spec.RoleWorker && c.now-c.orphaned < c.opt.OrphanGrace {
		return // a scheduler may come back and know better
	}
	if p.spec.Role == spec.RoleScheduler && (choice[0].came || choice[0].taken) {
		slices.Reverse(choice) // the youngest has taken over, or is about to, and fences the others
	}
	for _, ct := range choice {
		if excess > 0 && ct.live() {
			c.stop(ct)
			excess--
		}
	}
}

// blank tells that a container holds nothing, and never has: it is being launched, or waits on its node, or is on its
// way to its certificate.
func (c *Core) blank(ct *container) bool {
	return (ct.state == Starting || ct.state == Running) && !ct.came && !ct.taken
}

// mute tells that a container which an earlier attempt had, or which has its certificate, has not joined the scheduler, which is
// there and had the time to hear of it: it waits on its node, or is out of reach.
func (c *Core) mute(ct *container) bool {
	if ct.state != Running || ct.served || !c.attached {
		return false
	}
	return ct.taken && c.now-max(ct.since, ct.heard) >= c.opt.VouchGrace || ct.came && c.now-max(ct.up, c.began) >= c.opt.SilentEnd
}
