package schedtest

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// act does one thing.
func (w *World) act() {
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.deliverUp()
	case n < 52:
		w.deliverDown()
	case n < 72:
		w.work()
	case n < 84:
		w.turn()
	case n < 88:
		w.tick(w.rng.Int64N(700))
	case n < 95:
		w.client()
	default:
		w.mischief()
	}
}

func (w *World) tick(ms int64) {
	w.now += ms
	w.step(sched.Tick{Now: w.now})
}

// pick returns one of those for which ok holds; the zero value if none does.
func pick[T any](w *World, from []T, ok func(T) bool) (out T) {
	n := 0
	for _, v := range from {
		if !ok(v) {
			continue
		}
		if n++; w.rng.IntN(n) == 0 {
			out = v
		}
	}
	return out
}

func (w *World) deliverUp() bool {
	c := pick(w, w.conns, func(c *conn) bool { return len(c.up) > 0 })
	if c == nil {
		return false
	}
	ev := c.up[0]
	c.up = c.up[1:]
	w.step(ev)
	return true
}

func (w *World) deliverDown() bool {
	c := pick(w, w.conns, func(c *conn) bool { return len(c.down) > 0 && c.m != nil })
	if c == nil {
		return false
	}
	msg := c.down[0]
	c.down = c.down[1:]
	w.note("worker %d hears %T%+v", c.id, msg, msg)
	c.m.hear(w, msg)
	return true
}

func (w *World) work() bool {
	m := pick(w, w.machines, func(m *machine) bool { return m.canStart() || len(m.running) > 0 })
	switch {
	case m == nil:
		return false
	case m.canStart() && (len(m.running) == 0 || w.chance(2)):
		m.start(w)
	case len(m.running) > 0:
		if !m.finish(w, w.rng.IntN(len(m.running))) {
			w.crash(m, true)
		}
	}
	return true
}

// join starts a machine.
func (w *World) join(host, pool string) *machine {
	w.nextName++
	m := &machine{
		name: w.nextName, host: host, pool: pool, slots: 1, memory: 1 << 30,
		results: map[sched.TaskAttempt]stored{},
	}
	if w.plan.has("slots") {
		m.slots += w.rng.IntN(3)
	}
	w.machines = append(w.machines, m)
	w.connect(m)
	return m
}

func (w *World) connect(m *machine) {
	w.nextWorker++
	c := &conn{id: w.nextWorker, m: m}
	var again []sched.Event
	if old := m.conn; old != nil {
		again = old.said
	}
	m.conn = c
	w.conns = append(w.conns, c)
	w.step(sched.WorkerJoined{
		Worker: c.id, Host: m.host, Pool: m.pool, Slots: m.slots, Memory: m.memory, Held: m.inventory(),
	})
	if !w.plan.has("repeat") {
		return
	}
	for _, ev := range again { // what the old connection may not have carried
		if d, ok := ev.(sched.Done); ok && w.chance(2) {
			d.Worker = c.id
			c.up = append(c.up, d)
		}
	}
}

// cut loses a connection with all that was under way on it. The machine works on
// or gives up, and comes back before or after the scheduler has noticed.
func (w *World) cut(m *machine, notice bool) {
	c := m.conn
	c.m, c.up, c.down = nil, nil, nil
	if w.chance(2) {
		m.queue, m.running = nil, nil
	}
	if notice {
		w.notice(c, false)
	}
}

// notice tells the core that a connection is lost.
func (w *World) notice(c *conn, blame bool) {
	w.conns = slices.DeleteFunc(w.conns, func(d *conn) bool { return d == c })
	w.step(sched.WorkerLeft{Worker: c.id, Blame: blame})
}

// reconnect brings a machine back that was cut off. Attempts of its old
// connection may still run; their results are stale.
func (w *World) reconnect(m *machine) {
	w.connect(m)
}

// crash ends a machine with all it holds.
func (w *World) crash(m *machine, blame bool) {
	w.note("machine %d crashes", m.name)
	w.machines = slices.DeleteFunc(w.machines, func(n *machine) bool { return n == m })
	if c := m.conn; c != nil && c.m == m {
		if w.chance(2) {
			// What it said last still arrives.
			for len(c.up) > 0 {
				ev := c.up[0]
				c.up = c.up[1:]
				w.step(ev)
			}
		}
		c.m, c.up, c.down = nil, nil, nil
		w.notice(c, blame)
	}
}

func (w *World) retired(id graph.WorkerID) {
	c := w.connOf(id)
	if c == nil {
		return
	}
	w.note("worker %d retired", id)
	if m := c.m; m != nil {
		w.machines = slices.DeleteFunc(w.machines, func(n *machine) bool { return n == m })
	}
	c.m, c.up, c.down = nil, nil, nil
	w.notice(c, false)
}

// mischief is one fault, or one change of scale.
func (w *World) mischief() {
	var m *machine
	if len(w.machines) > 0 {
		m = w.machines[w.rng.IntN(len(w.machines))]
	}
	connected := m != nil && m.conn.m == m
	switch n := w.rng.IntN(9); {
	case n == 8 && w.plan.has("missing") && connected:
		w.loseOne(m)
	case n == 0 && w.plan.has("crash") && m != nil:
		// Twice a death may be held against what ran; a third could be the end of
		// a task that did nothing.
		blame := w.crashes < 2 && w.chance(2) && !w.strict
		if blame {
			w.crashes++
		}
		w.crash(m, blame)
	case n <= 2 && w.plan.has("cut") && connected:
		w.cut(m, w.chance(2))
	case n <= 4 && w.plan.has("cut") && m != nil && !connected:
		w.reconnect(m)
	case n == 5 && w.plan.has("retire"):
		w.retire()
	case n == 6 && w.plan.has("scale") && len(w.machines) < 6:
		w.join(w.someHost(), w.somePool())
	case n == 7:
		if c := pick(w, w.conns, func(c *conn) bool { return c.m == nil }); c != nil {
			w.notice(c, false)
		}
	}
}

// loseOne makes a machine lose a result, as a full disk may, and say so; or
// somebody says so although it is there.
func (w *World) loseOne(m *machine) {
	held := m.inventory()
	if len(held) == 0 {
		return
	}
	at := held[w.rng.IntN(len(held))].TaskAttempt
	if w.chance(3) {
		w.step(sched.Missing{Worker: m.conn.id, Tasks: []sched.TaskAttempt{{Task: at.Task}}})
		return
	}
	delete(m.results, at)
	m.conn.say(sched.Missing{Worker: m.conn.id, Tasks: []sched.TaskAttempt{at}})
}

func (w *World) retire() {
	if w.chance(2) {
		w.step(sched.Retire{Pool: w.somePool(), To: w.rng.IntN(4)})
		return
	}
	if len(w.conns) > 0 {
		w.step(sched.Retire{Workers: []graph.WorkerID{w.conns[w.rng.IntN(len(w.conns))].id}})
	}
}
