package reconcile

import (
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// ending is how an application comes to its end:
//
//	tell the scheduler, stop workers and driver ──► workers gone, or StopGrace over:
//	stop the scheduler ──► all gone, or StopDeadline over: Finish
//
// A quick end does not wait for the workers before the scheduler.
type ending struct {
	Stop
	began   time.Duration
	culprit string
	said    string // of the culprit
	all     bool   // the scheduler was told to stop as well
	done    bool   // Finish was given; nothing follows
}

// beginEnd starts the end. A second request can only make it quick: the first
// reason stands.
func (c *Core) beginEnd(s Stop) {
	if c.ending != nil {
		c.ending.Quick = c.ending.Quick || s.Quick
		return
	}
	c.ending = &ending{Stop: s, began: c.now}
	if c.attached {
		c.do(TellStop{s.Why})
	}
	for _, p := range c.pools {
		p.wanted = 0
	}
	for _, ct := range c.sorted() {
		if ct.pool.spec.Role != spec.RoleScheduler {
			c.stop(ct)
		}
	}
}

// end carries the end on, and reports it.
func (c *Core) end() {
	e := c.ending
	if e == nil || e.done {
		return
	}
	waited := c.now - e.began
	workers := 0
	for _, ct := range c.containers {
		if ct.pool.spec.Role != spec.RoleScheduler {
			workers++
		}
	}
	if !e.all && (e.Quick || workers == 0 || waited >= c.opt.StopGrace) {
		e.all = true
	}
	if e.all {
		for _, ct := range c.sorted() {
			c.stop(ct)
		}
	}
	if len(c.containers) == 0 || waited >= c.opt.StopDeadline {
		for _, ct := range c.sorted() {
			c.do(ReleaseContainer{ct.id})
		}
		e.done = true
		c.do(Finish{e.Status, e.Why, e.culprit, e.said})
	}
}
