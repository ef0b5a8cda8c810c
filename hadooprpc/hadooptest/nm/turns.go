package nm

import (
	"slices"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// turns decides which containers of a node run, and which wait for room: guaranteed ones first, for whom opportunistic
// ones are ended, the youngest first. It is pure, and guarded by Node.mu. A node without a queue has everything run.
// Source: ContainerScheduler, AllocationBasedResourceUtilizationTracker (3.4.2).
type turns struct {
	room          tracker.Resource
	places        int          // opportunistic containers that may wait
	run           []*container // in the order in which they began
	dying         map[*container]bool
	guaranteed    []*container // that wait
	opportunistic []*container
}

func newTurns(room tracker.Resource, places int) *turns {
	return &turns{room: room, places: places, dying: map[*container]bool{}}
}

func (t *turns) waiting() int { return len(t.guaranteed) + len(t.opportunistic) }

func opportunistic(c *container) bool {
	return c.token.GetExecutionType() == pb.ExecutionType_OPPORTUNISTIC
}

// came takes a container that is ready to run. It returns whether it may run now, which others are to be ended for it,
// and whether there is a place for it at all.
func (t *turns) came(c *container) (now bool, end []*container, place bool) {
	if t.places <= 0 || t.waiting() == 0 && t.fits(t.inUse(), c) {
		t.run = append(t.run, c)
		return true, nil, true
	}
	if opportunistic(c) {
		if len(t.opportunistic) > t.places {
			return false, nil, false
		}
		t.opportunistic = append(t.opportunistic, c)
		return false, nil, true
	}
	t.guaranteed = append(t.guaranteed, c)
	return false, t.victims(), true
}

// victims are the opportunistic containers whose room those need that wait with a guarantee.
func (t *turns) victims() (end []*container) {
	need := t.inUse()
	for c := range t.dying {
		need = less(need, c)
	}
	for _, c := range t.guaranteed {
		need = more(need, c)
	}
	for _, c := range slices.Backward(t.run) {
		if need.MemoryMiB <= t.room.MemoryMiB && need.VCores <= t.room.VCores {
			break
		}
		if opportunistic(c) && !t.dying[c] {
			t.dying[c] = true
			end = append(end, c)
			need = less(need, c)
		}
	}
	return end
}

// left takes a container that has ended, and returns those that may run now.
func (t *turns) left(c *container) (now []*container) {
	is := func(x *container) bool { return x == c }
	delete(t.dying, c)
	t.run = slices.DeleteFunc(t.run, is)
	t.guaranteed, t.opportunistic = slices.DeleteFunc(t.guaranteed, is), slices.DeleteFunc(t.opportunistic, is)
	for _, list := range []*[]*container{&t.guaranteed, &t.opportunistic} {
		for len(*list) > 0 && t.fits(t.inUse(), (*list)[0]) {
			now, t.run = append(now, (*list)[0]), append(t.run, (*list)[0])
			*list = (*list)[1:]
		}
		if len(*list) > 0 {
			break
		}
	}
	return now
}

func (t *turns) inUse() (r tracker.Resource) {
	for _, c := range t.run {
		r = more(r, c)
	}
	return r
}

func (t *turns) fits(used tracker.Resource, c *container) bool {
	used = more(used, c)
	return used.MemoryMiB <= t.room.MemoryMiB && used.VCores <= t.room.VCores
}

func more(r tracker.Resource, c *container) tracker.Resource {
	return tracker.Resource{MemoryMiB: r.MemoryMiB + c.resource.GetMemory(), VCores: r.VCores + c.resource.GetVirtualCores()}
}

func less(r tracker.Resource, c *container) tracker.Resource {
	return tracker.Resource{MemoryMiB: r.MemoryMiB - c.resource.GetMemory(), VCores: r.VCores - c.resource.GetVirtualCores()}
}

// await waits until a container may run. It tells whether it may.
func (n *Node) await(c *container) bool {
	n.mu.Lock()
	if c.killed {
		n.mu.Unlock()
		return false
	}
	now, end, place := n.turns.came(c)
	for _, x := range end {
		n.kill(x, yarn.ExitKilledByContainerScheduler, "Container Killed to make room for Guaranteed Container.")
	}
	if !place {
		n.kill(c, yarn.ExitKilledByContainerScheduler, "Opportunistic container queue is full.")
	}
	n.mu.Unlock()
	if now {
		return true
	}
	select {
	case <-c.turn:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// letRun lets containers run that have waited, under mu.
func (n *Node) letRun(list []*container) {
	for _, c := range list {
		close(c.turn)
	}
}
