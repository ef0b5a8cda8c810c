package schedtest

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// client makes one request.
func (w *World) client() {
	j := pick(w, w.jobs, func(j *job) bool { return !j.closed })
	if j == nil || len(w.jobs) < 3 && w.chance(8) {
		w.openJob()
		return
	}
	switch n := w.rng.IntN(18); {
	case n < 7:
		w.submit(j)
	case n < 10 && w.plan.has("release") && len(j.held) > 0:
		w.release(j, 1+w.rng.IntN(len(j.held)))
	case n < 12 && w.plan.has("cancel") && j.next > 0:
		w.step(sched.Cancel{Tasks: []graph.TaskID{{Job: j.id, Index: uint32(w.rng.IntN(int(j.next)))}}})
	case n < 14 && w.plan.has("pin") && j.next > 0:
		w.pin(j)
	case n >= 16 && w.plan.has("retry"):
		w.retry()
	case n == 15 && w.plan.has("close") && w.chance(3):
		w.closeJob(j)
	}
}

func (w *World) openJob() {
	j := &job{id: graph.JobID(len(w.jobs) + 1)}
	w.jobs = append(w.jobs, j)
	w.step(sched.OpenJob{Job: j.id})
	for k := range 1 + w.rng.IntN(4) {
		b := w.behaviour()
		j.classes = append(j.classes, b)
		w.step(sched.DeclareClass{Job: j.id, Class: graph.ClassID(k), Spec: b.class})
	}
}

func (w *World) behaviour() *behaviour {
	b := &behaviour{kind: "ok", size: uint64(w.rng.IntN(1 << 24)), inline: w.chance(3), micros: uint32(1 << w.rng.IntN(22))}
	b.class = graph.Class{Kind: graph.KindGo, Priority: int32(w.rng.IntN(2)), Retries: uint16(w.rng.IntN(3))}
	if w.strict {
		b.class.Deaths = 1
	}
	if w.chance(4) {
		b.class.Kind = graph.KindCommand // its executor is shared as well
	}
	if b.inline {
		b.size = uint64(w.rng.IntN(4096))
	}
	if w.plan.has("slots") && w.chance(4) {
		b.class.Resources.Slots = 2
	}
	if w.plan.has("pools") && w.chance(6) {
		b.class.Pool = "big"
	}
	switch n := w.rng.IntN(40); {
	case n < 3 && w.plan.has("fail"):
		b.kind = "bad"
	case n < 9 && w.plan.has("flaky"):
		b.kind = "flaky"
	case n == 10 && w.plan.has("poison"):
		b.kind = "poison"
	case n == 11 && w.plan.has("poison") && !w.strict:
		b.kind = "bomb"
	}
	return b
}

// submit adds a few tasks of random shape.
func (w *World) submit(j *job) {
	n := 1 + w.rng.IntN(8)
	if j.next > 30 {
		return
	}
	b := &graph.Batch{Job: j.id, First: j.next, Class: make([]graph.ClassID, n), HostNames: []string{"host0", "host1", "host2", "host3"}}
	if w.plan.has("loose") && w.chance(2) {
		b.Loose = make([]byte, (n+7)/8)
	}
	shape := w.rng.IntN(3)
	for k := range n {
		id := graph.TaskID{Job: j.id, Index: j.next + uint32(k)}
		class := w.rng.IntN(len(j.classes))
		b.Class[k] = graph.ClassID(class)
		deps := w.deps(id, shape)
		b.Deps = append(b.Deps, deps...)
		b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
		if w.plan.has("hosts") && w.chance(3) {
			b.Hosts = append(b.Hosts, uint32(w.rng.IntN(4)))
		}
		b.HostEnd = append(b.HostEnd, uint32(len(b.Hosts)))
		if b.Loose != nil && w.chance(2) {
			b.Loose[k/8] |= 1 << (k % 8)
		} else {
			j.held = append(j.held, id)
		}
		w.oracle.specs[id] = &spec{j.classes[class], deps}
	}
	j.next += uint32(n)
	w.step(sched.Submit{Batch: b})
}

// deps chooses dependencies: a chain, a fan, or anything that came before.
func (w *World) deps(id graph.TaskID, shape int) (deps []graph.TaskID) {
	switch {
	case shape == 0 && id.Index > 0:
		deps = append(deps, graph.TaskID{Job: id.Job, Index: id.Index - 1})
	case shape == 1 && id.Index%4 == 0:
		for i := id.Index - min(id.Index, 4); i < id.Index; i++ {
			deps = append(deps, graph.TaskID{Job: id.Job, Index: i})
		}
	case shape == 2:
		for range w.rng.IntN(4) {
			if id.Index > 0 {
				deps = append(deps, graph.TaskID{Job: id.Job, Index: uint32(w.rng.IntN(int(id.Index)))})
			}
		}
	}
	if w.plan.has("foreign") && w.chance(6) {
		other := w.jobs[w.rng.IntN(len(w.jobs))]
		if other.id != id.Job {
			// Now and then a task that does not exist.
			deps = append(deps, graph.TaskID{Job: other.id, Index: uint32(w.rng.IntN(int(other.next) + 1))})
		}
	}
	return deps
}

func (w *World) release(j *job, n int) {
	w.rng.Shuffle(len(j.held), func(a, b int) { j.held[a], j.held[b] = j.held[b], j.held[a] })
	ids := slices.Clone(j.held[:n])
	j.held = j.held[n:]
	if w.plan.has("repeat") && w.chance(4) {
		ids = append(ids, ids[0]) // twice: the second changes nothing
	}
	w.step(sched.Release{Tasks: ids})
}

func (w *World) pin(j *job) {
	if len(j.pinned) > 0 && w.chance(2) {
		id := j.pinned[0]
		j.pinned = j.pinned[1:]
		w.step(sched.Pin{Task: id, Delta: -1})
		return
	}
	id := graph.TaskID{Job: j.id, Index: uint32(w.rng.IntN(int(j.next)))}
	if t, ok := w.core.Task(id); ok && t.State != sched.StateForgotten {
		j.pinned = append(j.pinned, id)
	}
	w.step(sched.Pin{Task: id, Delta: 1})
}

func (w *World) closeJob(j *job) {
	j.closed, j.held = true, nil
	w.step(sched.CloseJob{Job: j.id})
}
