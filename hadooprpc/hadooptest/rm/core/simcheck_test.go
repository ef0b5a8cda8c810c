package core

import (
	"slices"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// check holds the books against the core.
func (s *sim) check() {
	t := s.t
	var total Resource
	seen := 0
	for _, n := range s.c.nodes {
		var used Resource
		for id, con := range n.containers {
			if con.charged() {
				used = plus(used, con.Resource)
			}
			if s.c.live[id] != con || con.node != n || con.owner.containers[id] != con {
				t.Fatalf("%v is not where it ought to be", id)
			}
			seen++
		}
		if !equal(used, n.used) {
			t.Fatalf("%v: used %v, booked %v", n.id, used, n.used)
		}
		if n.state == pb.NodeState_NS_RUNNING {
			total = plus(total, n.capability)
		}
	}
	if seen != len(s.c.live) || !equal(total, s.c.total) {
		t.Fatalf("%d containers on nodes, %d live; capability %v, booked %v", seen, len(s.c.live), total, s.c.total)
	}
	for _, q := range s.c.queues {
		var used Resource
		n, ams := 0, 0
		for _, con := range s.c.live {
			if con.app.queue == q && con.charged() {
				used, n = plus(used, con.Resource), n+1
				if con.AM {
					ams++
				}
			}
		}
		if !equal(used, q.used) || n != q.count || ams != q.ams {
			t.Fatalf("queue %s: %v in %d, %d masters; booked %v, %d, %d", q.Name, used, n, ams, q.used, q.count, q.ams)
		}
	}
	for id, am := range s.ams {
		s.checkAM(id, am)
	}
}

// checkAM: what is outstanding is what was asked for less what was given or is about to be.
func (s *sim) checkAM(id yarn.AttemptID, am *simAM) {
	a, err := s.c.attempt(id)
	if err != nil || a.state != pb.AttemptState_APP_ATTEMPT_RUNNING || !am.registered {
		return
	}
	if s.given[a.masterID] {
		s.t.Fatalf("%v was given to itself", a.masterID)
	}
	for p := range 3 {
		out := 0
		if i := slices.IndexFunc(a.groups, func(g *group) bool { return g.priority == int32(p) }); i >= 0 {
			out = a.groups[i].pending()
		}
		fresh := 0
		for _, con := range a.fresh {
			if con.Priority == int32(p) {
				fresh++
			}
		}
		if out+fresh+am.got[p] != am.want[p] {
			s.t.Fatalf("%v priority %d: want %d, got %d, on their way %d, outstanding %d", id, p, am.want[p], am.got[p], fresh, out)
		}
	}
}
