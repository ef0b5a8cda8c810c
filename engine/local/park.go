package local

// A task that waits for tasks which it submitted itself is parked: it takes no slot, so
// that these can run here.
//
//	running ──Park──► parked ──Unpark──► returning ──slots free──► running
//	                     └──────── ended, whichever way ──────┘
//
// What returns goes before all that is ready. Its executor does not count a parked
// attempt either, and begins the next one by itself, as when it had ended.

// stand is whether an attempt that has begun takes slots.
type stand uint8

const (
	active stand = iota
	parked
	returning // in Core.returning
)

// maxParked bounds the attempts that are parked at a time. One more keeps its slots.
const maxParked = 4096

func (c *Core) park(k Key) {
	a := c.attempts.get(k)
	if a == nil || a.state < running || a.stand != active || c.parked >= maxParked {
		return
	}
	p := c.placeOf(a)
	if !a.begun { // its executor is ahead of what is known here
		p.queue.remove(a)
		c.begin(p, a)
	}
	c.tell(p, a)
	a.stand = parked
	c.parked++
	p.used -= a.slots()
	p.handed -= a.slots()
	c.settle(p)
	if c.self != 0 && a.state == running {
		c.out.Parked = append(c.out.Parked, k)
	}
}

// unpark has an attempt go on as soon as there are slots. One that has them is told so.
func (c *Core) unpark(k Key) {
	a := c.attempts.get(k)
	if a == nil || a.state < running {
		return
	}
	switch a.stand {
	case active:
		c.out.Resumed = append(c.out.Resumed, &a.Assignment)
	case parked:
		a.stand = returning
		c.returning.push(a)
	}
}

// resume gives attempts that return their slots. It reports false when one still waits
// for some.
func (c *Core) resume() bool {
	for c.returning.len() > 0 {
		a := c.returning.front()
		if a.slots() > c.free {
			return false
		}
		c.returning.pop()
		p := c.placeOf(a)
		c.free -= a.slots()
		p.granted += a.slots()
		p.handed += a.slots()
		p.used += a.slots()
		a.stand = active
		c.parked--
		c.out.Resumed = append(c.out.Resumed, &a.Assignment)
		if c.self != 0 && a.state == running {
			c.out.Unparked = append(c.out.Unparked, a.Key)
		}
	}
	return true
}

// leaveParked forgets that an attempt which has ended was parked.
func (c *Core) leaveParked(a *attempt) {
	if a.stand == returning {
		c.returning.remove(a)
	}
	c.parked--
}
