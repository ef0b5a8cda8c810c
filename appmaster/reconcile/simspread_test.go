package reconcile

import "fmt"

// simNodes have room for so many of the pool wide each.
const (
	simNodes   = 4
	simPerNode = 2
)

// allocate gives a container, on a node within the pool's bound but for faults, if there is one.
func (s *sim) allocate(pool string) bool {
	node, on := s.node(), map[string]int{}
	for _, box := range s.alive {
		if box.pool == pool && (box.told || !s.evil) { // else it is overlooked
			on[box.node]++
		}
	}
	if most := maxPerNode(pool); most > 0 && on[node] >= most && !(s.evil && s.chance(10)) {
		return false
	}
	s.nextID++
	box := &simBox{id: fmt.Sprintf("c%d", s.nextID), pool: pool, node: node, away: s.now}
	s.alive[box.id] = box
	s.inbox = append(s.inbox, Allocated{box.id, pool, box.node})
	return true
}

func (s *sim) node() string { return fmt.Sprintf("n%d", s.rng.IntN(simNodes)) }

func maxPerNode(pool string) int {
	for _, p := range simPools {
		if p.Name == pool {
			return p.MaxPerNode
		}
	}
	return 0
}

// within checks the bounds for each node: what a core of this attempt starts does not exceed them, and what is found in
// excess of them leaves.
func (s *sim) within(acts []Action) {
	s.t.Helper()
	there, staying := map[string]int{}, map[string]int{}
	for _, ct := range s.core.containers {
		most := ct.pool.spec.MaxPerNode
		if most == 0 {
			continue
		}
		there[ct.node]++
		if ct.live() && ct.state != Missing && ct.leaving == "" {
			staying[ct.node]++
		}
		if staying[ct.node] > most && !s.core.Ending() {
			s.fail("%d of %s on %s", staying[ct.node], ct.pool.spec.Name, ct.node)
		}
	}
	for _, a := range acts {
		if a, ok := a.(StartContainer); ok && maxPerNode(a.Pool) > 0 && there[a.Node] > maxPerNode(a.Pool) {
			s.fail("%s is started as number %d of %s on %s", a.ID, there[a.Node], a.Pool, a.Node)
		}
		if a, ok := a.(NoteDrain); ok {
			s.thinned++
			if pool := s.twin.pools[a.ID]; maxPerNode(pool) == 0 {
				s.fail("%s of pool %s leaves, which has no bound", a.ID, pool)
			}
		}
	}
}
