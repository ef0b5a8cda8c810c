package yarn

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// A pool with a bound for each node (spec.Pool.MaxPerNode) is asked for by host, in rows that are not to be relaxed:
//
//	host    as many as there may still be on it
//	/rack   the sum of its hosts'
//	*       as many as are missing, at most the sum of all
//
// The scheduler takes one from the three rows of each container that it allocates, and allocates nothing where one of
// them is used up. So no node gets more than its row, without any feature that an administrator would have to switch on, and
// nothing is outstanding for which no node is left: a queue's demand that nobody can meet would have others preempted in
// vain.
//
// Sources: LocalityAppPlacementAllocator, RegularContainerAllocator.assignContainersOnNode. Seen on 3.4.2, with the Capacity
// and the Fair Scheduler.

// spreading is what the ResourceManager has of a pool's rows. It is pure.
type spreading struct {
	told map[string]int // as far as is known; -1: not at all
	just map[string]int // what was said with the heartbeat whose answer is taken in now
}

// rowsFor are those of n containers, where hosts may get so many more.
func rowsFor(n int, places map[string]place, free func(host string) int) map[string]int {
	out := map[string]int{}
	sum := 0
	for host, at := range places {
		if more := free(host); at.open && more > 0 {
			out[host] = more
			out[at.rack] += more
			sum += more
		}
	}
	out[anywhere] = min(n, sum)
	return out
}

// anywhere is the name of the row that counts all (ResourceRequest.ANY).
const anywhere = "*"

// changes are the rows that are to be said. An ask that begins has all of them: what the ResourceManager keeps of one that
// has come to its end depends on how that came.
func (s *spreading) changes(rows map[string]int) map[string]int {
	out := map[string]int{}
	if rows[anywhere] == 0 {
		if s.told[anywhere] != 0 {
			out[anywhere] = 0
		}
		return out
	}
	begins := s.told[anywhere] <= 0
	for name, n := range rows {
		if begins || s.told[name] != n {
			out[name] = n
		}
	}
	for name, n := range s.told {
		if _, ok := rows[name]; !ok && (begins || n != 0) {
			out[name] = 0
		}
	}
	return out
}

// asksByHost are rows as the ResourceManager takes them, the one that counts all first.
func asksByHost(p *pool, rows map[string]int) []*pb.ResourceRequest {
	names := slices.Sorted(maps.Keys(rows)) // "*" sorts before "/" and what hosts are called
	list := make([]*pb.ResourceRequest, 0, len(names))
	for _, name := range names {
		r := ask(p, rows[name])
		r.ResourceName, r.RelaxLocality = proto.String(name), proto.Bool(false)
		if name != anywhere { // it follows that row
			r.NodeLabelExpression = nil
		}
		list = append(list, r)
	}
	return list
}

// said notes that the ResourceManager has heard of changes.
func (s *spreading) said(changes map[string]int) {
	s.note(changes)
	s.just = changes
	if s.told[anywhere] > 0 {
		maps.DeleteFunc(s.told, func(name string, n int) bool { return n == 0 })
	}
}

// unknown notes that nobody knows what the ResourceManager has, nor whether it has heard of changes: a row that they were to
// end may still be there.
func (s *spreading) unknown(changes map[string]int) {
	s.note(changes)
	s.just = nil
	for name := range s.told {
		s.told[name] = -1
	}
}

func (s *spreading) note(changes map[string]int) {
	if s.told == nil {
		s.told = map[string]int{}
	}
	maps.Copy(s.told, changes)
}

// came notes an allocation on a host, which the ResourceManager has counted where it was told nothing new since: what an
// answer tells of was allocated before the call.
func (s *spreading) came(host, rack string) {
	for _, name := range []string{host, rack, anywhere} {
		if _, since := s.just[name]; !since && s.told[name] > 0 {
			s.told[name]--
		}
	}
}

// spread makes the rows of a pool that are to be said now, under mu.
func (p *Provider) spread(pool *pool, now time.Time) map[string]int {
	if !now.After(pool.held) {
		return nil
	}
	if pool.sent < 0 {
		pool.rows.unknown(nil)
	}
	there := map[string]int{}
	for _, b := range p.boxes {
		if b.pool == pool {
			there[b.node.Host]++
		}
	}
	return pool.rows.changes(rowsFor(pool.missing(), p.places, func(host string) int {
		if p.bad.shuns(host) {
			return 0
		}
		return pool.spec.MaxPerNode - there[host]
	}))
}
