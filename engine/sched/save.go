package sched

import "github.com/yarnd/yarnd/engine/graph"

// Saved is what a core that takes over must know of a task besides its class, its inputs
// and who pins it: for a snapshot.
type Saved struct {
	Row   bool // false: nothing was ever to be known of it but its range
	Gone  bool // forgotten
	Held  bool // by its job
	Fresh bool // nobody ever wanted it
	Needs bool // its inputs' lineage
	Facts []Fact
}

// Save returns what is to be known of a task. facts is memory for Saved.Facts.
func (c *Core) Save(id graph.TaskID, facts []Fact) (s Saved) {
	j := c.jobs[id.Job]
	if j == nil || id.Index >= j.tasks.n {
		return Saved{Gone: true}
	}
	i := id.Index
	if !j.tasks.has(i) {
		return Saved{Row: true, Gone: true}
	}
	if !j.tasks.made(i) {
		t := j.rowOf(i)
		return Saved{Held: t.flags&flagHeld != 0, Facts: saveEnd(facts, id, &t)}
	}
	t := j.task(i)
	s = Saved{
		Row: true, Gone: t.state == StateForgotten, Held: t.flags&flagHeld != 0, Fresh: t.flags&flagFresh != 0,
		Needs: t.flags&flagCut == 0 && t.state != StateForgotten,
	}
	facts = saveEnd(facts, id, t)
	if a, ok := j.lost[i]; ok && t.state != StateDone && !t.state.Final() {
		facts = append(facts, Fact{Kind: FactDone, Task: id, Attempt: a, Told: t.flags&flagSeen != 0})
	}
	if y, ok := j.tallies[i]; ok && t.flags&flagInline == 0 { // else it never runs again
		facts = append(facts, Fact{Kind: FactTally, Task: id, Size: y.pack()})
	}
	if t.flags&flagSuspect != 0 && !t.state.Final() && t.state != StateDone {
		facts = append(facts, Fact{Kind: FactSuspect, Task: id})
	}
	if a, ok := c.fenced(j, i); ok && t.state != StateDone && !t.state.Final() {
		facts = append(facts, Fact{Kind: FactFenced, Task: id, Attempt: a})
	}
	s.Facts = facts
	return s
}

// saveEnd appends how a task has ended.
func saveEnd(facts []Fact, id graph.TaskID, t *task) []Fact {
	f := Fact{Task: id, Attempt: t.attempt, Told: t.flags&flagSeen != 0}
	switch t.state {
	case StateDone:
		f.Kind, f.Size, f.Inline = FactDone, t.size, t.flags&flagInline != 0
	case StateFailed, StateCancelled:
		f.Kind, f.Fail, f.Cause = FactFailed, graph.FailKind(t.took), unpack(t.size)
	default:
		return facts
	}
	facts = append(facts, f)
	if t.state == StateFailed && t.flags&flagCut != 0 {
		facts = append(facts, Fact{Kind: FactBuried, Task: id})
	}
	return facts
}

// Inputs appends the tasks that a task depends on, as Submit had them. One that is of no use
// for good (Gone) is in no job.
func (c *Core) Inputs(dst []graph.TaskID, id graph.TaskID) []graph.TaskID {
	j := c.jobs[id.Job]
	if j == nil || !j.tasks.made(id.Index) {
		return dst
	}
	for e, to := j.edgesOf(id.Index); e < to; e++ {
		if jd, d := c.dep(j, id.Index, e); jd != nil && !c.Gone(jd.name(d)) {
			dst = append(dst, jd.name(d))
		} else {
			dst = append(dst, graph.TaskID{Index: j.depID(id.Index, e).Index})
		}
	}
	return dst
}

// HostNames returns the names of hosts by their numbers.
func (c *Core) HostNames() []string {
	names := make([]string, len(c.hostCrew))
	for name, n := range c.hosts {
		names[n] = name
	}
	return names
}

// Hosts returns the numbers of the hosts on which a task's input lies.
func (c *Core) Hosts(id graph.TaskID) []uint32 {
	if j := c.jobs[id.Job]; j != nil {
		return j.hosts[id.Index]
	}
	return nil
}
