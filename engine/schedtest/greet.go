package schedtest

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/sched"
)

// greet begins a connection: what the machine has is told first, attempts before results.
func (m *machine) greet(w *World) {
	m.conn.welcomed = true
	fresh := m.epoch != 0 && m.epoch != w.epoch
	if fresh {
		for k := range m.watch.live {
			m.watch.unlive(m, k)
		}
		clear(m.watch.unsaid)
	}
	m.step(w, local.Joined{Self: m.conn.id, Fresh: fresh})
	m.epoch = w.epoch
	kept := m.core.AppendRunning(nil)
	w.must(m.watch.brings(m, kept))
	if len(kept) > 0 {
		m.conn.say(report{ev: sched.Adopt{Worker: m.conn.id, Tasks: attemptsOf(kept)}})
	}
	held := m.core.AppendHeld(nil)
	if !slices.IsSortedFunc(held, func(a, b local.Held) int { return a.Key.Compare(b.Key) }) {
		w.must(fmt.Errorf("machine %d tells what it holds out of order: %v", m.name, held))
	}
	m.conn.say(report{ev: sched.Copied{Worker: m.conn.id, Tasks: heldBy(held)}, inventory: true})
}

func heldBy(held []local.Held) (out []sched.Held) {
	for _, h := range held {
		out = append(out, sched.Held{TaskAttempt: attemptOf(h.Key), Size: h.Size})
	}
	return out
}

// lose tells the machine that its connection is lost.
func (m *machine) lose(w *World) {
	welcomed := m.welcomed()
	m.conn = nil
	if !welcomed {
		return
	}
	for k, l := range m.watch.live {
		switch {
		case l.running && m.watch.haunted(m, l): // it goes on
		case l.running: // it has just ended
			delete(m.watch.live, k)
			m.watch.untold(k, l.end)
		default: // it has not begun
			m.watch.unlive(m, k)
		}
	}
	clear(m.watch.keeps)
	m.step(w, local.Left{})
	m.act(w)
}

// untold notes that an attempt ended and nobody could be told: a result that is kept is in
// the inventory, and an input that could not be read is nobody's affair any more. Other ends
// are told on the next connection.
func (v *watch) untold(k local.Key, e *local.End) {
	if !e.Kept && e.Input == (local.Key{}) {
		v.unsaid[k] = true
	}
}

// brings objects to what a machine says on a new connection that it has, and notes what it
// must say next.
func (v *watch) brings(m *machine, kept []local.Key) error {
	v.goOn, v.wait = nil, nil
	for k, l := range v.live {
		if l.running {
			v.goOn = append(v.goOn, k)
		}
	}
	must := slices.Clone(v.goOn)
	for k := range v.unsaid {
		must = append(must, k)
	}
	slices.SortFunc(v.goOn, local.Key.Compare)
	slices.SortFunc(must, local.Key.Compare)
	if !slices.Equal(kept, must) {
		return fmt.Errorf("machine %d says that it has %v, and has %v", m.name, kept, must)
	}
	for _, r := range m.running {
		if r.parked && !r.ghost {
			v.wait = append(v.wait, r.Key)
		}
	}
	return nil
}

// begins objects to attempts that are said to have begun, or to wait, and have not, or the
// other way: those that have just begun, and, on a new connection, those that go on.
func (v *watch) begins(m *machine, o *local.Output) error {
	if !m.welcomed() {
		return nil
	}
	must := v.goOn
	for _, a := range o.Run {
		must = append(must, a.Key)
	}
	if !slices.Equal(o.Started, must) {
		return fmt.Errorf("machine %d says that %v began, not %v", m.name, o.Started, must)
	}
	for _, k := range v.wait {
		if !slices.Contains(o.Parked, k) {
			return fmt.Errorf("machine %d does not say that %v waits", m.name, k)
		}
	}
	for k := range v.unsaid {
		return fmt.Errorf("machine %d does not say how %v ended", m.name, k)
	}
	v.goOn, v.wait = nil, nil
	return nil
}
