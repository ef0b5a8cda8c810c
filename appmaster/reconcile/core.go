package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// Options of a Core. The zero value of each field means the default behind it.
type Options struct {
	Pools       []spec.Pool
	IdleTimeout time.Duration // 0: never
	Seed        uint64        // of the jitter in delays
	Node        string        // on which the application master runs; "": not known

	BackoffBase  time.Duration // 1 s: the delay after the first failed round
	BackoffCap   time.Duration // 1 min
	OrphanGrace  time.Duration // 2 min: how long a shrink waits for a scheduler that is not there
	SilentGrace  time.Duration // 10 s: how long the scheduler may know nothing of a worker that it knew until another takes its place
	SilentEnd    time.Duration // 2 min: how long until such a worker is stopped
	BlindGrace   time.Duration // 10 min: how long nobody is taken for lost where that would be most workers
	LoneGrace    time.Duration // 45 s: how long a scheduler may be out of reach that was there; below 0: for ever
	AdoptGrace   time.Duration // 15 s: how long a container that an earlier attempt had may go unreported
	SoleGrace    time.Duration // 2 min: the same of a driver, beside which no second may run
	AskAgain     time.Duration // 1 min: an ask without any answer is repeated
	VouchGrace   time.Duration // 45 s: how long a container may go unheard of that only the scheduler knows
	StopGrace    time.Duration // 5 s: how long the scheduler may outlive its workers at the end
	StopDeadline time.Duration // 15 s: how long the end may take altogether
	GiveUp       time.Duration // 1 min: a stop whose completion is not reported
	AvoidFor     time.Duration // 10 min: how long a node gets no containers on which they did not stay up
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.BackoffBase, time.Second}, {&o.BackoffCap, time.Minute}, {&o.OrphanGrace, 2 * time.Minute}, {&o.SilentGrace, 10 * time.Second}, {&o.SilentEnd, 2 * time.Minute}, {&o.BlindGrace, 10 * time.Minute}, {&o.LoneGrace, 45 * time.Second}, {&o.AdoptGrace, 15 * time.Second}, {&o.SoleGrace, 2 * time.Minute}, {&o.VouchGrace, 45 * time.Second}, {&o.AskAgain, time.Minute},
		{&o.StopGrace, 5 * time.Second}, {&o.StopDeadline, 15 * time.Second}, {&o.GiveUp, time.Minute}, {&o.AvoidFor, 10 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// State is where a container is in its life.
type State uint8

// The states; doc.go draws the transitions.
const (
	Starting State = iota // allocated, its process is being started
	Running               // its process was started
	Stopping              // asked to end; counts for nothing
	Missing               // an earlier attempt had it, and the cluster has not told of it yet
)

func (s State) String() string { return [...]string{"starting", "running", "stopping", "missing"}[s] }

// container is one that we were given and whose end we have not seen.
type container struct {
	id, node string
	pool     *pool
	state    State
	order    int           // grows with each container: the youngest has the highest
	round    int           // of the pool, when it was allocated
	since    time.Duration // when it came into its state
	well     bool          // it has run for the pool's HealthyAfter
	came     bool          // it has its certificate, as far as this attempt of the application master has heard
	up       time.Duration // when that was heard first
	taken    bool          // an earlier attempt had it, and may have given it its certificate
	served   bool          // the scheduler has heard of it: it came up, and had its part in the work
	present  bool          // the same of the scheduler that is there now, and of the time since a worker was away last
	missed   time.Duration // when the scheduler told of others and not of it, first since it told of it; 0: it did not
	silent   bool          // it is not known any more (silent.go)
	lost     time.Duration // when it fell silent, or a scheduler came that it may speak to
	leaving  string        // why the scheduler drains it on its own; "": it stays (retire.go)
	wanted   bool          // the cluster wants it back: it leaves, and nobody but the cluster ends it undrained
	vouched  bool          // only the scheduler's word says that it runs (memory.go)
	heard    time.Duration // of it
}

func (c *container) live() bool { return c.state != Stopping }

// pool is the state of one pool. After each step asked = wanted − (live − leaving),
// unless now < hold, when asked may be less.
type pool struct {
	spec    *spec.Pool
	wanted  int
	asked   int  // what the provider was told, less what it allocated since
	live    int  // containers that are starting or running
	leaving int  // those of them that leave or are silent: they count for nothing in what is wanted
	used    bool // it has had containers, or a person has said how large it is and it is not opportunistic

	failures int           // rounds in a row that failed
	crowds   int           // containers in a row that came on nodes that are full
	starved  int           // schedulers in a row that had come up and were ended for their memory soon
	round    int           // grows with each failed round
	hold     time.Duration // asks are not raised before
	delay    time.Duration // the last delay, never less than the one before it in a series

	stirred  time.Duration // when its containers, or what is wanted of them, last changed
	answered time.Duration // when the ask was last changed or answered
	shrunk   int           // what the scheduler was last told to shrink to; -1: nothing
	toldAt   time.Duration // when it was
	joined   bool          // one was heard of for the first time since: the scheduler did not count it
	unjoined int           // containers of a higher order are not taken for lost because they do not join: those before did not either; 0: those that came last did
}

// Core is the state of an application's containers. It is not safe for
// concurrent use: one loop owns it.
type Core struct {
	opt        Options
	now        time.Duration // never goes back
	pools      []*pool
	containers map[string]*container
	seen       seen
	orders     int
	random     uint64

	attached bool          // a scheduler is there
	began    time.Duration // when it came
	told     time.Duration // when it said last whom it knows
	served   int           // containers that it has known, in all
	blindTo  int           // the youngest container when it became blind
	blind    time.Duration // since when it knows but few of its workers; 0: it does know them
	orphaned time.Duration // since when none is
	clients  int
	busy     bool
	active   time.Duration // when somebody last had use for the application

	nodes    int                 // of the cluster; 0: not known
	suspects map[string]*suspect // by node
	good     map[string]bool     // nodes on which containers have stayed up
	avoided  []string            // what the provider was last told, sorted

	ending *ending // nil until the application is to stop

	out []Action
}

// New returns the core of an application that has no container yet and wants
// each pool's Count. Options.Pools must have passed spec.Application.Validate.
func New(o Options) *Core {
	c := &Core{opt: o.withDefaults(), containers: map[string]*container{}, suspects: map[string]*suspect{}, good: map[string]bool{}, random: o.Seed}
	if o.Node != "" {
		c.good[o.Node] = true
	}
	for i := range o.Pools {
		c.pools = append(c.pools, &pool{spec: &o.Pools[i], wanted: o.Pools[i].Count, shrunk: -1})
	}
	return c
}

// Step tells the core what happened and returns what is to be done. Now is the
// time since any fixed moment; a time before the last one counts as that one.
func (c *Core) Step(now time.Duration, ev Event) []Action {
	c.now = max(c.now, now)
	c.out = nil
	if c.ending != nil && c.ending.done {
		return nil
	}
	c.handle(ev)
	c.pass()
	c.settle()
	c.avoid()
	c.end()
	return c.out
}

func (c *Core) handle(ev Event) {
	switch ev := ev.(type) {
	case Tick:
		c.giveUpSilent()
	case Want:
		if p := c.pool(ev.Pool); p != nil && ev.N >= 0 && c.ending == nil {
			p.wanted, p.stirred = ev.N, c.now
			if ev.Afresh {
				p.used = p.used || !p.spec.Opportunistic
				p.failures, p.delay, p.hold = 0, 0, c.now
			}
		}
	case Allocated:
		c.allocated(ev)
	case Launched:
		if ct := c.containers[ev.ID]; ct != nil && ct.state == Starting {
			c.enter(ct, Running)
		}
	case Came:
		if ct := c.containers[ev.ID]; ct != nil {
			c.came(ct)
		}
	case LaunchFailed:
		cause := Unstarted
		if ev.Blameless {
			cause = Unreachable
		}
		if ev.Void {
			cause = Voided
		}
		c.remove(ev.ID, cause, StatusInvalid, ev.Why)
	case Completed:
		c.completed(ev)
	case Cluster:
		c.nodes = ev.Nodes
	case Refused:
		c.refused(ev)
	case Preempt:
		c.preempt(ev)
	case Release:
		for _, id := range ev.IDs {
			c.stop(c.containers[id])
		}
	case Kill:
		c.stop(c.containers[ev.ID])
	case Retire:
		c.retire(ev)
	case SchedulerAttached:
		c.attached, c.began = true, c.now
		for _, p := range c.pools {
			p.shrunk = -1 // this one has been told nothing yet
		}
		c.replaced()
		c.vouchAnew()
		c.drainAgain()
	case SchedulerDetached:
		c.attached, c.orphaned = false, c.now
	case Recalled:
		c.recall(ev.Memory)
		c.adopt(ev.Adopted)
	case Adopted:
		c.adopt(ev.Containers)
	case Heard:
		c.hear(ev)
	case Presence:
		c.noteUse() // up to now
		c.clients, c.busy = ev.Clients, ev.Busy
	case Stop:
		c.beginEnd(ev)
	}
}

// allocated takes a container that is asked for and releases any other.
func (c *Core) allocated(ev Allocated) {
	p := c.pool(ev.Pool)
	if c.containers[ev.ID] != nil || c.seen.given(ev.ID) {
		return // told twice
	}
	dead := c.seen.has(ev.ID) // its end was told before its beginning
	c.seen.add(ev.ID, true)
	extra := p == nil || p.asked == 0
	if !extra {
		p.asked--
		p.answered = c.now
	}
	if dead {
		return
	}
	if extra {
		c.do(ReleaseContainer{ev.ID})
		return
	}
	if c.full(p, ev.Node) {
		c.crowded(p, ev.ID)
		return
	}
	p.crowds = 0
	ct := c.take(ev.ID, ev.Node, p)
	c.do(StartContainer{ct.id, p.spec.Name, ct.node})
}

func (c *Core) take(id, node string, p *pool) *container {
	c.orders++
	ct := &container{id: id, node: node, pool: p, order: c.orders, round: p.round, since: c.now}
	c.containers[id] = ct
	p.live++
	p.used, p.stirred = true, c.now
	return ct
}

func (c *Core) completed(ev Completed) {
	ct := c.containers[ev.ID]
	c.seen.add(ev.ID, ct != nil)
	if ct == nil {
		return
	}
	c.remove(ev.ID, CauseOf(ev.Status, ct.state == Stopping), ev.Status, ev.Diagnostics)
}

// stop begins the end of a container. Where one is missing nobody but the resource
// manager can end it.
func (c *Core) stop(ct *container) {
	if ct == nil || !ct.live() {
		return
	}
	missing := ct.state == Missing
	c.enter(ct, Stopping)
	if missing {
		c.do(ReleaseContainer{ct.id})
		return
	}
	c.do(StopContainer{ct.id})
}

func (c *Core) enter(ct *container, s State) {
	if ct.live() && s == Stopping {
		ct.uncount()
	}
	ct.state, ct.since = s, c.now
}

// remove forgets a container that has ended and judges its end.
func (c *Core) remove(id string, cause Cause, status int32, why string) {
	ct := c.containers[id]
	if ct == nil {
		return
	}
	if ct.live() {
		ct.uncount()
	}
	delete(c.containers, id)
	ct.pool.stirred = c.now
	c.do(NoteExit{id, ct.pool.spec.Name, ct.node, cause, status, why})
	if ct.live() && ct.leaving == "" && c.ending == nil && !c.driverEnded(ct, cause, status, why) {
		c.judge(ct, cause, status, why)
	}
}

func (c *Core) pool(name string) *pool {
	for _, p := range c.pools {
		if p.spec.Name == name {
			return p
		}
	}
	return nil
}

// sorted returns the containers, oldest first: maps have no order, and the same
// events must give the same actions.
func (c *Core) sorted() []*container { return c.those(func(*container) bool { return true }) }

// those is sorted, of those that are meant.
func (c *Core) those(meant func(*container) bool) []*container {
	var list []*container
	for _, ct := range c.containers {
		if meant(ct) {
			list = append(list, ct)
		}
	}
	slices.SortFunc(list, func(a, b *container) int { return cmp.Compare(a.order, b.order) })
	return list
}

func (c *Core) do(a Action) { c.out = append(c.out, a) }
