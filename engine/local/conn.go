package local

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// The worker outlives its connections: what was handed out goes on without one, and what is
// known of it is told on the next.

func (c *Core) joined(e Joined) {
	c.self = e.Self
	if e.Fresh {
		for _, h := range c.AppendHeld(nil) {
			c.freed(h.Key)
		}
		c.dropLoans()
		for _, k := range c.attempts.sorted() {
			c.stop(k)
		}
		c.unsaidDone, c.unsaidFailed = nil, nil
	}
	for _, k := range c.attempts.sorted() {
		switch a := c.attempts.get(k); {
		case a.state != running || !a.told:
		case a.stand != active:
			c.out.Started, c.out.Parked = append(c.out.Started, k), append(c.out.Parked, k)
		default:
			c.out.Started = append(c.out.Started, k)
		}
	}
}

// sayUnsaid tells how attempts ended of which nobody could be told.
func (c *Core) sayUnsaid() {
	if c.self == 0 || len(c.unsaidDone)+len(c.unsaidFailed) == 0 {
		return
	}
	c.out.Done, c.unsaidDone = append(c.out.Done, c.unsaidDone...), nil
	c.out.Failed, c.unsaidFailed = append(c.out.Failed, c.unsaidFailed...), nil
}

// AppendRunning appends the attempts that were handed out, in order, and those that ended
// since the last connection was lost, unless their result is held: what the scheduler can
// have go on. It is to be asked between Joined and the next Output, which tells of ends.
func (c *Core) AppendRunning(dst []Key) []Key {
	from := len(dst)
	for a := range c.attempts.all() {
		if a.state == running {
			dst = append(dst, a.Key)
		}
	}
	for i := range c.unsaidDone {
		dst = append(dst, c.unsaidDone[i].Key)
	}
	for i := range c.unsaidFailed {
		dst = append(dst, c.unsaidFailed[i].Key)
	}
	slices.SortFunc(dst[from:], Key.Compare)
	return dst
}

func (c *Core) left() {
	c.self = 0
	for _, k := range c.attempts.sorted() {
		if a := c.attempts.get(k); a.state < running {
			c.forget(a)
		} else {
			a.next, a.asked = nil, false
		}
	}
	for _, f := range c.sortedFetches() {
		f.keep = false
		c.unwanted(f)
	}
	// What the last turn had to say has nobody to hear it now.
	o := &c.out
	for i := range o.Done {
		if d := &o.Done[i]; !d.Kept {
			c.keepUnsaid(*d)
		}
	}
	for i := range o.Failed {
		if f := &o.Failed[i]; f.Input == (graph.TaskID{}) {
			c.unsaidFailed = append(c.unsaidFailed, *f)
		}
	}
	o.Started, o.Done, o.Failed = nil, nil, nil
	o.Retracted, o.Missing, o.Copied = nil, nil, nil
	o.Parked, o.Unparked = nil, nil
}

// keepUnsaid keeps a small result until there is somebody to tell.
func (c *Core) keepUnsaid(d Done) {
	d.Inline = slices.Clone(d.Inline) // it may be in memory that is used again
	c.unsaidDone = append(c.unsaidDone, d)
}
