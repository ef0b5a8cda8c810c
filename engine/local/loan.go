package local

import "slices"

// loan is a result that the scheduler keeps inline and that is in this worker's store
// for the attempts that need it, because it was too much to come with them. The
// scheduler counts no copies of such a result and so would never free one: it goes
// with the last of these attempts.
type loan struct {
	size uint64
	uses int // places in the borrows of attempts
}

// has reports whether a result is in the store.
func (c *Core) has(k Key) bool {
	_, ok := c.held[k]
	return ok || c.borrowed[k] != nil
}

// lend makes a loan of what was fetched from the scheduler.
func (c *Core) lend(k Key, f *fetch) {
	c.borrowed[k] = &loan{size: f.size}
	for _, a := range f.waiters {
		c.borrow(a, k)
	}
}

// borrow notes that a needs k, if that is a loan.
func (c *Core) borrow(a *attempt, k Key) {
	if l := c.borrowed[k]; l != nil {
		l.uses++
		a.borrows = append(a.borrows, k)
	}
}

// giveBack takes back what borrow noted, and drops what nobody needs any more.
func (c *Core) giveBack(borrows []Key) {
	for _, k := range borrows {
		l := c.borrowed[k]
		if l == nil {
			continue // lost, or kept by now
		}
		if l.uses--; l.uses == 0 {
			delete(c.borrowed, k)
			c.out.Drop = append(c.out.Drop, k)
		}
	}
}

// endLoan makes nobody need k any more: should it be lent again, that is another loan.
func (c *Core) endLoan(k Key) {
	delete(c.borrowed, k)
	for a := range c.attempts.all() {
		a.borrows = slices.DeleteFunc(a.borrows, func(b Key) bool { return b == k })
	}
}

// dropLoans drops all: they are of tasks of another scheduler.
func (c *Core) dropLoans() {
	from := len(c.out.Drop)
	for k := range c.borrowed {
		c.out.Drop = append(c.out.Drop, k)
	}
	slices.SortFunc(c.out.Drop[from:], Key.Compare)
	clear(c.borrowed)
	for a := range c.attempts.all() {
		a.borrows = nil
	}
}
