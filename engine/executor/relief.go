package executor

import (
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// relief lets the goroutine that reads frames run a call itself, where the worker has one
// slot: to wake another one for it takes longer than a short function does.
//
//	reading ──a call alone──► running it ──it ends──► reading
//	                              │ it takes long, or needs an answer
//	                              └──────────────────► another goroutine reads
//
// The number is odd while the one who should read runs a call. Who makes it even again has
// the reading.
type relief struct {
	state   atomic.Uint64
	watched atomic.Bool // a goroutine looks whether a call takes long
}

// lookEvery is how often that is looked at, while calls come one by one. A call that is
// seen twice takes long.
const lookEvery = 2 * time.Millisecond

// reads reports whether the frames are read by who runs a call now, and if so makes it the
// caller who has to.
func (r *relief) take(state uint64) bool {
	return state%2 == 1 && r.state.CompareAndSwap(state, state+1)
}

// read handles frames until there are no more, or until somebody else reads.
func (c *child) read() {
	for {
		// Calls hold views of these.
		k, body, err := c.in.next(func(k kind) bool { return k == kindRuns || k == kindInputs || k == kindData || k == kindNested })
		if err == nil {
			err = c.handle(k, body)
		}
		if err != nil {
			c.over <- err
			return
		}
		if k := c.own; k != nil {
			c.own = nil
			if !c.runHere(k) {
				return
			}
		}
	}
}

// takeOwn takes the call that the reader is to run itself: the only one there is. Called
// with c.mu by the reader.
func (c *child) takeOwn() {
	q := &c.pool.queue
	if c.set.Slots != 1 || c.pool.used > 0 || c.parked > 0 || q.len() != 1 || q.first().class.kind != graph.KindGo {
		return
	}
	c.own = c.pool.pop()
}

// runHere runs a call, and reports whether the caller goes on reading. If not, it has run
// others since.
func (c *child) runHere(k *run) (reads bool) {
	state := c.relief.state.Add(1)
	if c.relief.watched.CompareAndSwap(false, true) {
		c.wg.Go(c.lookOut)
	}
	ended := false
	defer func() {
		if ended {
			return
		}
		if c.relief.take(state) { // the function ended its goroutine
			c.wg.Go(c.read)
		}
		c.release(k)
	}()
	c.run(k, clock())
	ended = true
	if !c.relief.take(state) {
		c.work(k, true)
		return false
	}
	c.mu.Lock()
	c.pool.leave(k)
	c.dispatch()
	c.mu.Unlock()
	c.out.flush()
	return true
}

// relieve has another goroutine read if the one who should runs a call, which is about to
// wait for what is to be read.
func (c *child) relieve() {
	if c.relief.take(c.relief.state.Load()) {
		c.wg.Go(c.read)
	}
}

// lookOut looks whether a call of the reader's takes long, and then reads itself. It ends
// when the reader has run none for a while.
func (c *child) lookOut() {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for last := uint64(0); ; {
		select {
		case <-t.C:
		case <-c.ctx.Done():
			return
		}
		state := c.relief.state.Load()
		if state != last {
			last = state
			continue
		}
		c.relief.watched.Store(false)
		switch {
		case c.relief.take(state):
			c.read()
			return
		case c.relief.state.Load()%2 == 1 && c.relief.watched.CompareAndSwap(false, true): // one has begun just now
		default:
			return
		}
	}
}
