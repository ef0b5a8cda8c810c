package sched

import (
	"cmp"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// terms say in which order tasks are served, which workers may run them, and what they
// take there.
//
// Slots are what a worker is charged for ahead of time as well: it is given more than
// it can run at once, and runs what fits. Memory and named resources are not: tasks
// that ask for them are given only to a worker that has them to spare for everything
// that it was given. So it may run that in any order.
type terms struct {
	priority int32
	pool     string
	only     []uint32 // hosts and workers, sorted; none is any
	slots    int
	memory   uint64
	named    []need // by resource
}

// need is so much of the resource of a number.
type need struct {
	resource uint32
	count    uint64
}

func (t *terms) compare(u terms) int {
	return cmp.Or(
		cmp.Compare(t.priority, u.priority), cmp.Compare(t.pool, u.pool), cmp.Compare(t.slots, u.slots),
		cmp.Compare(t.memory, u.memory), slices.Compare(t.only, u.only),
		slices.CompareFunc(t.named, u.named, func(a, b need) int {
			return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.count, b.count))
		}))
}

func (c *Core) termsOf(cl *graph.Class, slots int) terms {
	t := terms{priority: cl.Priority, pool: cl.Pool, slots: slots, memory: cl.Resources.Memory, named: c.needs(cl.Resources.Named)}
	if len(cl.Hosts) > 0 {
		t.only = c.hostNumbers(cl.Hosts)
		slices.Sort(t.only)
	}
	return t
}

// needs interns names.
func (c *Core) needs(a graph.Amounts) (out []need) {
	for _, x := range a {
		n, ok := c.resources[x.Name]
		if !ok {
			n = uint32(len(c.resources))
			c.resources[x.Name] = n
		}
		out = append(out, need{n, min(x.Count, maxSize)})
	}
	slices.SortFunc(out, func(a, b need) int { return cmp.Compare(a.resource, b.resource) })
	return out
}

// goods is what a worker has for tasks, or has given to them, besides slots.
type goods struct {
	memory uint64 // bytes, 0 is any amount
	named  []uint64
}

func (c *Core) goodsOf(ev *WorkerJoined) goods {
	g := goods{memory: ev.TaskMemory}
	for _, n := range c.needs(ev.Named) {
		g.put(n.resource, n.count)
	}
	return g
}

func (g *goods) of(resource uint32) uint64 {
	if int(resource) < len(g.named) {
		return g.named[resource]
	}
	return 0
}

func (g *goods) put(resource uint32, count uint64) {
	for int(resource) >= len(g.named) {
		g.named = append(g.named, 0)
	}
	g.named[resource] = count
}

func (g *goods) add(l *lane) {
	g.memory += l.memory
	for _, n := range l.named {
		g.put(n.resource, g.of(n.resource)+n.count)
	}
}

func (g *goods) remove(l *lane) {
	g.memory -= l.memory
	for _, n := range l.named {
		g.put(n.resource, g.of(n.resource)-n.count)
	}
}

// fits reports whether w is one of the workers that may run tasks of l.
func (w *worker) fits(l *lane) bool {
	if l.slots > w.slots || l.pool != "" && l.pool != w.pool || !w.offers(l, &goods{}) {
		return false
	}
	if len(l.only) == 0 {
		return true
	}
	_, host := slices.BinarySearch(l.only, w.host)
	_, name := slices.BinarySearch(l.only, w.name)
	return host || name
}

// spares reports whether w, which may run tasks of l, has enough for one more beside
// all that it was given.
func (w *worker) spares(l *lane) bool { return w.offers(l, &w.taken) }

func (w *worker) offers(l *lane, taken *goods) bool {
	if l.memory > 0 && w.has.memory > 0 && l.memory > w.has.memory-min(taken.memory, w.has.memory) {
		return false
	}
	for _, n := range l.named {
		has := w.has.of(n.resource)
		if n.count > has-min(taken.of(n.resource), has) {
			return false
		}
	}
	return true
}
