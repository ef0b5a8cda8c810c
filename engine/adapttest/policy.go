package adapttest

import (
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
)

// Ours is package adapt's policy.
type Ours struct {
	core *adapt.Core
	// Decisions are all that changed something.
	Decisions []adapt.Decision
	Min       int
}

// NewOurs returns it with its defaults, or others.
func NewOurs(cfg adapt.Config) *Ours { return &Ours{core: adapt.New(cfg)} }

// Decide implements Policy.
func (o *Ours) Decide(w *World) error {
	p := adapt.Pool{Name: "worker", Min: o.Min, Max: w.Trace.Max, Slots: 1, Starting: w.Starting(), Headroom: -1}
	for id := range w.workers {
		k, _ := w.Core.Worker(id)
		if k.Phase != "working" {
			p.Draining++
			continue
		}
		p.Live++
		if age := max(1, w.age(id)); p.Youngest == 0 || age < p.Youngest {
			p.Youngest = age
		}
		if k.Assigned > 0 {
			p.Busy++
		}
	}
	for _, d := range o.core.Decide(adapt.View{Now: w.Now, Work: w.Core.Demand(nil), Pools: []adapt.Pool{p}}) {
		if d.Want != d.Before {
			o.Decisions = append(o.Decisions, d)
		}
		w.want(d.Want)
	}
	return nil
}

// want is what the application master makes of a number.
func (w *World) want(n int) {
	w.Ask(max(0, n-w.Containers()))
	if w.Containers() > n {
		w.Shrink(n)
	}
}

// Oracle knows the trace: when how many workers will have something to do, if there are
// always enough. It asks for them so early that they come in time, and lets them go when
// they have nothing to do for longer than that takes.
type Oracle struct {
	busy []int // by second
}

// lead is how many seconds before they are of use the oracle asks for workers.
func lead(t *Trace) int { return int((allocateMost + t.Start*3/2 + time.Second) / time.Second) }

// NewOracle looks into the future.
func NewOracle(t *Trace, seed uint64) (*Oracle, error) {
	o := &Oracle{}
	watched := *t
	watched.Cuts = nil
	_, err := Run(&watched, &always{o}, seed)
	return o, err
}

// Decide implements Policy.
func (o *Oracle) Decide(w *World) error {
	now := int(w.Now / time.Second)
	n := 0
	for s := now; s <= now+lead(w.Trace) && s < len(o.busy); s++ {
		n = max(n, o.busy[s])
	}
	if len(w.Trace.Cuts) > 0 && w.left > 0 {
		n = max(n, min(w.left, w.Trace.Max)) // what was preempted is late
	}
	w.want(n)
	return nil
}

// always has as many workers as there may be, and notes how many do something.
type always struct{ o *Oracle }

func (a *always) Decide(w *World) error {
	if w.coming == 0 && w.left == 0 {
		w.want(0)
		return nil
	}
	busy := min(w.Trace.Max, w.left)
	if len(w.workers) > 0 {
		busy = 0
		for _, m := range w.workers {
			if m.run != nil {
				busy++
			}
		}
	}
	a.o.busy = append(a.o.busy, busy)
	w.want(w.Trace.Max)
	return nil
}
