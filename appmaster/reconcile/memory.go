package reconcile

import (
	"cmp"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// Memory is what the next attempt of the application master has to know and cannot
// learn from the cluster. The zero value is that of an application that begins.
type Memory struct {
	Pools      []PoolMemory      `json:"pools,omitempty"`
	Containers []ContainerMemory `json:"containers,omitempty"` // oldest first
	Avoided    []AvoidMemory     `json:"avoided,omitempty"`    // nodes
	Stop       *Stop             `json:"stop,omitempty"`       // the end has begun
}

// PoolMemory is what is remembered of a pool.
type PoolMemory struct {
	Name     string `json:"name"`
	Wanted   int    `json:"wanted"`
	Failures int    `json:"failures,omitempty"` // rounds in a row that failed
	Starved  int    `json:"starved,omitempty"`  // schedulers in a row that were ended for their memory
	Used     bool   `json:"used,omitempty"`     // it has had containers, or was to have
}

// ContainerMemory is a container that was started and whose end was not seen.
type ContainerMemory struct {
	ID       string `json:"id"`
	Pool     string `json:"pool"`
	Node     string `json:"node"`
	Well     bool   `json:"well,omitempty"`
	Served   bool   `json:"served,omitempty"`   // the scheduler has heard of it, or it is one that was there
	Leaving  string `json:"leaving,omitempty"`  // why the scheduler drains it
	Wanted   bool   `json:"wanted,omitempty"`   // the cluster wants it back
	Stopping bool   `json:"stopping,omitempty"` // it was told to end
}

// Recalled tells what the attempt before this one knew. It comes before anything else.
// Containers that are remembered count as live for AdoptGrace or SoleGrace, so that no
// others are asked for in their place: the cluster may tell of them late, when the resource
// manager has restarted as well. One of which nothing is heard in that time, neither from
// the cluster (Adopted) nor from the scheduler (Heard), is taken for lost.
type Recalled struct {
	Memory  Memory
	Adopted []Adoptee // what the cluster has told of already
}

func (Recalled) event() {}

// Memory returns what the next attempt has to know.
func (c *Core) Memory() Memory {
	var m Memory
	for _, p := range c.pools {
		m.Pools = append(m.Pools, PoolMemory{p.spec.Name, p.wanted, p.failures, p.starved, p.used})
	}
	for _, ct := range c.sorted() {
		if ct.state == Starting {
			continue // the cluster takes back what was not started
		}
		m.Containers = append(m.Containers, ContainerMemory{ct.id, ct.pool.spec.Name, ct.node, ct.well, ct.served, ct.leaving, ct.wanted, ct.state == Stopping})
	}
	for _, v := range c.Avoided() {
		m.Avoided = append(m.Avoided, AvoidMemory(v))
	}
	if c.ending != nil {
		stop := c.ending.Stop
		m.Stop = &stop
	}
	return m
}

// recall takes over what an earlier attempt knew.
func (c *Core) recall(m Memory) {
	for _, pm := range m.Pools {
		if p := c.pool(pm.Name); p != nil {
			p.wanted, p.failures, p.starved, p.used = pm.Wanted, pm.Failures, pm.Starved, pm.Used
		}
	}
	for _, cm := range m.Containers {
		p := c.pool(cm.Pool)
		if p == nil || c.containers[cm.ID] != nil {
			continue
		}
		ct := c.take(cm.ID, cm.Node, p)
		ct.taken, ct.served = true, cm.Served
		if ct.well = cm.Well; ct.well {
			c.clear(ct.node)
		}
		if ct.leaving = cm.Leaving; ct.leaving != "" {
			p.leaving++
		}
		ct.wanted = cm.Wanted
		c.enter(ct, Missing)
		if cm.Stopping {
			c.enter(ct, Stopping) // it is stopped again when the cluster tells of it
		}
	}
	c.recallAvoided(m.Avoided)
	if m.Stop != nil {
		c.beginEnd(*m.Stop)
	}
}

// adopt takes over what an earlier attempt started. What is too much is found by
// the ordinary way of shrinking.
func (c *Core) adopt(list []Adoptee) {
	for _, a := range list {
		if ct := c.containers[a.ID]; ct != nil {
			c.found(ct, a)
			continue
		}
		if c.seen.has(a.ID) {
			continue
		}
		c.seen.add(a.ID, true)
		p := c.pool(a.Pool)
		if p == nil || c.ending != nil {
			c.do(StopContainer{a.ID})
			continue
		}
		ct := c.take(a.ID, a.Node, p)
		ct.taken = true
		c.enter(ct, Running)
	}
}

// found notes that the cluster tells of a container that was remembered.
func (c *Core) found(ct *container, a Adoptee) {
	first := !c.seen.given(ct.id)
	c.seen.add(ct.id, true)
	ct.vouched = false
	switch {
	case ct.state == Missing:
		ct.node = cmp.Or(a.Node, ct.node)
		c.enter(ct, Running)
	case ct.state == Stopping && first:
		c.do(StopContainer{ct.id}) // the order of before may have reached nobody
	}
}

// giveUpMissing takes a container for lost of which nothing was heard for too long.
func (c *Core) giveUpMissing(ct *container) {
	grace := c.opt.AdoptGrace
	if ct.pool.spec.Role == spec.RoleDriver {
		grace = c.opt.SoleGrace // of schedulers a second one fences the first
	}
	if c.now-ct.since < grace {
		return
	}
	c.do(ReleaseContainer{ct.id})
	c.remove(ct.id, Lost, StatusAborted, "an earlier attempt had it, and the cluster told this one nothing of it for "+grace.String())
}

// A container that had hardly begun when its application master died is taken back by the
// resource manager, which tells the next one nothing of it. The scheduler may have heard
// of it all the same, and so the core: it counts on the scheduler's word, for as long as that
// is given. A scheduler that has just begun gets time to hear of its workers.

// hear takes in which containers the scheduler knows.
func (c *Core) hear(ev Heard) {
	for _, id := range ev.IDs {
		ct := c.containers[id]
		if ct == nil {
			continue
		}
		if ct.state == Missing {
			c.seen.add(id, true)
			c.enter(ct, Running)
			ct.vouched = true
		}
		if !ct.present {
			ct.pool.joined, ct.pool.unjoined = true, 0
		}
		if !ct.served {
			c.served++
		}
		c.came(ct)
		c.speaks(ct)
		ct.heard, ct.served, ct.present = c.now, true, true
	}
	if ev.All {
		c.told = c.now
		c.look()
	}
}

// vouchAnew lets a scheduler that has just attached hear of what the one before knew.
func (c *Core) vouchAnew() {
	for _, ct := range c.containers {
		ct.heard, ct.missed, ct.lost, ct.present = c.now, 0, c.now, false
	}
}

// giveUpUnheard takes a container for lost of which only the scheduler knew, and knows no
// more.
func (c *Core) giveUpUnheard(ct *container) {
	mute := !c.attached && ct.pool.spec.Role == spec.RoleWorker // nobody is there who could hear of it
	if mute || c.now-ct.heard < c.opt.VouchGrace {
		return
	}
	c.do(ReleaseContainer{ct.id})
	c.remove(ct.id, Lost, StatusAborted, "nothing was heard of it for "+c.opt.VouchGrace.String()+", and the cluster told this attempt nothing of it")
}
