package schedtest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/sched"
)

// do does one action. It reports whether there was anything to do.
func (w *World) do(a *Action) bool {
	if w.trace {
		w.note("—— %s", a)
	}
	did := false
	switch {
	case a.Op == OpConfig:
		w.conf = a.Conf
		w.begin()
	case a.Op <= OpLand:
		did = w.doWork(a)
	case a.Op <= OpLeave:
		did = w.doRequest(a)
	default:
		did = w.doFault(a)
	}
	if did && a.Op.isFault() {
		w.faults++
	}
	return did
}

// amid is how an attempt ends just as its machine's connection does: as its class says,
// but its executor lives on.
func amid(b *behaviour) string {
	if b.does == "poison" || b.does == "bomb" {
		return "user"
	}
	return ""
}

func (w *World) connNamed(name int) *conn {
	if n := slices.IndexFunc(w.conns, func(c *conn) bool { return c.name == name }); n >= 0 {
		return w.conns[n]
	}
	return nil
}

func (w *World) machineNamed(name int) *machine {
	if n := slices.IndexFunc(w.machines, func(m *machine) bool { return m.name == name }); n >= 0 {
		return w.machines[n]
	}
	return nil
}

// doWork is what happens when nothing goes wrong.
func (w *World) doWork(a *Action) bool {
	c, m := w.connNamed(a.W), w.machineNamed(a.M)
	switch {
	case a.Op == OpTurn:
		w.turn()
	case a.Op == OpTick:
		w.now += a.N
		w.step(sched.Tick{Now: w.now})
	case a.Op == OpUp && c != nil && !c.parted:
		return w.up(c, int(a.N))
	case a.Op == OpDown && c != nil && !c.parted:
		return w.down(c, int(a.N))
	case a.Op == OpEnd && m != nil && len(m.running) > 0:
		m.end(w, int(a.N)%len(m.running), a.How)
	case a.Op == OpPark && m != nil && len(m.running) > 0:
		m.park(w, int(a.N)%len(m.running))
	case a.Op == OpLand && m != nil && len(m.flying) > 0:
		m.land(w, int(a.N)%len(m.flying), a.How)
	default:
		return false
	}
	return true
}

// up lets the scheduler hear what a connection said.
func (w *World) up(c *conn, n int) bool {
	did := false
	for ; n > 0 && len(c.up) > 0; n-- {
		r := c.up[0]
		c.up = c.up[1:]
		w.step(r.ev)
		did = true
		if !r.inventory {
			continue
		}
		for _, old := range slices.Clone(w.conns) {
			if old != c && old.m == c.m && !old.gone && !c.gone {
				w.notice(old, false)
			}
		}
	}
	w.sweep()
	return did
}

// down lets a machine hear what it was told, and do it.
func (w *World) down(c *conn, n int) bool {
	if !c.open || len(c.down) == 0 {
		return false
	}
	for ; n > 0 && len(c.down) > 0; n-- {
		msg := c.down[0]
		c.down = c.down[1:]
		if w.trace {
			w.note("machine %d hears %T%+v", c.m.name, msg, msg)
		}
		c.m.hear(w, msg)
	}
	c.m.act(w)
	return true
}

// sweep forgets connections that are over on both sides.
func (w *World) sweep() {
	w.conns = slices.DeleteFunc(w.conns, func(c *conn) bool { return c.gone && !c.open && len(c.up) == 0 })
}

// notice tells the core that a connection is lost.
func (w *World) notice(c *conn, blame bool) {
	c.gone = true
	w.step(sched.WorkerLeft{Worker: c.id, Blame: blame})
	w.sweep()
}

// join starts a machine, or connects one that is cut off.
func (w *World) join(a *Action) bool {
	m := w.machineNamed(a.M)
	if m == nil {
		m = w.newMachine(a)
		w.machines = append(w.machines, m)
	}
	if m.conn != nil {
		return false
	}
	w.nextWorker++
	c := &conn{name: a.W, id: w.nextWorker, m: m, open: true}
	m.conn = c
	w.conns = append(w.conns, c)
	w.byID[c.id] = c
	ev := m.joins(c.id)
	if a.How == "held" { // the inventory comes at once
		for _, h := range m.core.AppendHeld(nil) {
			if m.epoch == w.epoch {
				ev.Held = append(ev.Held, sched.Held{TaskAttempt: attemptOf(h.Key), Size: h.Size})
			}
		}
	}
	c.send(welcome{})
	w.step(ev)
	return true
}

// joins is how the machine presents itself.
func (m *machine) joins(id graph.WorkerID) sched.WorkerJoined {
	ev := sched.WorkerJoined{
		Worker: id, Name: fmt.Sprint("m", m.name), Host: hostName(m.host), Pool: m.pool, Slots: m.slots, Memory: m.mem, TaskMemory: m.needs,
	}
	if m.gpus > 0 {
		ev.Named = graph.Amounts{{Name: gpu, Count: m.gpus}}
	}
	return ev
}

// cut loses a connection with all that is on its way to the machine; with late, what
// the machine said still arrives.
func (w *World) cut(c *conn, late bool) {
	c.open, c.parted, c.down = false, false, nil
	if !late {
		c.up = nil
	}
	if c.m.conn == c {
		c.m.lose(w)
	}
	w.sweep()
}

// crash ends a machine with all it holds.
func (w *World) crash(m *machine, blame bool) {
	m.dead = true
	w.machines = slices.DeleteFunc(w.machines, func(n *machine) bool { return n == m })
	for _, c := range slices.Clone(w.conns) {
		if c.m != m {
			continue
		}
		last := m.conn == c
		c.open, c.parted, c.down, c.up = false, false, nil, nil
		if !c.gone {
			w.notice(c, blame && last)
		}
	}
	w.sweep()
}

// retired ends a worker that the core let go.
func (w *World) retired(id graph.WorkerID) {
	c := w.byID[id]
	if c == nil || c.gone {
		w.must(fmt.Errorf("worker %d is retired, which left", id))
	}
	w.note("worker %d is retired", id)
	if c.m.conn == c {
		w.crash(c.m, false)
		return
	}
	w.notice(c, false)
}

// restart ends the scheduler's process and begins another.
func (w *World) restart(journal bool, lost int) {
	for _, m := range w.machines {
		if m.conn != nil {
			m.conn.open = false
			m.lose(w)
		}
	}
	if journal {
		w.takeOver(lost)
	} else {
		w.epoch++
		w.begin()
	}
	w.step(sched.Tick{Now: w.now})
}

// doFault is what goes wrong, and what changes the cluster.
func (w *World) doFault(a *Action) bool {
	c, m := w.connNamed(a.W), w.machineNamed(a.M)
	switch {
	case a.Op == OpJoin:
		return w.join(a)
	case a.Op == OpCut && c != nil && c.open:
		if m := c.m; a.How == "amid" && m.conn == c && len(m.running) > 0 {
			m.finish(w, 0, amid(m.running[0].spec.does)) // of which it can tell nobody any more
		}
		w.cut(c, a.How == "late")
	case a.Op == OpNotice && c != nil && !c.gone:
		w.notice(c, a.How == "blame")
	case a.Op == OpPart && c != nil && c.open:
		c.parted = true
	case a.Op == OpMend && c != nil:
		c.parted = false
	case a.Op == OpCrash && m != nil:
		w.crash(m, a.How == "blame")
	case a.Op == OpDie && m != nil && len(m.running) > 0:
		m.die(w, deathKind(a.How))
	case a.Op == OpLose && m != nil:
		return m.mislay(w, int(a.N), a.How == "told")
	case a.Op == OpLie && m != nil:
		return w.lie(m, int(a.N), a.How == "any")
	case a.Op == OpAgain && c != nil && len(c.said) > 0:
		return w.again(c, int(a.N), a.How)
	case a.Op == OpRedown && c != nil && c.open && len(c.heard) > 0:
		return c.redown(int(a.N))
	case a.Op == OpRetire && a.W != 0:
		if c != nil {
			w.step(sched.Retire{Workers: []graph.WorkerID{c.id}})
		}
	case a.Op == OpRetire:
		w.step(sched.Retire{Pool: a.Pool, To: int(a.N)})
	case a.Op == OpSlow && m != nil:
		m.slow = true
	case a.Op == OpRestart:
		w.restart(a.How == "journal", int(a.N))
	case a.Op == OpResume && w.awaiting:
		w.awaiting = false
		w.step(sched.Resume{})
	case a.Op == OpShadow:
		w.turn()
		w.shadow()
	default:
		return false
	}
	return true
}

func deathKind(how string) graph.FailKind {
	if how == "memory" {
		return graph.FailMemory
	}
	return graph.FailDied
}

// mislay makes a machine lose a result, as a full disk may. It finds out at once, or
// when the result is needed.
func (m *machine) mislay(w *World, n int, told bool) bool {
	there := slices.SortedFunc(maps.Keys(m.store), local.Key.Compare)
	if len(there) == 0 {
		return false
	}
	k := there[n%len(there)]
	delete(m.store, k)
	m.mislaid[k] = true
	if told {
		m.watch.lost(m, k)
		m.step(w, local.Lost{Key: k})
		m.act(w)
	}
	return true
}

// lie has somebody say that a machine misses a result which it has.
func (w *World) lie(m *machine, n int, anyAttempt bool) bool {
	held := m.core.AppendHeld(nil)
	if len(held) == 0 || m.conn == nil {
		return false
	}
	at := attemptOf(held[n%len(held)].Key)
	if anyAttempt {
		at.Attempt = 0
	}
	w.step(sched.Missing{Worker: m.conn.id, Tasks: []sched.TaskAttempt{at}})
	return true
}

// again makes a report arrive once more: on the same connection, on the machine's next
// one, or from another machine.
func (w *World) again(c *conn, n int, how string) bool {
	r := c.said[len(c.said)-1-n%len(c.said)]
	if _, ok := r.ev.(sched.Adopt); ok {
		return false // a scheduler hears that once, at the beginning
	}
	r.inventory = false
	to := c
	switch how {
	case "next":
		to = c.m.conn
	case "other":
		to = w.another(c)
	}
	if to == nil || how != "" && to == c {
		return false
	}
	r.ev = saidBy(r.ev, to.id)
	if _, ok := r.ev.(sched.Copied); ok {
		w.doubtful = true
	}
	to.up = append(to.up, r)
	return true
}

// another is the next connection of another machine.
func (w *World) another(c *conn) *conn {
	at := slices.Index(w.conns, c)
	for n := range w.conns {
		if d := w.conns[(at+n)%len(w.conns)]; d.m != c.m && d.open {
			return d
		}
	}
	return nil
}

// saidBy returns a report as another worker would make it.
func saidBy(ev sched.Event, id graph.WorkerID) sched.Event {
	switch ev := ev.(type) {
	case sched.Started:
		ev.Worker = id
		return ev
	case sched.Parked:
		ev.Worker = id
		return ev
	case sched.Unparked:
		ev.Worker = id
		return ev
	case sched.Done:
		ev.Worker = id
		return ev
	case sched.Failed:
		ev.Worker = id
		return ev
	case sched.Retracted:
		ev.Worker = id
		return ev
	case sched.Copied:
		ev.Worker = id
		return ev
	case sched.Missing:
		ev.Worker = id
		return ev
	}
	return ev
}

// repeated is an order that comes once more.
type repeated struct{ msg any }

// redown makes an order arrive once more. A Free does not: a worker that fetched the
// result again meanwhile would drop what it has just told that it holds.
func (c *conn) redown(n int) bool {
	msg := c.heard[len(c.heard)-1-n%len(c.heard)]
	switch msg.(type) {
	case local.Free, welcome, repeated:
		return false
	}
	c.down = append(c.down, repeated{msg})
	return true
}
