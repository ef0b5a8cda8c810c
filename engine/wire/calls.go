package wire

import (
	"fmt"
	"maps"
	"slices"
)

// Calls remembers which calls an actor has begun: of each caller those up to a request, as
// one caller's calls begin in their order. It forgets callers that have not called for long,
// and knows then that it has. The zero value remembers nothing.
type Calls struct {
	// Since is the epoch from which on it knows all; 0: it has not been told yet.
	Since uint64
	more  bool // it has forgotten some
	young map[uint64]uint64
	old   map[uint64]uint64
}

// maxCallers is how many callers are remembered at least, and half of how many at most.
const maxCallers = 8192

// Add notes that a call has begun.
func (c *Calls) Add(caller, request uint64) {
	if c.young == nil {
		c.young = map[uint64]uint64{}
	}
	if _, ok := c.young[caller]; !ok {
		if len(c.young) >= maxCallers {
			c.more = c.more || len(c.old) > 0
			c.old, c.young = c.young, map[uint64]uint64{}
		}
		if was, ok := c.old[caller]; ok {
			delete(c.old, caller)
			request = max(request, was)
		}
	}
	c.young[caller] = max(c.young[caller], request)
}

// MayHaveBegun reports whether a call that was sent first to the scheduler of an epoch is not
// known not to have begun.
func (c *Calls) MayHaveBegun(caller, request, sent uint64) bool {
	if c.Since == 0 || sent < c.Since {
		return true
	}
	last, ok := c.young[caller]
	if !ok {
		last, ok = c.old[caller]
	}
	if !ok {
		return c.more
	}
	return request <= last
}

// Empty reports whether nothing is remembered.
func (c *Calls) Empty() bool { return len(c.young)+len(c.old) == 0 && !c.more }

// Message returns all that is remembered.
func (c *Calls) Message() *Begun {
	m := &Begun{Since: c.Since, More: c.more}
	for _, of := range []map[uint64]uint64{c.old, c.young} {
		for _, caller := range slices.Sorted(maps.Keys(of)) {
			m.Caller, m.Request = append(m.Caller, caller), append(m.Request, of[caller])
		}
	}
	return m
}

// Learn adds what another remembers; since when is for the caller to set.
func (c *Calls) Learn(m *Begun) {
	c.more = c.more || m.GetMore()
	for i, caller := range m.GetCaller() {
		c.Add(caller, m.Request[i])
	}
}

// Check reports whether the columns agree.
func (m *Begun) Check() error {
	n := len(m.GetCaller())
	if n > 2*maxCallers {
		return fmt.Errorf("begun calls of %d callers: the limit is %d", n, 2*maxCallers)
	}
	return sameLen(n, "request", len(m.GetRequest()))
}
