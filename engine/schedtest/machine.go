package schedtest

import (
	"encoding/binary"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/sched"
)

// machine is a worker process: a worker's core, with what its shell does around it. It
// keeps its results through the loss of its connection.
type machine struct {
	name  int
	host  int
	pool  string
	slots int
	mem   uint64
	needs uint64
	gpus  uint64
	slow  bool
	dead  bool

	core  *local.Core
	conn  *conn // nil: cut off
	epoch int   // of the last scheduler that it was welcomed by

	running []*run
	flying  []*flight
	returns []*run // of those that run, in order
	store   map[local.Key]stored
	mislaid map[local.Key]bool // gone from the store, which the core was not told
	watch   watch
}

// run is an attempt that executes.
type run struct {
	*local.Assignment
	spec   *spec // of the scheduler that gave it
	values []uint64
	ghost  bool // nobody wants to know how it ends

	cancelled bool // it was told to end
	parked    bool // it waits for others
	returns   bool // and wants to go on
}

// flight is a fetch under way.
type flight struct {
	local.Fetch
	abandoned bool
}

type stored struct{ size, value uint64 }

func keyOf(a sched.TaskAttempt) local.Key { return local.Key{Task: a.Task, Attempt: a.Attempt} }

func attemptOf(k local.Key) sched.TaskAttempt {
	return sched.TaskAttempt{Task: k.Task, Attempt: k.Attempt}
}

func attemptsOf(keys []local.Key) (out []sched.TaskAttempt) {
	for _, k := range keys {
		out = append(out, attemptOf(k))
	}
	return out
}

// conn is one connection of a machine: one worker id.
type conn struct {
	name     int
	id       graph.WorkerID
	m        *machine
	open     bool // the machine has not lost it
	welcomed bool // the machine has heard that it is there
	gone     bool // the scheduler has given it up
	parted   bool
	down     []any    // to the machine
	up       []report // to the scheduler
	said     []report // the last of those, to say again
	heard    []any    // the last orders, to come again
}

// report is what a machine says.
type report struct {
	ev        sched.Event
	inventory bool // the end of it: older connections of the machine are over
}

// remembered bounds what can be said again.
const remembered = 6

func (c *conn) say(r report) {
	c.up = append(c.up, r)
	if c.said = append(c.said, r); len(c.said) > remembered {
		c.said = c.said[1:]
	}
}

func (c *conn) send(msg any) {
	c.down = append(c.down, msg)
	if c.heard = append(c.heard, msg); len(c.heard) > remembered {
		c.heard = c.heard[1:]
	}
}

// welcome is the first that a machine hears on a connection.
type welcome struct{}

func (w *World) newMachine(a *Action) *machine {
	m := &machine{
		name: a.M, host: a.Host, pool: a.Pool, slots: max(1, a.Slots), mem: a.Mem, needs: a.Needs, gpus: a.GPUs,
		store: map[local.Key]stored{}, mislaid: map[local.Key]bool{},
	}
	m.core = local.New(local.Config{Slots: m.slots, Fetches: m.fetches(w), FetchBytes: maxFetchBytes, Ahead: -1})
	m.watch.init()
	return m
}

// maxFetchBytes bounds what a machine fetches at a time.
const maxFetchBytes = 20 << 20

func (m *machine) fetches(w *World) int {
	if n := int(w.conf.Fetches); n > 0 {
		return n
	}
	return 16
}

func (m *machine) parted() bool { return m.conn != nil && m.conn.parted }

func (m *machine) welcomed() bool { return m.conn != nil && m.conn.welcomed }

// step puts an event into the machine's core.
func (m *machine) step(w *World, ev local.Event) {
	w.localEvents++
	m.core.Step(ev)
}

// hear takes one order in. An assignment that comes again is heard only as long as the
// attempt is there: a connection doubles nothing, and what ended would run again.
func (m *machine) hear(w *World, msg any) {
	if r, ok := msg.(repeated); ok {
		msg = r.msg
		if a, ok := msg.(local.Assigned); ok && !m.watch.stays(a.Tasks[0].Key) {
			return
		}
	}
	switch msg := msg.(type) {
	case welcome:
		m.greet(w)
		return
	case local.Assigned:
		for i := range msg.Tasks {
			m.watch.assigned(m, &msg.Tasks[i], w.oracle.specs[msg.Tasks[i].Task])
		}
		m.step(w, msg)
	case local.Stop:
		m.watch.unlive(m, msg.Tasks[0])
		m.step(w, msg)
	case local.Retract:
		m.watch.retract(msg.Tasks[0])
		m.step(w, msg)
	case local.Copy:
		m.watch.copies[msg.Tasks[0].Key] = true
		m.watch.keeps[msg.Tasks[0].Key] = true
		m.step(w, msg)
	case local.Free:
		delete(m.watch.keeps, msg.Tasks[0])
		m.step(w, msg)
	}
}

// act does what the machine's core wants, in the order in which a worker does.
func (m *machine) act(w *World) {
	for again := true; again; {
		again = false
		o := m.core.Output()
		w.must(m.watch.output(m, w, o))
		for _, a := range o.Cancel {
			for _, r := range m.running {
				r.cancelled = r.cancelled || r.Key == a.Key
			}
		}
		for _, k := range o.Abandon {
			for _, f := range m.flying {
				f.abandoned = f.abandoned || f.Key == k
			}
		}
		for _, k := range o.Drop {
			delete(m.store, k)
			delete(m.mislaid, k)
		}
		m.resume(o)
		m.report(w, o)
		for _, a := range o.Run {
			again = m.start(w, a.Assignment) || again
		}
		for _, f := range o.Fetch {
			m.flying = append(m.flying, &flight{Fetch: f})
		}
		if !again {
			w.must(m.watch.settled(m, w))
		}
	}
}

// report tells the scheduler.
func (m *machine) report(w *World, o *local.Output) {
	if !m.welcomed() {
		return
	}
	c := m.conn
	if len(o.Started) > 0 {
		c.say(report{ev: sched.Started{Worker: c.id, Tasks: attemptsOf(o.Started)}})
	}
	if len(o.Parked) > 0 {
		c.say(report{ev: sched.Parked{Worker: c.id, Tasks: attemptsOf(o.Parked)}})
	}
	if len(o.Unparked) > 0 {
		c.say(report{ev: sched.Unparked{Worker: c.id, Tasks: attemptsOf(o.Unparked)}})
	}
	if len(o.Done) > 0 {
		ev := sched.Done{Worker: c.id}
		for _, d := range o.Done {
			ev.Tasks = append(ev.Tasks, sched.Finished{TaskAttempt: attemptOf(d.Key), Size: d.Size, Inline: !d.Kept, Duration: d.Took})
			if !d.Kept {
				w.sent[attemptOf(d.Key)] = binary.BigEndian.Uint64(d.Inline)
			}
		}
		c.say(report{ev: ev})
	}
	if len(o.Failed) > 0 {
		ev := sched.Failed{Worker: c.id}
		for _, f := range o.Failed {
			ev.Tasks = append(ev.Tasks, sched.FailedAttempt{TaskAttempt: attemptOf(f.Key), Kind: f.Failure.Kind, Input: f.Input, Holder: f.Holder})
		}
		c.say(report{ev: ev})
	}
	if len(o.Retracted) > 0 {
		ev := sched.Retracted{Worker: c.id}
		for _, r := range o.Retracted {
			ev.Tasks, ev.OK = append(ev.Tasks, attemptOf(r.Key)), append(ev.OK, r.OK)
		}
		c.say(report{ev: ev})
	}
	if len(o.Copied) > 0 {
		ev := sched.Copied{Worker: c.id}
		for _, h := range o.Copied {
			ev.Tasks = append(ev.Tasks, sched.Held{TaskAttempt: attemptOf(h.Key), Size: h.Size})
		}
		c.say(report{ev: ev})
	}
	if len(o.Missing) > 0 {
		c.say(report{ev: sched.Missing{Worker: c.id, Tasks: attemptsOf(o.Missing)}})
	}
}

// start begins to execute an attempt: it opens its inputs. It reports whether one is
// not there, which the core has been told.
func (m *machine) start(w *World, a *local.Assignment) (lost bool) {
	r := &run{Assignment: a, spec: m.watch.live[a.Key].spec}
	for i := range a.Inputs {
		in := &a.Inputs[i]
		if in.IsInline() {
			r.values = append(r.values, binary.BigEndian.Uint64(in.Inline))
			continue
		}
		s, ok := m.store[in.Key]
		if !ok {
			m.step(w, local.Lost{Key: in.Key})
			m.ended(w, r, local.End{Input: in.Key, Failure: &graph.Failure{Kind: graph.FailInput}})
			return true
		}
		r.values = append(r.values, s.value)
	}
	m.running = append(m.running, r)
	return false
}

// park has the n-th running attempt wait for others, or ask for its slots again.
func (m *machine) park(w *World, n int) {
	r := m.running[n]
	switch {
	case !r.parked:
		r.parked = true
		m.step(w, local.Park{Tasks: []local.Key{r.Key}})
	case !r.returns:
		r.returns = true
		m.returns = append(m.returns, r)
		m.step(w, local.Unpark{Tasks: []local.Key{r.Key}})
	}
	m.act(w)
}

// resume has those go on that have their slots again.
func (m *machine) resume(o *local.Output) {
	for _, a := range o.Resumed {
		for _, r := range m.running {
			if r.Key == a.Key {
				r.parked, r.returns = false, false
			}
		}
	}
	m.returns = slices.DeleteFunc(m.returns, func(r *run) bool { return !r.returns || !slices.Contains(m.running, r) })
}

// ended tells the core that an attempt ended.
func (m *machine) ended(w *World, r *run, e local.End) {
	e.Key = r.Key
	m.watch.ended(m, r, &e)
	m.step(w, local.Ended{Attempts: []local.End{e}})
}

// end ends the n-th running attempt, as its class says or as how says.
func (m *machine) end(w *World, n int, how string) {
	r := m.running[n]
	does := r.spec.does
	if how == "" && does.does == "bomb" {
		w.crash(m, true)
		return
	}
	if how == "" && does.does == "poison" {
		m.die(w, graph.FailDied)
		return
	}
	m.finish(w, n, how)
	m.act(w)
}

// finish tells the core that the n-th running attempt ended.
func (m *machine) finish(w *World, n int, how string) {
	r := m.running[n]
	does := r.spec.does
	m.running = slices.Delete(m.running, n, n+1)
	if kind := w.failureOf(r, how); kind != graph.FailNone {
		m.ended(w, r, local.End{Failure: &graph.Failure{Kind: kind}})
		return
	}
	v := valueOf(r.spec.name, r.values)
	e := local.End{Size: does.size, Took: does.micros}
	if does.inline {
		e.Inline = binary.BigEndian.AppendUint64(nil, v)
	} else {
		e.Kept = true
		m.store[r.Key] = stored{does.size, v}
	}
	m.ended(w, r, e)
}

// failureOf decides how an attempt ends.
func (w *World) failureOf(r *run, how string) graph.FailKind {
	does := r.spec.does
	switch how {
	case "setup":
		return graph.FailSetup
	case "memory":
		return graph.FailMemory
	case "time":
		return graph.FailTime
	case "user":
		return graph.FailUser
	}
	switch does.does {
	case "bad":
		if !w.cured[r.spec.name] {
			return graph.FailUser
		}
		if mix(uint64(r.Attempt), 7)%2 == 0 {
			delete(w.cured, r.spec.name) // not for ever: computed again, it may fail
		}
	case "flaky":
		if w.flaked[r.spec.name] < int(does.class.Retries) {
			w.flaked[r.spec.name]++
			return graph.FailUser
		}
	}
	return graph.FailNone
}

// die ends all that runs: they share one executor.
func (m *machine) die(w *World, kind graph.FailKind) {
	dead := m.running
	m.running = nil
	var ev local.Ended
	for _, r := range dead {
		e := local.End{Key: r.Key, Failure: &graph.Failure{Kind: kind}, Died: true}
		m.watch.ended(m, r, &e)
		ev.Attempts = append(ev.Attempts, e)
	}
	m.step(w, ev)
	m.act(w)
}

// land answers the n-th fetch, well if its holder has the result and both can be
// reached, and if how does not say otherwise.
func (m *machine) land(w *World, n int, how string) {
	f := m.flying[n]
	m.flying = slices.Delete(m.flying, n, n+1)
	s, ok := w.fetch(m, f.From, attemptOf(f.Key))
	if _, asked := m.watch.keeps[f.Key]; asked && (!ok || how != "" && how != "late") {
		m.watch.keeps[f.Key] = false
	}
	switch {
	case how == "full":
		m.step(w, local.FetchFailed{Key: f.Key, Here: &graph.Failure{Kind: graph.FailSetup}})
	case !ok, how == "fail", f.abandoned && how != "late":
		m.step(w, local.FetchFailed{Key: f.Key})
	default:
		m.store[f.Key] = s
		m.watch.landed(f)
		m.step(w, local.Fetched{Key: f.Key})
	}
	m.act(w)
}
