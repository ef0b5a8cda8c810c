package yarn

import (
	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// avoidance keeps the ResourceManager's list of nodes on which it gives us nothing as it
// shall be. It is pure. Of a node that was to be avoided at any time, also by an earlier
// attempt, whose list the ResourceManager goes on with
// (AppSchedulingInfo.transferStateFromPreviousAppSchedulingInfo), nobody knows at first
// whether it is on the list: it is told either way.
type avoidance struct {
	nodes map[string]*avoided // by host
}

type avoided struct {
	shall, is bool
	told      bool // is is known
}

func newAvoidance() *avoidance { return &avoidance{nodes: map[string]*avoided{}} }

// set says which nodes are to be on the list.
func (a *avoidance) set(hosts []string) {
	for _, n := range a.nodes {
		n.shall = false
	}
	for _, host := range hosts {
		if a.nodes[host] == nil {
			a.nodes[host] = &avoided{}
		}
		a.nodes[host].shall = true
	}
}

// shuns tells whether a node is to be on the list.
func (a *avoidance) shuns(host string) bool { return a.nodes[host] != nil && a.nodes[host].shall }

// forgotten notes that the ResourceManager has to be told everything again.
func (a *avoidance) forgotten() {
	for _, n := range a.nodes {
		n.told = false
	}
}

// request says what the ResourceManager is to change on its list, nil for nothing; answered that it has heard.
func (a *avoidance) request() *pb.ResourceBlacklistRequest {
	var r pb.ResourceBlacklistRequest
	for host, n := range a.nodes {
		switch {
		case n.told && n.is == n.shall:
		case n.shall:
			r.BlacklistAdditions = append(r.BlacklistAdditions, host)
		default:
			r.BlacklistRemovals = append(r.BlacklistRemovals, host)
		}
	}
	if r.BlacklistAdditions == nil && r.BlacklistRemovals == nil {
		return nil
	}
	return &r
}

func (a *avoidance) answered(r *pb.ResourceBlacklistRequest) {
	for _, host := range r.GetBlacklistAdditions() {
		if n := a.nodes[host]; n != nil {
			n.is, n.told = true, true
		}
	}
	for _, host := range r.GetBlacklistRemovals() {
		if n := a.nodes[host]; n != nil && !n.shall {
			delete(a.nodes, host)
		} else if n != nil {
			n.is, n.told = false, true
		}
	}
}
