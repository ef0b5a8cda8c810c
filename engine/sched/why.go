package sched

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// Why is what keeps a task from going on.
type Why struct {
	Task
	Waiting int    // of its inputs that are not there
	Missing []Task // some of these
	// Of a task that could run:
	Alone   bool // it may have killed a worker, and waits until one has nothing else to do
	Workers int  // that take tasks
	Fit     int  // of them that have what it asks for
	Free    int  // of these that could begin it now
	Lack    Lack // how many of the others lack what
	Before  int  // tasks that could run and have a higher priority
	Beside  int  // others of its kind, and those with which it takes turns
}

// Lack counts workers that cannot run a task, by the first thing that they lack.
type Lack struct {
	Pool, Slots, Memory, Host int
	Named                     []graph.Amount // by resource: how many workers have not so much of it
}

// shownMissing is how many missing inputs are named.
const shownMissing = 8

// Why tells what keeps a task from going on; of one that is under way, or has ended, only
// what Task tells.
func (c *Core) Why(id graph.TaskID) (w Why, ok bool) {
	if w.Task, ok = c.Task(id); !ok {
		return w, false
	}
	switch j := c.jobs[id.Job]; {
	case w.State == StateWaiting && j.tasks.made(id.Index):
		c.whyWaiting(&w, j, id.Index)
	case w.State == StateReady:
		c.whyReady(&w, j)
	}
	return w, true
}

func (c *Core) whyWaiting(w *Why, j *job, i uint32) {
	from, to := j.edgesOf(i)
	for e := from; e < to; e++ {
		d, ok := c.Task(j.depID(i, e))
		if ok && d.State == StateDone {
			continue
		}
		w.Waiting++
		if len(w.Missing) < shownMissing {
			d.ID = j.depID(i, e)
			w.Missing = append(w.Missing, d)
		}
	}
}

func (c *Core) whyReady(w *Why, j *job) {
	w.Alone = slices.Contains(c.suspects, w.ID)
	l := j.classes[w.Class].lane
	for _, m := range c.lanes {
		switch {
		case m.priority > l.priority:
			w.Before += m.ready
		case m.priority == l.priority:
			w.Beside += m.ready
		}
	}
	w.Beside = max(0, w.Beside-1)
	for _, x := range c.crew.all {
		if x.phase != working {
			continue
		}
		w.Workers++
		if x.fits(l) {
			w.Fit++
			if x.freeSlots() >= l.slots && x.spares(l) {
				w.Free++
			}
			continue
		}
		c.lacks(&w.Lack, x, l)
	}
}

// lacks notes the first thing that a worker lacks for tasks of l.
func (c *Core) lacks(k *Lack, w *worker, l *lane) {
	switch {
	case l.pool != "" && l.pool != w.pool:
		k.Pool++
		return
	case l.slots > w.slots:
		k.Slots++
		return
	case l.memory > 0 && w.has.memory > 0 && l.memory > w.has.memory:
		k.Memory++
		return
	}
	for _, n := range l.named {
		if n.count <= w.has.of(n.resource) {
			continue
		}
		name := c.resourceName(n.resource)
		if at := slices.IndexFunc(k.Named, func(a graph.Amount) bool { return a.Name == name }); at >= 0 {
			k.Named[at].Count++
		} else {
			k.Named = append(k.Named, graph.Amount{Name: name, Count: 1})
		}
		return
	}
	k.Host++
}

func (c *Core) resourceName(n uint32) string {
	for name, k := range c.resources {
		if k == n {
			return name
		}
	}
	return ""
}
