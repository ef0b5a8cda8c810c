package reconcile

import (
	"fmt"
	"slices"

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
// certificate has SilentEnd to join. Where the one in its place does not join either, that one is
// not taken for lost: it is not the worker then.
//
// Where most workers fall silent, on several nodes, it is the scheduler that hears nobody. They
// live, with all that they have: nobody is replaced for BlindGrace, and while it hears of nobody
// else nobody is stopped.
//
// A scheduler that was there and is out of reach for LoneGrace is silent too. The one in its place
// takes over what it kept, and when that has attached, the first, which is fenced if it lives, is stopped.

// look finds out which workers the scheduler has lost.
func (c *Core) look() {
	for _, ct := range c.containers {
		switch {
		case ct.heard == c.now:
			ct.missed = 0
		case ct.missed == 0:
			ct.missed, ct.present = c.now, false
		}
	}
	if !c.attached || c.ending != nil || c.now-c.began < c.opt.VouchGrace {
		return
	}
	lost := c.those(func(ct *container) bool { return !ct.silent && c.unknown(ct) })
	if c.hearsNobody(lost) {
		return
	}
	for _, ct := range lost {
		if !ct.served {
			ct.pool.unjoined = max(ct.pool.unjoined, c.orders)
		}
		next := "another takes its place"
		if ct.leaving != "" {
			next = "it was to leave"
		}
		c.quiet(ct, fmt.Sprintf("the scheduler does not know it; %s, and it is stopped in %v unless it comes back", next, c.opt.SilentEnd))
	}
}

// quiet counts a container no more.
func (c *Core) quiet(ct *container, why string) {
	if ct.leaving == "" {
		ct.pool.leaving++
	}
	ct.silent, ct.lost = true, c.now
	c.do(NoteSilent{ct.id, why})
}

// hearsNobody tells that the scheduler has lost most workers at once: it is its network that is broken, until the time in
// which the cluster would have noticed otherwise.
func (c *Core) hearsNobody(lost []*container) bool {
	counts := func(ct *container) bool { // and not what came since
		return ct.state == Running && ct.served && ct.pool.spec.Role == spec.RoleWorker && (c.blind == 0 || ct.order <= c.blindTo)
	}
	known := c.those(counts)
	away, nodes := 0, map[string]bool{}
	for _, ct := range slices.Concat(lost, c.those(func(ct *container) bool { return ct.silent })) {
		if counts(ct) {
			away++
			nodes[ct.node] = true
		}
	}
	if 2*away <= len(known) || len(nodes) < 2 {
		c.blind = 0
		return false
	}
	if c.blind == 0 {
		c.blind, c.blindTo = c.now, c.orders
		c.do(NoteBlind{away, len(known)})
	}
	if c.now-c.blind >= c.opt.BlindGrace {
		return false
	}
	for _, ct := range c.containers {
		ct.lost = c.now
	}
	return true
}

// unknown tells that the scheduler ought to know a worker, and does not.
func (c *Core) unknown(ct *container) bool {
	if ct.state != Running || ct.vouched || ct.pool.spec.Role != spec.RoleWorker || ct.missed == 0 {
		return false
	}
	switch {
	case ct.served:
		return c.told-ct.missed >= c.opt.SilentGrace
	case ct.order <= ct.pool.unjoined || ct.pool.unjoined == 0:
		// One that is opportunistic and of the attempt before may wait on its node.
		return (ct.came || ct.taken && !ct.pool.spec.Opportunistic) && c.told-max(ct.missed, ct.since, ct.up) >= c.opt.SilentEnd
	}
	return false
}

// speaks notes that a container is known again.
func (c *Core) speaks(ct *container) {
	if !ct.silent {
		return
	}
	ct.silent = false
	c.do(NoteBack{ct.id})
	if ct.live() && ct.leaving == "" {
		ct.pool.leaving--
	} else if ct.live() && c.attached {
		c.do(TellDrain{[]string{ct.id}, ct.leaving})
	}
}

// giveUpSilent stops workers that will not come back any more, and has another scheduler come where the one there was is out
// of reach. It is done by the clock alone: what waited while this process was stopped, or served nobody, comes first.
func (c *Core) giveUpSilent() {
	for _, ct := range c.those(c.tooSilent) {
		c.stop(ct)
	}
	for _, ct := range c.those(c.lone) {
		c.quiet(ct, "the scheduler is out of reach for "+c.opt.LoneGrace.String()+"; another takes over what it kept in the journal")
	}
}

// tooSilent tells that a worker will not come back any more.
func (c *Core) tooSilent(ct *container) bool {
	away := c.told - ct.lost
	return ct.silent && ct.live() && ct.pool.spec.Role == spec.RoleWorker && c.attached && away >= c.opt.SilentEnd && (away >= c.opt.BlindGrace || c.hearsOf(ct))
}

// hearsOf tells that the scheduler has heard of another worker since it lost one.
func (c *Core) hearsOf(lost *container) bool {
	for _, ct := range c.containers {
		if ct != lost && ct.pool.spec.Role == spec.RoleWorker && ct.heard > lost.lost {
			return true
		}
	}
	return false
}

// lone tells that a scheduler which was there is out of reach for too long.
func (c *Core) lone(ct *container) bool {
	return c.opt.LoneGrace > 0 && c.ending == nil && ct.pool.spec.Role == spec.RoleScheduler && ct.state == Running && ct.served && !ct.silent && !ct.vouched &&
		!c.attached && c.now-max(c.orphaned, ct.since, ct.heard) >= c.opt.LoneGrace
}

// replaced stops schedulers in whose place another has attached.
func (c *Core) replaced() {
	for _, ct := range c.those(func(ct *container) bool { return ct.silent && ct.live() && ct.pool.spec.Role == spec.RoleScheduler }) {
		c.stop(ct)
	}
}
