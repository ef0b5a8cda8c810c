package core

import (
	"cmp"
	"slices"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// Any is the resource name of an ask for any node.
const Any = "*"

// Ask is one row of what an application master wants: Count containers in all at a host, in a rack, or anywhere.
type Ask struct {
	Priority  int32
	RequestID int64 // -1 for none
	Name      string
	Resource  Resource
	Count     int
	Relax     bool
	Label     *string // nil: the application's or the queue's
	Execution pb.ExecutionType
}

// group is all rows of a priority and request id. The scheduler knows one size for each row, and a later one replaces an
// earlier one. Source: SchedulerRequestKey, LocalityAppPlacementAllocator.updatePendingAsk.
type group struct {
	priority int32
	request  int64
	rows     map[string]Ask
	// missed counts heartbeats of nodes that would have done but for their place, since the last allocation; beat is
	// the heartbeat that was counted last.
	missed int
	beat   int64
}

func (g *group) pending() int { return g.rows[Any].Count }

// local tells whether the group prefers some hosts or racks.
func (g *group) local() bool { return len(g.rows) > 1 }

// ask puts rows in place of those that were there.
func (t *attempt) ask(asks []Ask) {
	for _, x := range asks {
		x.Count = max(x.Count, 0)
		i, found := slices.BinarySearchFunc(t.groups, x, func(g *group, x Ask) int {
			return cmp.Or(cmp.Compare(g.priority, x.Priority), cmp.Compare(g.request, x.RequestID))
		})
		if !found {
			if x.Count == 0 {
				continue
			}
			t.groups = slices.Insert(t.groups, i, &group{priority: x.Priority, request: x.RequestID, rows: make(map[string]Ask)})
		}
		g := t.groups[i]
		if x.Count == 0 && x.Name != Any {
			delete(g.rows, x.Name)
		} else {
			g.rows[x.Name] = x
		}
	}
	t.groups = slices.DeleteFunc(t.groups, func(g *group) bool { return g.pending() == 0 && !g.local() })
}

// pendingCount is how many containers are outstanding, and what they take.
func (t *attempt) pendingCount() (n int, r Resource) {
	for _, g := range t.groups {
		row := g.rows[Any]
		n += row.Count
		r = plus(r, scaled(row.Resource, float64(row.Count)))
	}
	return n, r
}

// locality is how close a node is to what a group wants.
type locality uint8

const (
	nowhere locality = iota
	anywhere
	sameRack
	sameHost
)

// match tells how a node would do for a group, and whether it does now. Hosts come first; after as many fruitless
// heartbeats as there are nodes, racks; after twice as many, any node, as far as relaxed locality allows. The real delay
// is yarn.scheduler.capacity.node-locality-delay, bounded by the number of nodes. A host's row is of no
// use without its rack's. Source: RegularContainerAllocator.
func (g *group) match(n *node, nodes int) (Ask, locality) {
	anyRow := g.rows[Any]
	if anyRow.Count == 0 {
		return Ask{}, nowhere
	}
	rack, hasRack := g.rows[n.rack]
	if r := g.rows[n.id.Host]; r.Count > 0 && rack.Count > 0 {
		return r, sameHost
	}
	if hasRack && rack.Count > 0 {
		if !rack.Relax || g.missed < nodes && g.hosts() {
			return Ask{}, nowhere
		}
		return rack, sameRack
	}
	if !anyRow.Relax || g.local() && g.missed < 2*nodes {
		return Ask{}, nowhere
	}
	return anyRow, anywhere
}

// hosts tells whether there are rows of hosts, as far as a name tells: racks begin with a slash.
func (g *group) hosts() bool {
	for name, r := range g.rows {
		if name != Any && name[0] != '/' && r.Count > 0 {
			return true
		}
	}
	return false
}

// took takes one from each row that an allocation on n satisfies, and returns these rows.
func (g *group) took(n *node, l locality) (from []Ask) {
	names := []string{Any}
	if l >= sameRack {
		names = append(names, n.rack)
	}
	if l == sameHost {
		names = append(names, n.id.Host)
	}
	for _, name := range names {
		if r, ok := g.rows[name]; ok && r.Count > 0 {
			r.Count--
			g.rows[name] = r
			from = append(from, r)
		}
	}
	if l == sameHost || !g.local() {
		g.missed = 0
	}
	return from
}

// restore undoes took: the container was lost before anybody heard of it. Source:
// AbstractYarnScheduler.recoverResourceRequestForContainer.
func (t *attempt) restore(from []Ask) {
	for _, x := range from {
		x.Count = 1
		for _, g := range t.groups {
			if g.priority == x.Priority && g.request == x.RequestID {
				x.Count += g.rows[x.Name].Count
			}
		}
		t.ask([]Ask{x})
	}
}
