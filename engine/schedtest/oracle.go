package schedtest

import "github.com/yarnd/yarnd/engine/graph"

// spec is a task as its client wrote it down.
type spec struct {
	name Name
	does *behaviour
	deps []graph.TaskID
}

// valueOf is what a task returns, given the values of its dependencies.
func valueOf(name Name, deps []uint64) uint64 {
	h := uint64(14695981039346656037)
	h = mix(h, uint64(name.Job))
	h = mix(h, uint64(name.Task))
	for _, d := range deps {
		h = mix(h, d)
	}
	return h
}

func mix(h, v uint64) uint64 {
	h = (h ^ v) * 1099511628211
	return h ^ h>>29
}

// oracle evaluates a graph in the most obvious way.
type oracle struct {
	specs  map[graph.TaskID]*spec
	values map[graph.TaskID]uint64
}

func newOracle() *oracle {
	return &oracle{specs: map[graph.TaskID]*spec{}, values: map[graph.TaskID]uint64{}}
}

// value returns the result that a task has if it has one.
func (o *oracle) value(id graph.TaskID) uint64 {
	if v, ok := o.values[id]; ok {
		return v
	}
	s := o.specs[id]
	var deps []uint64
	for _, d := range s.deps {
		deps = append(deps, o.value(d))
	}
	v := valueOf(s.name, deps)
	o.values[id] = v
	return v
}
