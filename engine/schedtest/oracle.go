package schedtest

import (
	"github.com/yarnd/yarnd/engine/graph"
)

// behaviour is what the tasks of a class do when they run.
type behaviour struct {
	class  graph.Class
	kind   string // "ok", "bad", "flaky", "poison" (kills the executor), "bomb" (kills the worker)
	size   uint64
	inline bool
	micros uint32
}

// spec is a task as its client wrote it down.
type spec struct {
	does *behaviour
	deps []graph.TaskID
}

// valueOf is what a task returns, given the values of its dependencies.
func valueOf(id graph.TaskID, deps []uint64) uint64 {
	h := uint64(14695981039346656037)
	mix := func(v uint64) {
		h = (h ^ v) * 1099511628211
		h ^= h >> 29
	}
	mix(uint64(id.Job))
	mix(uint64(id.Index))
	for _, d := range deps {
		mix(d)
	}
	return h
}

// oracle evaluates a graph in the most obvious way.
type oracle struct {
	specs  map[graph.TaskID]*spec
	values map[graph.TaskID]uint64
}

// value returns the result that a task has if it has one.
func (o *oracle) value(id graph.TaskID) uint64 {
	if v, ok := o.values[id]; ok {
		return v
	}
	var deps []uint64
	for _, d := range o.specs[id].deps {
		deps = append(deps, o.value(d))
	}
	v := valueOf(id, deps)
	o.values[id] = v
	return v
}
