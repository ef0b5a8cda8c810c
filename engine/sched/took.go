package sched

import "github.com/yarnd/yarnd/engine/graph"

// How long tasks of a class take is known from those that have ended. A core that takes over
// has seen none end, so it is told (RecallTook) what the one before knew.

// ClassTook is how long tasks of a class take, on the average.
type ClassTook struct {
	Job    graph.JobID
	Class  graph.ClassID
	Micros int64
}

// tookMoves is the part of a time by which it changes until it is told again: one in so many.
const tookMoves = 4

// noteTook notes that a class takes another time than was told last.
func (c *Core) noteTook(j *job, id graph.ClassID) {
	cl := &j.classes[id]
	now := cl.took.micros()
	if !c.cfg.Durable || cl.due || cl.told.known && tookMoves*max(now-cl.told.micros(), cl.told.micros()-now) <= cl.told.micros() {
		return
	}
	cl.due = true
	c.tooks = append(c.tooks, ClassTook{Job: j.id, Class: id})
}

// Tooks appends the classes that take another time than when Tooks told of them last, if the core
// is Durable.
func (c *Core) Tooks(dst []ClassTook) []ClassTook {
	for _, k := range c.tooks {
		if j := c.jobs[k.Job]; j != nil {
			cl := &j.classes[k.Class]
			cl.due, cl.told = false, cl.took
			dst = append(dst, ClassTook{k.Job, k.Class, cl.took.micros()})
		}
	}
	c.tooks = c.tooks[:0]
	return dst
}

// Took returns how long tasks of a class take; false: none has ended.
func (c *Core) Took(job graph.JobID, id graph.ClassID) (ClassTook, bool) {
	j := c.jobs[job]
	if j == nil || int(id) >= len(j.classes) || !j.classes[id].took.known {
		return ClassTook{}, false
	}
	return ClassTook{job, id, j.classes[id].took.micros()}, true
}

// stepRecallTook takes in how long tasks of a class took under the core before.
func (c *Core) stepRecallTook(ev RecallTook) {
	j := c.jobs[ev.Job]
	switch {
	case !c.restoring || ev.Micros < 0:
		c.reject(BadRow)
		return
	case j == nil || int(ev.Class) >= len(j.classes):
		return // it is gone
	}
	cl := &j.classes[ev.Class]
	cl.took, cl.told = average{}, average{}
	cl.took.add(ev.Micros)
	cl.told = cl.took
	cl.lane.took = cl.took
}
