package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// A pool may have a bound on how many of its containers are on a node (spec.Pool.MaxPerNode). The
// provider asks for them where there is room within the bound, and what comes all the same on a
// node that is full is handed back. Such containers are few: each holds the pool back, for twice as
// long as the one before it up to BackoffCap, until one comes that can be used. What an earlier attempt
// had started, and is told of late, may be too many for its node: then the youngest leaves, drained, and
// is replaced elsewhere.
//
// What is on its way out has its place on the node until its end is known.

// waitsAfter is how long nothing has to come of an ask until the bound is taken for the reason, where there are nodes that
// are not full.
const waitsAfter = 5 * time.Second

// perNode counts the containers of a pool on each node.
func (c *Core) perNode(p *pool) map[string]int {
	on := map[string]int{}
	for _, ct := range c.containers {
		if ct.pool == p {
			on[ct.node]++
		}
	}
	return on
}

// full tells whether a node has as many of a pool's containers as it may.
func (c *Core) full(p *pool, node string) bool {
	return p.spec.MaxPerNode > 0 && c.perNode(p)[node] >= p.spec.MaxPerNode
}

// crowded hands back a container that came on a node that is full.
func (c *Core) crowded(p *pool, id string) {
	c.holdBack(p, c.backoff(p.crowds))
	p.crowds++
	c.do(ReleaseContainer{id})
}

// thin has containers leave of which a node has too many, the youngest first, and those first that
// hold nothing.
func (c *Core) thin(p *pool) {
	if p.spec.MaxPerNode == 0 || c.ending != nil {
		return
	}
	on, over := map[string]int{}, false
	for _, ct := range c.containers {
		if ct.stays(p) {
			on[ct.node]++
			over = over || on[ct.node] > p.spec.MaxPerNode
		}
	}
	if !over {
		return
	}
	why := fmt.Sprintf("its node has more than %d of pool %s", p.spec.MaxPerNode, p.spec.Name)
	for _, blank := range []bool{true, false} {
		for _, ct := range slices.Backward(c.sorted()) {
			if !ct.stays(p) || on[ct.node] <= p.spec.MaxPerNode || c.blank(ct) != blank {
				continue
			}
			on[ct.node]--
			c.do(NoteDrain{ct.id, why})
			if c.leave(ct, why) && c.attached {
				c.do(TellDrain{[]string{ct.id}, why})
			}
		}
	}
}

// stays tells that a container of a pool is there, as far as the cluster has told, and has not been told to leave.
func (ct *container) stays(p *pool) bool {
	return ct.pool == p && ct.leaving == "" && (ct.state == Starting || ct.state == Running)
}

// waits says why a pool with a bound for each node waits for more; "" where it does not, or not for that.
func (c *Core) waits(p *pool) string {
	need := p.wanted - p.staying()
	if p.spec.MaxPerNode == 0 || need <= 0 || c.ending != nil {
		return ""
	}
	full := 0
	for _, n := range c.perNode(p) {
		if n >= p.spec.MaxPerNode {
			full++
		}
	}
	if full == 0 || (c.nodes == 0 || full < c.nodes) && c.now-p.stirred < waitsAfter {
		return ""
	}
	as := "as many"
	if p.spec.MaxPerNode == 1 {
		as = "one"
	}
	text := fmt.Sprintf("%s at most %d of pool %s on a node, and %s %s", plural(need, "1 worker waits:", "%d workers wait:"), p.spec.MaxPerNode, p.spec.Name,
		plural(full, "1 node has", "%d nodes have"), as)
	if others := c.nodes - full; c.nodes > 0 && others > 0 {
		text += fmt.Sprintf("; none comes on %s just now", plural(others, "the other one", "the other %d"))
	}
	return text
}

// space is how many more of a pool the cluster's nodes may have; -1: any number, or not known.
func (c *Core) space(p *pool) int {
	if p.spec.MaxPerNode == 0 || c.nodes == 0 {
		return -1
	}
	n := c.nodes * p.spec.MaxPerNode
	for _, there := range c.perNode(p) {
		n -= min(there, p.spec.MaxPerNode)
	}
	return max(0, n)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}
