package local

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// Config are a core's limits. The zero value has the defaults.
type Config struct {
	Slots      int    // of tasks that run at once; 0 is 1
	Fetches    int    // under way at once; 0 is 16
	FetchBytes uint64 // of fetches under way, unless there is just one; 0 is 128 MiB
	// Ahead is the most attempts of one place that are handed out before they can
	// begin; 0 is 512. Less than 0 is none, and every attempt is told as it begins.
	Ahead int
}

// state is where an attempt is.
type state uint8

const (
	waiting  state = iota // for missing inputs
	ready                 // for slots; in Core.ready
	running               // given out in Output.Run, takes slots
	stopping              // like running, but nobody wants to know how it ends
)

// attempt is a task that was assigned and has not left.
type attempt struct {
	Assignment
	state   state
	seq     uint64 // order of assignment
	missing int    // inputs that are neither inline nor here; 0 unless waiting
	borrows []Key  // inputs of Core.borrowed that are here for it
	// followers wait for this one's end, each once for each place they have its result in.
	followers []*attempt
	handing
	// next, while stopping, is an assignment of the same number that waits for this
	// one's end: a fresh scheduler numbers its tasks anew.
	next  *Assignment
	other *attempt // of the same task
}

// slots returns how many slots the attempt takes.
func (a *Assignment) slots() int { return max(1, int(a.Class.Resources.Slots)) }

// reads reports whether the attempt itself reads an input while it runs, from this
// worker's store if it is there and else from a holder.
func (a *attempt) reads(in *Input) bool {
	return a.Class.Lazy && in.Size > graph.LazyInput && !slices.Contains(in.Holders, 0)
}

// Core is the state of a worker. It is not safe for concurrent use.
type Core struct {
	cfg  Config
	self graph.WorkerID // 0: no connection
	out  Output
	done Output // the one that the caller has

	seq      uint64
	attempts attempts
	ready    readyQueue
	free     int // slots: cfg.Slots less those that places have
	places   []*place
	handings
	returning fifo // attempts that were parked and want their slots again
	parked    int  // attempts that are, those included

	// What ended while nobody could be told, results in the store aside.
	unsaidDone   []Done
	unsaidFailed []Failed

	held     map[Key]uint64 // results in the store, with their sizes
	borrowed map[Key]*loan  // results in the store that stay the scheduler's
	fetches  map[Key]*fetch
	queue    []Key  // fetches to begin, in order; may hold keys that are no more
	flying   int    // fetches under way
	bytes    uint64 // their sizes
}

// New returns the core of a worker without a connection.
func New(cfg Config) *Core {
	cfg.Slots = max(cfg.Slots, 1)
	if cfg.Fetches == 0 {
		cfg.Fetches = 16
	}
	if cfg.FetchBytes == 0 {
		cfg.FetchBytes = 128 << 20
	}
	if cfg.Ahead == 0 {
		cfg.Ahead = 512
	}
	return &Core{
		cfg: cfg, free: cfg.Slots,
		attempts: attempts{of: map[graph.TaskID]*attempt{}},
		held:     map[Key]uint64{}, borrowed: map[Key]*loan{}, fetches: map[Key]*fetch{},
	}
}

// Step takes one event. It panics on answers to what was never asked: those are
// mistakes of the worker, not of its peers.
func (c *Core) Step(e Event) {
	switch e := e.(type) {
	case Joined:
		c.joined(e)
	case Left:
		c.left()
	case Assigned:
		for i := range e.Tasks {
			c.assign(&e.Tasks[i])
		}
	case Stop:
		for _, k := range e.Tasks {
			c.stop(k)
		}
	case Retract:
		for _, k := range e.Tasks {
			c.retract(k)
		}
	case Free:
		for _, k := range e.Tasks {
			c.freed(k)
		}
	case Copy:
		for _, o := range e.Tasks {
			c.copy(o)
		}
	case Fetched:
		c.fetched(e.Key)
	case FetchFailed:
		c.fetchFailed(e.Key, e.Here)
	case Ended:
		c.tellOfDeaths(e.Attempts)
		for i := range e.Attempts {
			c.ended(&e.Attempts[i])
		}
	case Park:
		for _, k := range e.Tasks {
			c.park(k)
		}
	case Unpark:
		for _, k := range e.Tasks {
			c.unpark(k)
		}
	case Recalled:
		for _, a := range e.Attempts {
			c.recalled(a)
		}
	case Tick:
		c.tick(e.Whiles)
	case Lost:
		c.lost(e.Key)
	default:
		panic(fmt.Sprintf("local: unknown event %T", e))
	}
}

// Output starts what can be started and returns what is to be done since the last
// call. It is valid until the next call.
func (c *Core) Output() *Output {
	c.attempts.reuse()
	c.sayUnsaid()
	if c.resume() {
		c.startReady()
	}
	c.setLimits()
	c.startFetches()
	c.out, c.done = c.done, c.out
	c.out.reset()
	return &c.done
}

// AppendHeld appends what is held, in order: the inventory.
func (c *Core) AppendHeld(dst []Held) []Held {
	from := len(dst)
	for k, size := range c.held {
		dst = append(dst, Held{k, size})
	}
	slices.SortFunc(dst[from:], func(a, b Held) int { return a.Key.Compare(b.Key) })
	return dst
}

// Counts returns how many attempts have begun (also those being stopped), and how many
// wait for inputs or slots.
func (c *Core) Counts() (active, queued int) {
	for a := range c.attempts.all() {
		if a.begun {
			active++
		}
	}
	return active, c.attempts.count - active
}

// Idle reports whether there is no attempt.
func (c *Core) Idle() bool { return c.attempts.count == 0 }

// Running returns an attempt that was handed out and has not ended, nil if it is none.
func (c *Core) Running(k Key) *Assignment {
	if a := c.attempts.get(k); a != nil && a.state >= running {
		return &a.Assignment
	}
	return nil
}

func (c *Core) assign(t *Assignment) {
	old, first := c.attempts.look(t.Key)
	if old != nil {
		if old.state == stopping {
			next := *t
			old.next = &next
		}
		return
	}
	if n := t.slots(); n > c.cfg.Slots {
		c.out.Failed = append(c.out.Failed, Failed{Key: t.Key, Failure: &graph.Failure{
			Kind:    graph.FailSetup,
			Message: fmt.Sprintf("%s needs %d slots: this worker has %d", t.Class.Name, n, c.cfg.Slots),
		}})
		return
	}
	c.seq++
	c.await(c.attempts.add(t, c.seq, first))
}

// await looks for a's inputs: it becomes ready, or waits for fetches, or fails.
func (c *Core) await(a *attempt) {
	a.state = waiting
	a.missing = 0
	before := a.borrows
	a.borrows = nil
	defer func() { c.giveBack(before) }() // what it still needs it has borrowed again
	for i := range a.Inputs {
		in := &a.Inputs[i]
		if in.IsInline() || a.reads(in) || c.has(in.Key) {
			c.borrow(a, in.Key)
			continue
		}
		if b := c.leads(in); b != nil {
			b.followers = append(b.followers, a)
			a.missing++
			continue
		}
		if !c.want(in, a) {
			c.failInput(a, in.Key, c.self)
			return
		}
		a.missing++
	}
	if a.missing == 0 {
		c.makeReady(a)
	}
}

func (c *Core) makeReady(a *attempt) {
	a.state = ready
	c.ready.push(a)
}

// startReady hands out ready attempts: to slots, or ahead.
func (c *Core) startReady() {
	for a := c.ready.front(); a != nil; a = c.ready.front() {
		fits := a.slots() <= c.free
		if !fits && !c.mayGoAhead(a) {
			return
		}
		c.ready.remove(a)
		if !c.complete(a) {
			c.await(a) // an input was freed meanwhile
			continue
		}
		c.hand(a, fits)
	}
}

// complete reports whether all of a's inputs are here.
func (c *Core) complete(a *attempt) bool {
	for i := range a.Inputs {
		if in := &a.Inputs[i]; !in.IsInline() && !a.reads(in) && !c.has(in.Key) {
			return false
		}
	}
	return true
}

// stop ends an attempt that nobody wants to hear of any more.
func (c *Core) stop(k Key) {
	switch a := c.attempts.get(k); {
	case a == nil:
	case a.state == stopping:
		a.next = nil
	case a.state == running:
		a.state = stopping
		c.out.Cancel = append(c.out.Cancel, &a.Assignment)
	default:
		c.forget(a)
	}
}

func (c *Core) retract(k Key) {
	a := c.attempts.get(k)
	switch {
	case a == nil || a.state >= running && (a.begun || a.state == stopping) && a.next == nil:
		c.out.Retracted = append(c.out.Retracted, Retracted{k, false})
		return
	case a.next != nil:
		a.next = nil
	case a.state == running:
		a.asked = true // the answer comes with that to the recall, or the attempt's end is one
		c.recall(a)
		return
	default:
		c.forget(a)
	}
	c.out.Retracted = append(c.out.Retracted, Retracted{k, true})
}

// forget removes an attempt that does not run.
func (c *Core) forget(a *attempt) {
	if a.state == ready {
		c.ready.remove(a)
	} else if a.missing > 0 {
		for i := range a.Inputs {
			if f := c.fetches[a.Inputs[i].Key]; f != nil {
				f.leave(a)
				c.unwanted(f)
			}
		}
		c.unfollow(a)
	}
	c.attempts.remove(a)
	c.giveBack(a.borrows)
}

func (c *Core) ended(e *End) {
	a := c.attempts.get(e.Key)
	if a == nil || a.state < running {
		panic(fmt.Sprintf("local: attempt %v ended, which does not run", e.Key))
	}
	if e.Failure == nil {
		a.Class.ran(e.Took)
	}
	c.attempts.remove(a)
	c.giveBack(a.borrows)
	c.takeOut(a)
	if a.state == stopping {
		if e.Kept {
			c.out.Drop = append(c.out.Drop, e.Key)
		}
		if a.next != nil {
			c.assign(a.next)
		}
		return
	}
	if e.Kept {
		c.held[e.Key] = e.Size
	}
	if e.Failure == nil {
		c.caughtUp(a, e)
	}
	switch {
	case c.self == 0 && (e.Kept || e.Input != (Key{})): // the inventory tells of a result; what could not be read is fetched anew
	case e.Failure == nil && c.self == 0:
		c.keepUnsaid(Done{Key: e.Key, Size: e.Size, Inline: e.Inline, Took: e.Took})
	case e.Failure == nil:
		c.out.Done = append(c.out.Done, Done{Key: e.Key, Size: e.Size, Kept: e.Kept, Inline: e.Inline, Took: e.Took})
	case c.self == 0:
		c.unsaidFailed = append(c.unsaidFailed, Failed{Key: e.Key, Failure: e.Failure})
	default:
		f := Failed{Key: e.Key, Failure: e.Failure}
		if e.Input != (Key{}) {
			f.Input, f.Holder = e.Input.Task, c.self
			if e.Holder != 0 {
				f.Holder = e.Holder
			}
		}
		c.out.Failed = append(c.out.Failed, f)
	}
}

func (c *Core) freed(k Key) {
	if _, ok := c.held[k]; ok {
		delete(c.held, k)
		c.out.Drop = append(c.out.Drop, k)
	}
	if f := c.fetches[k]; f != nil {
		f.keep = false
		c.unwanted(f)
	}
}

func (c *Core) lost(k Key) {
	if c.borrowed[k] != nil {
		c.endLoan(k)
		c.out.Drop = append(c.out.Drop, k)
	}
	if _, ok := c.held[k]; !ok {
		return
	}
	delete(c.held, k)
	c.out.Drop = append(c.out.Drop, k)
	if c.self != 0 {
		c.out.Missing = append(c.out.Missing, k)
	}
}

// failInput fails a waiting attempt for an input that nobody gives.
func (c *Core) failInput(a *attempt, in Key, holder graph.WorkerID) {
	c.forget(a)
	c.out.Failed = append(c.out.Failed, c.inputFailed(a.Key, in, holder))
}

// inputFailed is the report of an attempt, or Copy, whose input cannot be had.
func (c *Core) inputFailed(k, in Key, holder graph.WorkerID) Failed {
	if holder == c.self {
		c.out.Missing = append(c.out.Missing, in)
	}
	return Failed{Key: k, Failure: inputFailure(in), Input: in.Task, Holder: holder}
}

func inputFailure(in Key) *graph.Failure {
	return &graph.Failure{Kind: graph.FailInput, Message: fmt.Sprintf("the result of task %s could not be fetched from any of its holders", in.Task)}
}
