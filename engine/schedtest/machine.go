package schedtest

import (
	"cmp"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// machine is a model of a worker process. It keeps its results through the loss
// of its connection.
type machine struct {
	name    int
	host    string
	pool    string
	slots   int
	memory  uint64
	conn    *conn // nil: cut off
	queue   []assigned
	running []assigned
	results map[sched.TaskAttempt]stored
}

type assigned struct {
	sched.Assign
	inputs []input
	slots  int
}

type input struct {
	sched.Input
	value uint64 // if inline
}

type stored struct{ size, value uint64 }

// conn is one connection of a machine: one worker id.
type conn struct {
	id   graph.WorkerID
	m    *machine
	down []any         // to the machine
	up   []sched.Event // to the scheduler
	said []sched.Event // the last of those, to say again
}

func (c *conn) say(ev sched.Event) {
	c.up = append(c.up, ev)
	c.said = append(c.said, ev)
	if len(c.said) > 3 {
		c.said = c.said[1:]
	}
}

type (
	stop     sched.Order
	retract  sched.Order
	free     sched.Order
	copyFrom sched.Copy
)

// hear takes one message in.
func (m *machine) hear(w *World, msg any) {
	same := func(t graph.TaskID, a graph.Attempt) func(assigned) bool {
		return func(x assigned) bool { return x.Task == t && x.Attempt == a }
	}
	switch msg := msg.(type) {
	case assigned:
		m.queue = append(m.queue, msg)
	case stop:
		m.queue = slices.DeleteFunc(m.queue, same(msg.Task, msg.Attempt))
		m.running = slices.DeleteFunc(m.running, same(msg.Task, msg.Attempt))
	case retract:
		before := len(m.queue)
		m.queue = slices.DeleteFunc(m.queue, same(msg.Task, msg.Attempt))
		m.conn.say(sched.Retracted{
			Worker: m.conn.id,
			Tasks:  []sched.TaskAttempt{{Task: msg.Task, Attempt: msg.Attempt}},
			OK:     []bool{len(m.queue) < before},
		})
	case free:
		delete(m.results, sched.TaskAttempt{Task: msg.Task, Attempt: msg.Attempt})
	case copyFrom:
		a := sched.TaskAttempt{Task: msg.Task, Attempt: msg.Attempt}
		if s, ok := w.fetch(msg.From, a); ok {
			m.results[a] = s
			m.conn.say(sched.Copied{Worker: m.conn.id, Tasks: []sched.Held{{TaskAttempt: a, Size: s.size}}})
			return
		}
		m.conn.say(sched.Failed{Worker: m.conn.id, Tasks: []sched.FailedAttempt{
			{TaskAttempt: a, Kind: graph.FailInput, Input: msg.Task, Holder: msg.From},
		}})
	}
}

// canStart reports whether the head of the queue fits the free slots.
func (m *machine) canStart() bool {
	if len(m.queue) == 0 {
		return false
	}
	used := 0
	for _, r := range m.running {
		used += r.slots
	}
	return used+m.queue[0].slots <= m.slots
}

// start fetches the inputs of the queue's head and begins to run it.
func (m *machine) start(w *World) {
	a := m.queue[0]
	m.queue = m.queue[1:]
	at := sched.TaskAttempt{Task: a.Task, Attempt: a.Attempt}
	for k := range a.inputs {
		in := &a.inputs[k]
		if in.Inline {
			continue
		}
		s, holder, ok := m.obtain(w, in)
		if !ok {
			if m.conn != nil {
				m.conn.say(sched.Failed{Worker: m.conn.id, Tasks: []sched.FailedAttempt{
					{TaskAttempt: at, Kind: graph.FailInput, Input: in.Task, Holder: holder},
				}})
			}
			return
		}
		in.value = s.value
	}
	m.running = append(m.running, a)
	if m.conn != nil {
		m.conn.say(sched.Started{Worker: m.conn.id, Tasks: []sched.TaskAttempt{at}})
	}
}

// obtain gets an input from here or from one of its holders. A fetched one is
// kept, and told, now and then.
func (m *machine) obtain(w *World, in *input) (s stored, last graph.WorkerID, ok bool) {
	at := sched.TaskAttempt{Task: in.Task, Attempt: in.Attempt}
	if s, ok = m.results[at]; ok {
		return s, 0, true
	}
	for _, h := range in.Held {
		if h == 0 {
			break
		}
		if s, ok = w.fetch(h, at); !ok {
			last = h
			continue
		}
		if m.conn != nil && w.chance(2) {
			m.results[at] = s
			m.conn.say(sched.Copied{Worker: m.conn.id, Tasks: []sched.Held{{TaskAttempt: at, Size: s.size}}})
		}
		return s, h, true
	}
	return stored{}, last, false
}

// finish ends the n-th running attempt as its class says. It reports whether the
// machine survives.
func (m *machine) finish(w *World, n int) bool {
	a := m.running[n]
	does := w.oracle.specs[a.Task].does
	switch does.kind {
	case "bomb":
		return false
	case "poison":
		m.executorDies()
		return true
	}
	m.running = slices.Delete(m.running, n, n+1)
	at := sched.TaskAttempt{Task: a.Task, Attempt: a.Attempt}
	bad := does.kind == "bad" && !w.cured[a.Task]
	if does.kind == "flaky" && w.flaked[a.Task] < int(does.class.Retries) {
		w.flaked[a.Task]++
		bad = true
	}
	if bad {
		if m.conn != nil {
			m.conn.say(sched.Failed{Worker: m.conn.id, Tasks: []sched.FailedAttempt{{TaskAttempt: at, Kind: graph.FailUser}}})
		}
		return true
	}
	if w.chance(2) {
		delete(w.cured, a.Task) // not for ever: computed again, it may fail
	}
	values := make([]uint64, len(a.inputs))
	for k := range a.inputs {
		values[k] = a.inputs[k].value
	}
	v := valueOf(a.Task, values)
	if !does.inline {
		m.results[at] = stored{does.size, v}
	}
	if m.conn != nil {
		if does.inline {
			w.sent[at] = v
		}
		m.conn.say(sched.Done{Worker: m.conn.id, Tasks: []sched.Finished{
			{TaskAttempt: at, Size: does.size, Inline: does.inline, Duration: does.micros},
		}})
	}
	return true
}

// executorDies ends all that runs: they share one executor.
func (m *machine) executorDies() {
	var dead []sched.FailedAttempt
	for _, r := range m.running {
		dead = append(dead, sched.FailedAttempt{
			TaskAttempt: sched.TaskAttempt{Task: r.Task, Attempt: r.Attempt}, Kind: graph.FailDied,
		})
	}
	m.running = nil
	if m.conn != nil {
		m.conn.say(sched.Failed{Worker: m.conn.id, Tasks: dead})
	}
}

// inventory is what the machine holds, in order.
func (m *machine) inventory() (held []sched.Held) {
	for at, s := range m.results {
		held = append(held, sched.Held{TaskAttempt: at, Size: s.size})
	}
	slices.SortFunc(held, func(a, b sched.Held) int {
		return cmp.Or(a.Task.Compare(b.Task), cmp.Compare(a.Attempt, b.Attempt))
	})
	return held
}
