package adapt

import (
	"cmp"
	"math"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Config has the core's few knobs. The zero value of each means its default.
type Config struct {
	Horizon time.Duration // within which work shall be done. Default 5 s
	Delay   time.Duration // from request to ready, until that was measured or recalled. Default 5 s
	Idle    time.Duration // for how long fewer must have been enough before one goes. Default 60 s
	Step    time.Duration // while nothing is known twice as many try after each. Default 1 s
	Unmet   time.Duration // after which an ask without any answer is given up for now. Default 30 s
	Band    float64       // by which a goal may be missed, and numbers may differ. Default 0.15
	Fill    float64       // of workers' memory that results may take. Default 0.6
	GiveUp  int           // failed rounds of starts after which no more are asked for. Default 3
}

func (c Config) withDefaults() Config {
	def(&c.Horizon, 5*time.Second)
	def(&c.Delay, 5*time.Second)
	def(&c.Idle, time.Minute)
	def(&c.Step, time.Second)
	def(&c.Unmet, 30*time.Second)
	def(&c.Band, 0.15)
	def(&c.Fill, 0.6)
	def(&c.GiveUp, 3)
	return c
}

func def[T int | float64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Core remembers what a View alone does not tell. It is not safe for concurrent use.
type Core struct {
	cfg    Config
	pools  map[string]*pool
	delays map[string]time.Duration // by pool: of a core before this one
	trying map[class]trial
}

// trial is work of which nothing has ended for some time, though workers are at it.
type trial struct {
	since time.Duration
	ended uint64 // graph.Demand.Ended then
}

// class names work from one View to the next.
type class struct {
	job   graph.JobID
	class graph.ClassID
}

func classOf(w *graph.Demand) class { return class{w.Job, w.Class} }

// New returns a core that knows nothing yet.
func New(cfg Config) *Core {
	return &Core{cfg: cfg.withDefaults(), pools: map[string]*pool{}, delays: map[string]time.Duration{}, trying: map[class]trial{}}
}

// Recall tells how long a start took in a pool by what a core before this one knew:
// Inputs.Delay of its last decision. It holds until that was measured anew.
func (c *Core) Recall(pool string, delay time.Duration) {
	if delay > 0 {
		c.delays[pool] = delay
	}
}

// Decide returns a decision for each pool of v, in their order. It is meant to be called
// about once a second, and soon after work has come to a cluster that had none.
func (c *Core) Decide(v View) []Decision {
	c.observeTries(v)
	demands := c.demands(v)
	out := make([]Decision, 0, len(v.Pools))
	seen := make(map[string]bool, len(v.Pools))
	for i := range v.Pools {
		p := &v.Pools[i]
		seen[p.Name] = true
		m := c.pools[p.Name]
		if m == nil {
			m = newPool(v.Now, p)
			c.pools[p.Name] = m
		}
		out = append(out, c.decide(v.Now, m, p, demands[i]))
	}
	for name := range c.pools {
		if !seen[name] {
			delete(c.pools, name)
		}
	}
	return out
}

// decide is Decide for one pool.
func (c *Core) decide(now time.Duration, m *pool, p *Pool, d *demand) Decision {
	m.observe(now, c.cfg.Unmet, p)
	in := Inputs{
		Min: p.Min, Max: p.Max, Live: p.Live, Draining: p.Draining, Starting: p.Starting, Pending: max(0, m.want-p.Live),
		Tasks: d.tasks, Waiting: d.waiting, Unknown: d.unknown, Path: d.path, Headroom: p.Headroom, Failures: p.Failures,
		Delay: m.delay(cmp.Or(c.delays[p.Name], c.cfg.Delay)), Work: seconds(d.work), Width: d.width(), Memory: c.memory(p),
	}
	in.Goal = max(in.Path, c.cfg.Horizon, 3*in.Delay)
	in.Finish = seconds(d.finish(m.want))
	in.Enough = max(d.enough(in.Goal.Seconds()), m.probe(now, c.cfg.Step, d.unknownWidth()))
	in.Stream = m.stream(now, d.work, p.Busy)
	in.Enough = max(in.Enough, min(int(math.Ceil(in.Stream)), in.Width))
	in.Idle = c.cfg.Idle
	if p.Idle > 0 {
		in.Idle = p.Idle
	}
	m.remember(now, in.Idle, in.Enough, d.work, p.Busy)
	in.Peak, in.Busy = m.peak(), m.busy()
	in.Unmet = m.unmet(now, c.cfg.Unmet, p)

	out := Decision{Pool: p.Name, Kind: Hold, Before: m.want, Want: m.want}
	need := max(in.Enough, in.Memory)
	switch floor := max(in.Peak, in.Memory, int(math.Ceil(in.Busy-0.05))); {
	case m.want < p.Min || m.want > p.Max:
		out.Kind = Limit
		out.Want = min(max(m.want, p.Min), p.Max)
	case p.Failures >= c.cfg.GiveUp && m.want > max(p.Live+p.Starting, p.Min):
		// What is wanted and not there would be asked for again and again.
		out.Kind, out.Want = Withdraw, max(p.Live+p.Starting, p.Min)
	case need > m.want:
		out.Want = c.raised(m, p, d, &in, need)
		out.Kind = kindOf(out.Want > m.want, Raise)
	case m.want > p.Live+p.Starting && c.farBelow(need, m.want) && m.want > p.Min:
		// A goal that waits for what comes late must not be why it is not waited for.
		soonest := d.enough(max(in.Path, c.cfg.Horizon).Seconds())
		out.Want = min(m.want, max(need, soonest, p.Live+p.Starting, p.Min))
		out.Kind = kindOf(out.Want < m.want, Withdraw)
	case c.farBelow(floor, m.want) && now-m.moved >= in.Idle && (p.Youngest == 0 || p.Youngest >= in.Idle) && m.want > p.Min:
		out.Want = max(floor, p.Min)
		out.Kind = kindOf(out.Want < m.want, Lower)
	}
	out.Inputs = in
	out.Bound = bound(&out, c.cfg)
	out.Reason = words(&out, c.cfg)
	m.wants(now, out.Want)
	return out
}

func kindOf(moved bool, k Kind) Kind {
	if moved {
		return k
	}
	return Hold
}

// raised is how many a pool shall have that needs more than it wants.
func (c *Core) raised(m *pool, p *Pool, d *demand, in *Inputs, need int) int {
	missed := in.Enough > m.want && (d.missed(m.want, in.Goal.Seconds(), c.cfg.Band) || in.Stream > float64(m.want)*(1+c.cfg.Band/3))
	if !missed && in.Memory <= m.want && m.want > 0 {
		return m.want
	}
	if p.Failures >= c.cfg.GiveUp {
		return max(m.want, p.Min)
	}
	return max(m.want, min(need, p.Max, m.cap(p), p.room()))
}

// farBelow reports whether fewer than want would do by more than the band.
func (c *Core) farBelow(n, want int) bool {
	return n < want && (n == 0 || float64(n) <= float64(want)*(1-c.cfg.Band))
}

// memory is how many workers it takes to hold the results.
func (c *Core) memory(p *Pool) int {
	if p.Memory == 0 {
		return 0
	}
	return int(math.Ceil(float64(p.Bytes) / (float64(p.Memory) * c.cfg.Fill)))
}

// observeTries notes since when nothing has ended of work that is being tried. What is
// known to be short may have been given ahead of time and wait behind something else;
// so only what runs counts there.
func (c *Core) observeTries(v View) {
	seen := make(map[class]bool, len(v.Work))
	for i := range v.Work {
		w := &v.Work[i]
		if w.Given == 0 || w.Took > 0 && w.Running == 0 {
			continue
		}
		seen[classOf(w)] = true
		if t, ok := c.trying[classOf(w)]; !ok || t.ended != w.Ended {
			c.trying[classOf(w)] = trial{v.Now, w.Ended}
		}
	}
	for id := range c.trying {
		if !seen[id] {
			delete(c.trying, id)
		}
	}
}
