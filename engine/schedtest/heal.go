package schedtest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/yarnd/yarnd/engine/sched"
)

// heal ends all faults and lets the world run until nothing happens any more.
func (w *World) heal() {
	w.healing = true
	w.note("—— healing")
	for _, c := range slices.Clone(w.conns) {
		c.parted = false
		if c.gone && c.open {
			w.cut(c, false)
		}
	}
	for _, c := range slices.Clone(w.conns) {
		if !c.open && !c.gone {
			w.notice(c, false)
		}
	}
	for _, m := range slices.Clone(w.machines) {
		if m.conn == nil {
			w.join(&Action{M: m.name})
		}
	}
	w.quiesce()
}

// In each round of a healed world all that was said is heard, all that runs or is
// fetched ends, and a tenth of a second passes; some more if there was nothing of all
// that. All work drains within roundsFor rounds: what the longest waits that the core
// allows itself take, and some for each task, its attempts and its way here.
const (
	roundMillis = 100
	idleMillis  = 2000
	baseRounds  = 250
	taskRounds  = 12
)

func (w *World) roundsFor() int { return baseRounds + taskRounds*len(w.twin.tasks) }

// quiesce runs until the core is idle. Machines that tasks kill are replaced.
func (w *World) quiesce() {
	rng := rand.New(rand.NewPCG(w.conf.Heal, uint64(w.now)))
	for n := range w.roundsFor() {
		w.rounds = max(w.rounds, n)
		w.staff()
		if !w.round(rng) && w.still() {
			return
		}
	}
	w.must(fmt.Errorf("no end after %d rounds: %s", w.roundsFor(), w.stuck()))
}

// round lets everything go on by one step. Now and then something is late by a round.
func (w *World) round(rng *rand.Rand) (did bool) {
	late := func() bool { return rng.IntN(8) == 0 }
	conns := slices.Clone(w.conns)
	rng.Shuffle(len(conns), func(a, b int) { conns[a], conns[b] = conns[b], conns[a] })
	for _, c := range conns {
		if len(c.up) > 0 {
			did = true
			if !late() {
				w.up(c, len(c.up))
			}
		}
		if len(c.down) > 0 {
			did = true
			if !late() {
				w.down(c, len(c.down))
			}
		}
	}
	for _, m := range slices.Clone(w.machines) {
		for n := len(m.flying); n > 0 && len(m.flying) > 0; n-- {
			did = true
			if !late() {
				m.land(w, rng.IntN(len(m.flying)), "")
			}
		}
		for n := len(m.running); n > 0 && len(m.running) > 0; n-- {
			did = true
			if !late() {
				m.end(w, rng.IntN(len(m.running)), "")
			}
		}
	}
	if w.awaiting && w.allBack() {
		did = w.do(&Action{Op: OpResume})
	}
	w.turn()
	w.now += roundMillis
	if !did {
		w.now += idleMillis
	}
	w.step(sched.Tick{Now: w.now})
	return did
}

// allBack reports whether every machine has said what it has.
func (w *World) allBack() bool {
	for _, m := range w.machines {
		if !m.welcomed() || slices.ContainsFunc(m.conn.up, func(r report) bool { return r.inventory }) {
			return false
		}
	}
	return true
}

// staff keeps a worker in each pool that can run anything, and on each host that some
// task must be on.
func (w *World) staff() {
	hosts, onHost := []int{0}, false
	for _, j := range w.jobs {
		for _, b := range j.classes {
			onHost = onHost || b.only > 0
			if b.only > 0 && !slices.Contains(hosts, b.only-1) {
				hosts = append(hosts, b.only-1)
			}
		}
	}
	for _, pool := range []string{"", "big"} {
		for _, host := range hosts {
			if !slices.ContainsFunc(w.machines, func(m *machine) bool { return w.mayRunAnything(m, pool, host, onHost) }) {
				w.join(&Action{M: -1 - int(w.nextWorker), W: -1 - int(w.nextWorker), Host: host, Pool: pool, Slots: 2, GPUs: 2})
			}
		}
	}
}

func (w *World) mayRunAnything(m *machine, pool string, host int, onHost bool) bool {
	if m.conn == nil || m.pool != pool || m.slots < 2 || m.needs > 0 || m.gpus < 2 || onHost && m.host != host {
		return false
	}
	k, _ := w.core.Worker(m.conn.id)
	return k.Phase == "working"
}

func (w *World) still() bool {
	if w.core.Busy() || w.awaiting {
		return false
	}
	for _, c := range w.conns {
		if len(c.up) > 0 || len(c.down) > 0 {
			return false
		}
		if k, _ := w.core.Worker(c.id); k.Phase == "leaving" {
			return false
		}
	}
	return true
}

// stuck says what does not end.
func (w *World) stuck() string {
	for _, t := range w.twin.tasks {
		if got, ok := w.core.Task(t.id); ok && got.State.Active() {
			return fmt.Sprintf("%v is %v on worker %d (%s)", t.id, got.State, got.Worker, w.oracle.specs[t.id].does.does)
		}
	}
	return "a worker"
}
