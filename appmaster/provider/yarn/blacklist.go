package yarn

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// blacklist keeps the ResourceManager from giving us containers on nodes that do
// not start them. It is pure: time and what happens go in, what to tell comes out.
//
// A node is on it after suspectAfter containers in a row that it did not start, for
// suspectTime; one more failure after that, and it is on it again. Where too many
// nodes would be on it the fault is not theirs, and it counts for nothing.
type blacklist struct {
	nodes map[string]*suspect // by host
	told  map[string]bool     // what the ResourceManager was told
	size  int                 // how many nodes the cluster has; 0: not known
}

type suspect struct {
	failures int       // in a row
	until    time.Time // on the list until then; zero: it is not
}

const (
	suspectAfter = 3
	suspectTime  = 10 * time.Minute
	// mostSuspects is the part of a cluster's nodes, one of so many, that may be on the list: MapReduce's 33 %.
	mostSuspects = 3
)

func newBlacklist() *blacklist {
	return &blacklist{nodes: map[string]*suspect{}, told: map[string]bool{}}
}

// failed notes that a node did not start a container, and tells whether that puts it on the list.
func (b *blacklist) failed(host string, now time.Time) bool {
	s := b.nodes[host]
	if s == nil {
		s = &suspect{}
		b.nodes[host] = s
	}
	if s.failures++; s.failures < suspectAfter || now.Before(s.until) {
		return false
	}
	s.until = now.Add(suspectTime)
	return true
}

// started notes that a node started a container.
func (b *blacklist) started(host string) { delete(b.nodes, host) }

// forgotten notes that the ResourceManager has to be told everything again.
func (b *blacklist) forgotten() { clear(b.told) }

// request says what the ResourceManager is to change on its list, nil for nothing; answered that it has heard.
func (b *blacklist) request(now time.Time) *pb.ResourceBlacklistRequest {
	on := b.on(now)
	var r pb.ResourceBlacklistRequest
	for host := range on {
		if !b.told[host] {
			r.BlacklistAdditions = append(r.BlacklistAdditions, host)
		}
	}
	for host := range b.told {
		if !on[host] {
			r.BlacklistRemovals = append(r.BlacklistRemovals, host)
		}
	}
	if r.BlacklistAdditions == nil && r.BlacklistRemovals == nil {
		return nil
	}
	return &r
}

func (b *blacklist) answered(r *pb.ResourceBlacklistRequest) {
	for _, host := range r.GetBlacklistAdditions() {
		b.told[host] = true
	}
	for _, host := range r.GetBlacklistRemovals() {
		delete(b.told, host)
	}
}

// on are the nodes that are to get nothing.
func (b *blacklist) on(now time.Time) map[string]bool {
	on := map[string]bool{}
	for host, s := range b.nodes {
		if now.Before(s.until) {
			on[host] = true
		}
	}
	if b.size > 0 && len(on)*mostSuspects > b.size {
		return nil
	}
	return on
}
