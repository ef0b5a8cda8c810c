package server

import (
	"maps"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// PoolState is what a fleet says of one of its pools of workers.
type PoolState struct {
	Name       string
	Adapts     bool // the scheduler says how many there shall be; else a person does
	Min, Max   int  // if it adapts
	Idle       time.Duration
	Round      uint64 // grows with each word of a person's
	Wanted     int    // containers
	Asked      int    // not allocated yet
	Containers int    // that are there, whether their workers have joined or not
	Headroom   *int   // how many more containers the cluster says that there is room for; nil: unknown
	Failures   int    // rounds of starts in a row that failed

	// What one worker has, or will have.
	Slots      int
	Memory     uint64 // bytes for results
	TaskMemory uint64 // bytes for tasks
	Named      graph.Amounts
}

// Pools tells how the fleet's pools are, all of them, after each change. Fleet.Want is
// called only for those that adapt.
func (s *Server) Pools(list []PoolState) {
	s.loop.send(poolStates{list: slices.Clone(list)})
}

type poolStates struct{ list []PoolState }

func (in poolStates) handle(l *loop) {
	l.isMet()
	l.scaler.pools = in.list
}

func (in poolStates) origin() *wire.Conn { return nil }

const (
	decideEvery = time.Second
	tellAgain   = 3 * time.Second // a number that the fleet does not seem to have heard
	boundAgain  = time.Minute     // after which a bound is news again
)

// scaler decides how large the pools are that adapt. What it decided is in the chronicle.
type scaler struct {
	core  *adapt.Core
	pools []PoolState
	last  time.Time // of the last decision
	idle  bool      // nothing was to be done then
	told  map[string]toldPool
	now   map[string]decision // the latest of each pool
	bound map[poolBound]time.Time
}

// poolBound is a bound of a pool's; scaler.bound has when it was last in force.
type poolBound struct {
	pool  string
	bound adapt.Bound
}

type toldPool struct {
	n  int
	at time.Time
}

type decision struct {
	at time.Time
	adapt.Decision
}

func newScaler(cfg adapt.Config) scaler {
	return scaler{core: adapt.New(cfg), idle: true, told: map[string]toldPool{}, now: map[string]decision{}, bound: map[poolBound]time.Time{}}
}

// scale decides once a second, and as soon as there is work where there was none.
func (l *loop) scale() {
	s := &l.scaler
	since := l.now.Sub(s.last)
	if len(s.pools) == 0 || since < decideEvery && (!s.idle || !l.core.Busy()) {
		return
	}
	s.last, s.idle = l.now, !l.core.Busy()
	v := l.poolView()
	if len(v.Pools) == 0 {
		return
	}
	for _, d := range s.core.Decide(v) {
		now := decision{l.now, d}
		if bound := s.newlyBound(&now); d.Kind != adapt.Hold || bound {
			l.noteDecision(now)
		}
		s.now[d.Pool] = now
		l.tellFleet(d)
	}
}

// tellFleet says what is wanted when that is new, or the fleet has not heard it.
func (l *loop) tellFleet(d adapt.Decision) {
	s := &l.scaler
	wanted := d.Want
	if n := slices.IndexFunc(s.pools, func(p PoolState) bool { return p.Name == d.Pool }); n >= 0 {
		wanted = s.pools[n].Wanted
	}
	told, ever := s.told[d.Pool]
	if ever && told.n == d.Want && (wanted == d.Want || l.now.Sub(told.at) < tellAgain) {
		return
	}
	if !ever && wanted == d.Want {
		return
	}
	s.told[d.Pool] = toldPool{d.Want, l.now}
	l.log.Info("scale", "pool", d.Pool, "kind", d.Kind, "from", wanted, "to", d.Want, "reason", d.Reason)
	if l.fleet != nil {
		l.fleet.want(d.Pool, d.Want, d.Reason)
	}
}

// newlyBound reports whether a pool begins to be kept from what would be of use: by
// something that has not kept it for a while, so that what comes and goes is told once.
func (s *scaler) newlyBound(d *decision) bool {
	if d.Bound == adapt.Unbound {
		return false
	}
	last, ever := s.bound[poolBound{d.Pool, d.Bound}]
	s.bound[poolBound{d.Pool, d.Bound}] = d.at
	return !ever || d.at.Sub(last) >= boundAgain
}

// noteDecision has people, and the next scheduler, know of a decision.
func (l *loop) noteDecision(d decision) {
	e := l.event("scale."+string(d.Kind), d.Pool, "from %d to %d: %s", d.Before, d.Want, d.Reason)
	e.Decision = decisionOut(d)
	l.told(e)
}

// recallDecision takes in what an earlier scheduler decided.
func (s *scaler) recallDecision(d *wire.Decision) {
	s.core.Recall(d.Pool, time.Duration(d.DelayUs)*time.Microsecond)
	if d.Bound != "" {
		s.bound[poolBound{d.Pool, adapt.Bound(d.Bound)}] = time.UnixMicro(d.AtUs)
	}
}

// poolView is what the adapting pools and the work look like.
func (l *loop) poolView() adapt.View {
	v := adapt.View{Now: l.now.Sub(l.start)}
	joined := map[string]*adapt.Pool{}
	for i := range l.scaler.pools {
		p := &l.scaler.pools[i]
		if !p.Adapts {
			delete(l.scaler.told, p.Name)
			delete(l.scaler.now, p.Name)
			continue
		}
		v.Pools = append(v.Pools, adapt.Pool{
			Name: p.Name, Min: p.Min, Max: p.Max, Idle: p.Idle, Round: p.Round, Wanted: p.Wanted, Starting: p.Containers, Failures: p.Failures,
			Slots: max(1, p.Slots), Memory: p.Memory, TaskMemory: p.TaskMemory, Named: p.Named, Headroom: headroom(p.Headroom),
		})
	}
	for i := range v.Pools {
		joined[v.Pools[i].Name] = &v.Pools[i]
	}
	for _, w := range l.workers {
		if p := joined[w.hello.Pool]; p != nil && w.settled {
			l.addWorker(p, w)
		}
	}
	if len(v.Pools) > 0 {
		v.Work = l.core.Demand(nil)
	}
	return v
}

func headroom(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

// addWorker counts a worker in its pool.
func (l *loop) addWorker(p *adapt.Pool, w *worker) {
	info, ok := l.core.Worker(w.id)
	if !ok || w.superseded {
		return
	}
	p.Starting = max(0, p.Starting-1)
	p.Bytes += info.Bytes
	if info.Phase != "working" || w.retired {
		p.Draining++
		return
	}
	p.Live++
	if age := max(1, l.now.Sub(w.joined)); p.Youngest == 0 || age < p.Youngest {
		p.Youngest = age
	}
	p.Busy += min(1, float64(info.Assigned-info.Parked)/float64(max(1, info.Slots)))
}

// latest returns the newest decision of each pool that adapts, by name.
func (s *scaler) latest() (out []decision) {
	for _, name := range slices.Sorted(maps.Keys(s.now)) {
		out = append(out, s.now[name])
	}
	return out
}
