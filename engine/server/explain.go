package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// explain answers why things are as they are: how many workers there are, why a task
// waits, why a worker went.
func (l *loop) explain(m *wire.Explain, reply *wire.Reply) error {
	e := &wire.Explanation{}
	var err error
	switch {
	case m.Worker != "":
		err = l.explainWorker(m.Worker, e)
	case m.Task:
		err = l.explainTask(m, e)
	default:
		l.explainPools(e)
	}
	reply.Body = &wire.Reply_Explanation{Explanation: e}
	return err
}

// ---- pools -----------------------------------------------------------------------

// explainPools tells how large the pools are, why, and how they came to be.
func (l *loop) explainPools(e *wire.Explanation) {
	for i := range l.scaler.pools {
		e.Pool = append(e.Pool, l.poolNow(&l.scaler.pools[i]))
	}
	for _, ev := range l.events.rings[ofDecisions].all() {
		e.Decision = append(e.Decision, ev.Decision)
	}
	s := l.core.Shrunk()
	e.DrainedWorkers, e.DrainedAttempts, e.DrainedResults = uint32(s.Workers), uint32(s.Attempts), uint32(s.Results)
	if len(e.Pool) == 0 {
		e.Answer = "Workers of this cluster come and go by themselves: nobody starts any for it."
		return
	}
	var said []string
	for _, p := range e.Pool {
		said = append(said, poolWords(p))
	}
	e.Answer = strings.Join(said, " ")
	if n := s.Attempts + s.Results; n > 0 {
		e.Detail = append(e.Detail, fmt.Sprintf("%d drained workers went with %d results that no other had room for, and %d attempts: these are computed again if they are needed", s.Workers, s.Results, s.Attempts))
	}
}

func poolWords(p *wire.PoolNow) string {
	switch d := p.Latest; {
	case d == nil && p.Adapts:
		return fmt.Sprintf("Pool %s shall have %d workers, between %d and %d: nothing was decided yet.", p.Name, p.Wanted, p.Min, p.Max)
	case d == nil:
		return fmt.Sprintf("Pool %s has %d workers of %d because a person said so.", p.Name, p.Running, p.Wanted)
	case d.Want != p.Wanted: // the one is on its way to the other
		return fmt.Sprintf("Pool %s shall have %d workers, between %d and %d; decided last were %d: %s.", p.Name, p.Wanted, p.Min, p.Max, d.Want, d.Reason)
	default:
		return fmt.Sprintf("Pool %s shall have %d workers, between %d and %d: %s.", p.Name, d.Want, p.Min, p.Max, d.Reason)
	}
}

func (l *loop) poolNow(p *PoolState) *wire.PoolNow {
	out := &wire.PoolNow{Name: p.Name, Adapts: p.Adapts, Min: uint32(p.Min), Max: uint32(p.Max), Wanted: uint32(p.Wanted), Asked: uint32(p.Asked)}
	there := 0
	for _, w := range l.workers {
		if w.hello.Pool != p.Name || !w.settled || w.superseded {
			continue
		}
		there++
		if info, _ := l.core.Worker(w.id); info.Phase == "working" && !w.retired {
			out.Running++
		} else {
			out.Draining++
		}
	}
	out.Starting = uint32(max(0, p.Containers-there))
	if d, ok := l.scaler.now[p.Name]; ok {
		out.Latest = decisionOut(d)
	}
	return out
}

func decisionOut(d decision) *wire.Decision {
	in := &d.Inputs
	out := &wire.Decision{
		AtUs: d.at.UnixMicro(), Pool: d.Pool, Kind: string(d.Kind), Bound: string(d.Bound), Before: uint32(d.Before), Want: uint32(d.Want), Reason: d.Reason,
		Running: uint32(in.Live), Starting: uint32(in.Starting), Draining: uint32(in.Draining), Pending: uint32(in.Pending),
		Tasks: uint64(in.Tasks), Waiting: uint64(in.Waiting), Unknown: uint64(in.Unknown), WorkUs: in.Work.Microseconds(), PathUs: in.Path.Microseconds(),
		Width: uint64(in.Width), GoalUs: in.Goal.Microseconds(), FinishUs: in.Finish.Microseconds(), Enough: uint64(in.Enough), Peak: uint64(in.Peak),
		Busy: in.Busy, Memory: uint32(in.Memory), DelayUs: in.Delay.Microseconds(), UnmetUs: in.Unmet.Microseconds(), Failures: uint32(in.Failures), Stream: in.Stream,
	}
	if n := uint32(max(0, in.Headroom)); in.Headroom >= 0 {
		out.Headroom = &n
	}
	return out
}

// ---- tasks -----------------------------------------------------------------------

func (l *loop) explainTask(m *wire.Explain, e *wire.Explanation) error {
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	why, ok := l.core.Why(j.taskID(m.Index))
	if !ok || m.Index >= j.tasks {
		return wire.Errorf(wire.NotFound, "%s has %d tasks, none of index %d", j.title(), j.tasks, m.Index)
	}
	e.State = why.State.String()
	id, _ := j.chunkOf(m.Index).spec(m.Index)
	switch class := &j.classes[id]; why.State {
	case sched.StateWaiting:
		l.whyWaiting(&why, e)
	case sched.StateReady:
		l.whyReady(&why, class, e)
	case sched.StateAssigned:
		name, host := l.whereabouts(why.Worker)
		e.Answer = fmt.Sprintf("It was given to worker %s on %s, which has not begun it: it fetches its inputs, or ends first what it was given before.", name, host)
		if info, ok := l.core.Worker(why.Worker); ok {
			e.Detail = append(e.Detail, fmt.Sprintf("that worker has %d tasks, %d of them run, on %d slots", info.Assigned, info.Running, info.Slots))
		}
	case sched.StateRunning:
		name, host := l.whereabouts(why.Worker)
		e.Answer = fmt.Sprintf("It runs on worker %s on %s, attempt %d.", name, host, why.Attempt)
	case sched.StateReleased, sched.StateForgotten:
		e.Answer = "Nobody wants its result: it was let go of, and no task that is wanted needs it."
	case sched.StateFailed:
		e.Answer = "It failed: " + why.Kind.String() + "."
		if why.Cause != why.ID {
			e.Detail = append(e.Detail, "the failure is that of task "+why.Cause.String())
		}
	default:
		e.Answer = "It is " + why.State.String() + "."
	}
	return nil
}

func (l *loop) whyWaiting(why *sched.Why, e *wire.Explanation) {
	e.Answer = fmt.Sprintf("It waits for %s of its inputs.", count(why.Waiting, "one", "%d"))
	for _, d := range why.Missing {
		text := "task " + d.ID.String() + " is " + d.State.String()
		if d.Worker != 0 {
			name, _ := l.whereabouts(d.Worker)
			text += " on worker " + name
		}
		e.Detail = append(e.Detail, text)
	}
	if n := why.Waiting - len(why.Missing); n > 0 {
		e.Detail = append(e.Detail, fmt.Sprintf("and %d more", n))
	}
}

func (l *loop) whyReady(why *sched.Why, class *graph.Class, e *wire.Explanation) {
	switch {
	case l.back.on:
		e.Answer = l.back.waits(l.now, l.opts.Return)
	case why.Alone:
		e.Answer = "It ran when a worker died, and may be why: it waits for a worker that has nothing else to do, to run alone."
	case why.Workers == 0:
		e.Answer = "Its inputs are there, and there is no worker."
	case why.Fit == 0:
		e.Answer = fmt.Sprintf("No worker has what it asks for: of %d %s.", why.Workers, lacking(&why.Lack, class))
	case why.Free > 0:
		e.Answer = fmt.Sprintf("It is about to begin: %d workers have room for it.", why.Free)
	default:
		e.Answer = fmt.Sprintf("All %d workers that can run it are busy.", why.Fit)
	}
	if why.Before+why.Beside > 0 {
		e.Detail = append(e.Detail, fmt.Sprintf("%d tasks of a higher priority come before it, and it takes turns with %d others", why.Before, why.Beside))
	}
	if why.Fit > 0 && why.Fit < why.Workers {
		e.Detail = append(e.Detail, fmt.Sprintf("of the other %d workers %s", why.Workers-why.Fit, lacking(&why.Lack, class)))
	}
	e.Detail = append(e.Detail, l.whyNoMore(why, class)...)
}

// whyNoMore tells why there are no more workers for a task.
func (l *loop) whyNoMore(why *sched.Why, class *graph.Class) (out []string) {
	if why.Free > 0 {
		return nil
	}
	w := &graph.Demand{Pool: class.Pool, Slots: max(1, int(class.Resources.Slots)), Memory: class.Resources.Memory, Named: class.Resources.Named}
	fits := 0
	for i := range l.scaler.pools {
		p := &l.scaler.pools[i]
		if !adapt.Fits(w, &adapt.Pool{Name: p.Name, Slots: max(1, p.Slots), TaskMemory: p.TaskMemory, Named: p.Named}) {
			continue
		}
		fits++
		out = append(out, poolWords(l.poolNow(p)))
	}
	if fits == 0 && len(l.scaler.pools) > 0 {
		out = append(out, "no pool has workers that could ever run it: ask for less, or submit an application with larger workers")
	}
	return out
}

// lacking puts what workers lack into words.
func lacking(k *sched.Lack, class *graph.Class) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(k.Pool, "are not of pool "+class.Pool)
	add(k.Slots, "have too few slots")
	add(k.Memory, "have too little memory")
	for _, a := range k.Named {
		add(int(a.Count), "have not enough "+a.Name)
	}
	add(k.Host, "are not on a host, or are not a worker, that it names ("+strings.Join(class.Hosts[:min(3, len(class.Hosts))], ", ")+")")
	return strings.Join(parts, ", ")
}

func count(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(more, n)
}

// ---- workers ---------------------------------------------------------------------

// explainWorker tells what became of a worker, by its container's id or the end of it.
func (l *loop) explainWorker(end string, e *wire.Explanation) error {
	names := l.workersLike(end)
	switch len(names) {
	case 0:
		return wire.Errorf(wire.NotFound, "no worker %s is remembered", end)
	case 1:
	default:
		return wire.Errorf(wire.Invalid, "%q is the end of %d workers' ids, such as %s: give more of it", end, len(names), strings.Join(names[:min(3, len(names))], ", "))
	}
	name := names[0]
	for _, ev := range l.events.rings[ofWorkers].all() {
		if ev.Object != name {
			continue
		}
		e.Answer = ev.Kind + ": " + ev.Text + "."
		e.Detail = append(e.Detail, time.UnixMicro(ev.AtUs).UTC().Format(time.RFC3339)+" "+ev.Kind+": "+ev.Text)
	}
	switch w := l.workerNames[name]; {
	case w != nil && w.settled:
		info, _ := l.core.Worker(w.id)
		e.State = w.state(info.Phase != "working")
		e.Answer = fmt.Sprintf("It is %s: %d of its %d slots' tasks run, %d are queued, it holds %d results.", e.State, info.Running, info.Slots, info.Assigned-info.Running, info.Results)
		if why := l.drains[name]; why != "" {
			e.Answer = "It is being drained: " + why + "."
		}
	case w != nil:
		e.State, e.Answer = "joining", "It is connected, and says what it holds."
	case l.back.on && l.back.expected[name]:
		e.State = "away"
		e.Answer = fmt.Sprintf("It is not back: this scheduler took over %v ago, and waits for it.", l.now.Sub(l.back.began).Round(time.Second))
	default:
		e.State = "left"
	}
	e.Worker = name
	return nil
}

// workersLike finds the workers, there, waited for or remembered, whose names end so: one
// alone if that is its whole name.
func (l *loop) workersLike(end string) []string {
	found := map[string]bool{}
	add := func(name string) {
		if strings.HasSuffix(name, end) {
			found[name] = true
		}
	}
	for name := range l.workerNames {
		add(name)
	}
	for name := range l.back.expected {
		add(name)
	}
	for _, ev := range l.events.rings[ofWorkers].list {
		add(ev.Object)
	}
	if found[end] {
		return []string{end}
	}
	return slices.Sorted(maps.Keys(found))
}
