package local

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// fetch is a result of another that is wanted here. It is queued, under way, or,
// when nobody wants it any more, under way and abandoned: its answer is awaited
// because it takes part of the limits until then.
type fetch struct {
	Key
	size      uint64
	untried   []graph.WorkerID // holders, best first
	from      graph.WorkerID   // the one asked, or asked last
	flying    bool
	abandoned bool       // it was told to end
	keep      bool       // a Copy asked for it
	waiters   []*attempt // each once for each place it has the input in
}

// leave removes a from those who wait.
func (f *fetch) leave(a *attempt) {
	f.waiters = slices.DeleteFunc(f.waiters, func(w *attempt) bool { return w == a })
}

// want makes a wait for in. It reports false when nobody but this worker is said to
// have it.
func (c *Core) want(in *Input, a *attempt) bool {
	f := c.fetch(in.Key, in.Size, in.Holders)
	if f == nil {
		return false
	}
	f.waiters = append(f.waiters, a)
	return true
}

// fetch returns the fetch of a result, a new one if need be, with more holders to
// try. It returns nil if there is nobody to ask.
func (c *Core) fetch(k Key, size uint64, holders []graph.WorkerID) *fetch {
	f := c.fetches[k]
	if f == nil {
		f = &fetch{Key: k, size: size}
	}
	for _, h := range holders {
		if h != c.self && !slices.Contains(f.untried, h) && (!f.flying || f.abandoned || h != f.from) {
			f.untried = append(f.untried, h)
		}
	}
	if c.fetches[k] == nil {
		if len(f.untried) == 0 {
			return nil
		}
		c.fetches[k] = f
		c.queue = append(c.queue, k)
	}
	return f
}

// copy fetches a result because the scheduler asks for it.
func (c *Core) copy(o CopyOrder) {
	if size, ok := c.held[o.Key]; ok {
		c.out.Copied = append(c.out.Copied, Held{o.Key, size})
		return
	}
	if l := c.borrowed[o.Key]; l != nil {
		c.endLoan(o.Key)
		c.keep(o.Key, l.size)
		return
	}
	f := c.fetch(o.Key, o.Size, []graph.WorkerID{o.From})
	if f == nil {
		c.out.Failed = append(c.out.Failed, c.inputFailed(o.Key, o.Key, o.From))
		return
	}
	f.keep = true
}

// wanted reports whether anybody wants f.
func (f *fetch) wanted() bool { return f.keep || len(f.waiters) > 0 }

// Wants reports whether somebody wants a result that is being fetched, or waits to be.
func (c *Core) Wants(k Key) bool {
	f := c.fetches[k]
	return f != nil && f.wanted()
}

// unwanted ends f if nobody wants it.
func (c *Core) unwanted(f *fetch) {
	if f.wanted() {
		return
	}
	f.untried = nil
	if !f.flying {
		delete(c.fetches, f.Key)
	} else if !f.abandoned {
		f.abandoned = true
		c.out.Abandon = append(c.out.Abandon, f.Key)
	}
}

// startFetches begins queued fetches as far as the limits allow.
func (c *Core) startFetches() {
	for len(c.queue) > 0 && c.flying < c.cfg.Fetches {
		k := c.queue[0]
		f := c.fetches[k]
		if f == nil || f.flying {
			c.queue = c.queue[1:] // of an earlier fetch of the result
			continue
		}
		if c.flying > 0 && c.bytes+f.size > c.cfg.FetchBytes {
			return
		}
		c.queue = c.queue[1:]
		f.from, f.untried = f.untried[0], f.untried[1:]
		f.flying = true
		c.flying++
		c.bytes += f.size
		c.out.Fetch = append(c.out.Fetch, Fetch{Key: k, Size: f.size, From: f.from})
	}
}

// landed takes a fetch that was under way out of the limits.
func (c *Core) landed(k Key) *fetch {
	f := c.fetches[k]
	if f == nil || !f.flying {
		panic("local: answer to a fetch that is not under way")
	}
	f.flying = false
	c.flying--
	c.bytes -= f.size
	return f
}

func (c *Core) fetched(k Key) {
	f := c.landed(k)
	delete(c.fetches, k)
	if !f.wanted() {
		c.out.Drop = append(c.out.Drop, k)
		return
	}
	if f.from == 0 && !f.keep {
		c.lend(k, f)
	} else {
		c.keep(k, f.size)
	}
	for _, a := range f.waiters {
		if a.missing--; a.missing == 0 {
			c.makeReady(a)
		}
	}
}

// keep makes this worker a holder of what was fetched.
func (c *Core) keep(k Key, size uint64) {
	c.held[k] = size
	if c.self != 0 {
		c.out.Copied = append(c.out.Copied, Held{k, size})
	}
}

func (c *Core) fetchFailed(k Key, here *graph.Failure) {
	f := c.landed(k)
	f.abandoned = false
	switch {
	case !f.wanted():
		delete(c.fetches, k)
	case here == nil && len(f.untried) > 0:
		c.queue = append(c.queue, k)
	default:
		c.giveUp(f, here)
	}
}

// giveUp fails all that want a fetch: for what is wrong here, or for its holders.
func (c *Core) giveUp(f *fetch, here *graph.Failure) {
	delete(c.fetches, f.Key)
	if f.keep && here == nil { // a copy that has no room is not made
		c.out.Failed = append(c.out.Failed, c.inputFailed(f.Key, f.Key, f.from))
	}
	for _, a := range slices.Clone(f.waiters) {
		switch {
		case c.attempts.get(a.Key) != a: // failed already, for another place of the input
		case here == nil:
			c.failInput(a, f.Key, f.from)
		default:
			c.forget(a)
			c.out.Failed = append(c.out.Failed, Failed{Key: a.Key, Failure: here})
		}
	}
}

func (c *Core) sortedFetches() []*fetch {
	fs := make([]*fetch, 0, len(c.fetches))
	for _, f := range c.fetches {
		fs = append(fs, f)
	}
	slices.SortFunc(fs, func(a, b *fetch) int { return a.Key.Compare(b.Key) })
	return fs
}
