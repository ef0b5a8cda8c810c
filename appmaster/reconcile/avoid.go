package reconcile

import (
	"maps"
	"slices"
	"time"
)

// A node is avoided on which suspectAfter containers in a row could not be started, or
// ended before they had run for a while, by themselves or by the failure of its disks: for
// AvoidFor, and again after one more of these. A container that stays well there clears it.
//
// Nothing is avoided before containers have come up elsewhere, or the application master
// runs elsewhere: else it may well be the program. Where more than one of mostAvoided
// of the cluster's nodes would be avoided it is the program as well, and none is.
const (
	suspectAfter = 3
	mostAvoided  = 3 // MapReduce's 33 %
)

// suspect is a node on which containers did not stay up.
type suspect struct {
	strikes int           // in a row
	until   time.Duration // it is avoided until then
	why     string        // the last strike
}

// AvoidView is a node that is avoided.
type AvoidView struct {
	Node string
	Left time.Duration // for so much longer
	Why  string
}

// Avoided returns the nodes that are avoided, by name.
func (c *Core) Avoided() (list []AvoidView) {
	for _, node := range c.avoided {
		if s := c.suspects[node]; s != nil {
			list = append(list, AvoidView{node, max(0, s.until-c.now), s.why})
		}
	}
	return list
}

// strikes tells whether an end speaks against its node.
func (ct *container) strikes(cause Cause, status int32) bool {
	if ct.well || ct.cameUp() && killed(cause, status) {
		return false
	}
	switch cause {
	case Exited, Signalled, Unstarted, Unreachable, BadDisks:
		return true
	case OverMemory, OverVMemory, OverLogs, Preempted, Lost, Voided, StoppedByUs, StoppedByRM:
	}
	return false
}

// strike notes that a container did not stay up on its node.
func (c *Core) strike(ct *container, cause Cause, status int32, why string) {
	s := c.suspects[ct.node]
	if s == nil {
		s = &suspect{}
		c.suspects[ct.node] = s
	}
	s.strikes++
	s.why = cause.Describe(status)
	if why != "" {
		s.why += ": " + why
	}
	if s.strikes >= suspectAfter && c.now >= s.until {
		s.until = c.now + c.opt.AvoidFor
	}
}

// clear notes that a container is well on a node.
func (c *Core) clear(node string) {
	c.good[node] = true
	delete(c.suspects, node)
}

// avoid tells the provider which nodes are to get no containers, when that changes.
func (c *Core) avoid() {
	if c.nodes == 0 && len(c.avoided) > 0 {
		return // they are an earlier attempt's, and the cluster is not known yet
	}
	var on []string
	for _, node := range slices.Sorted(maps.Keys(c.suspects)) {
		if s := c.suspects[node]; c.now < s.until && c.goodBeside(node) {
			on = append(on, node)
		}
	}
	if len(on)*mostAvoided > c.nodes {
		on = nil
	}
	if !slices.Equal(on, c.avoided) {
		c.avoided = on
		c.do(Avoid{on})
	}
}

// goodBeside tells whether there is another node on which containers have stayed up.
func (c *Core) goodBeside(node string) bool {
	for other := range c.good {
		if other != node {
			return true
		}
	}
	return false
}

// AvoidMemory is a node that is avoided.
type AvoidMemory struct {
	Node string        `json:"node"`
	Left time.Duration `json:"left"` // ns, for so much longer
	Why  string        `json:"why,omitempty"`
}

// recallAvoided takes over which nodes an earlier attempt avoided: the resource manager
// goes on doing so until it is told otherwise.
func (c *Core) recallAvoided(list []AvoidMemory) {
	var on []string
	for _, m := range list {
		c.suspects[m.Node] = &suspect{strikes: suspectAfter, until: c.now + min(max(m.Left, 0), c.opt.AvoidFor), why: m.Why}
		on = append(on, m.Node)
	}
	if slices.Sort(on); len(on) > 0 { // the provider has to know, to take them off
		c.avoided = on
		c.do(Avoid{on})
	}
}
