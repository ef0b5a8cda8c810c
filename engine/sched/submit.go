package sched

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

func (c *Core) stepOpen(ev OpenJob) {
	if ev.Job <= c.newestJob {
		c.reject(AlreadyExists)
		return
	}
	c.newestJob = ev.Job
	c.jobs[ev.Job] = &job{id: ev.Job}
}

func (c *Core) stepClass(ev DeclareClass) {
	j := c.open(ev.Job)
	if j == nil {
		return
	}
	if int(ev.Class) != len(j.classes) {
		c.reject(UnknownClass)
		return
	}
	cl := class{Class: ev.Spec, slots: max(1, int(ev.Spec.Resources.Slots))}
	cl.Spec = nil // the executor's own
	cl.lane = j.laneFor(c.termsOf(&ev.Spec, cl.slots))
	j.classes = append(j.classes, cl)
}

func (c *Core) open(id graph.JobID) *job {
	if j := c.jobs[id]; j != nil && !j.closed {
		return j
	}
	c.reject(UnknownJob)
	return nil
}

// stepSubmit adds the rows and edges of a batch, then wants what the job holds.
func (c *Core) stepSubmit(ev Submit) {
	b := ev.Batch
	j := c.open(b.Job)
	if j == nil {
		return
	}
	if b.First != j.tasks.n || b.Check(len(j.classes)) != nil || uint64(j.edges.n)+uint64(len(b.Deps)) >= 1<<32-1 {
		c.reject(BadBatch)
		return
	}
	j.makeLast()
	c.enterEra(j)
	hosts := c.hostNumbers(b.HostNames)
	for n, cl := range b.Class {
		i := b.First + uint32(n)
		t := task{class: cl, flags: flagHeld}
		if b.IsLoose(n) {
			t.flags = flagFresh
		}
		if i&(chunkLen-1) == 0 {
			j.starts = append(j.starts, j.edges.n)
		}
		j.tasks.add(t)
		for _, d := range b.DepsOf(n) {
			c.addEdge(j, i, d)
		}
		j.task(i).edgeEnd = j.edges.n
		j.addHosts(i, b.HostsOf(n), hosts)
	}
	j.counts[StateReleased] += uint32(b.Len())
	if c.restoring {
		c.wantAll(j, b.First)
		return
	}
	for i := b.First; i < j.tasks.n; i++ {
		if t := j.task(i); t.flags&flagHeld != 0 && t.state == StateReleased {
			c.activate(j, i)
		}
	}
}

func (c *Core) addEdge(j *job, i uint32, d graph.TaskID) {
	e := j.edges.n
	jd, t := c.find(d)
	alive := jd != nil && t.state != StateForgotten
	if alive && jd == j {
		j.edges.add(edge{dep: d.Index, consumer: i, next: t.out})
		t.out = e + 1
		t.kin++
		return
	}
	j.edges.add(edge{dep: i, consumer: i})
	if j.foreign == nil {
		j.foreign = map[uint32]abroad{}
	}
	j.foreign[e] = abroad{d, !alive}
	if !alive {
		return
	}
	t.kin++
	t.flags |= flagAbroad
	if jd.abroad == nil {
		jd.abroad = map[uint32][]graph.TaskID{}
	}
	out := jd.abroad[d.Index]
	if len(out) == cap(out) {
		out = slices.DeleteFunc(out, func(k graph.TaskID) bool {
			_, t := c.find(k)
			return t == nil || t.state.Final() && t.flags&flagCut != 0
		})
	}
	jd.abroad[d.Index] = append(out, j.name(i))
}

func (j *job) addHosts(i uint32, rows []uint32, numbers []uint32) {
	if len(rows) == 0 {
		return
	}
	if j.hosts == nil {
		j.hosts = map[uint32][]uint32{}
	}
	list := make([]uint32, len(rows))
	for n, h := range rows {
		list[n] = numbers[h]
	}
	slices.Sort(list)
	j.hosts[i] = slices.Compact(list)
}

// hostNumbers interns host names.
func (c *Core) hostNumbers(names []string) []uint32 {
	numbers := make([]uint32, len(names))
	for i, name := range names {
		numbers[i] = c.hostNumber(name)
	}
	return numbers
}

func (c *Core) hostNumber(name string) uint32 {
	n, ok := c.hosts[name]
	if !ok {
		n = uint32(len(c.hostCrew))
		c.hosts[name] = n
		c.hostCrew = append(c.hostCrew, 0)
	}
	return n
}

// stepClose cancels and releases from the last task to the first, so that no
// task is woken or failed on the way by one that goes with it.
func (c *Core) stepClose(ev CloseJob) {
	j := c.open(ev.Job)
	if j == nil {
		return
	}
	c.closeBare(j)
	j.closed = true
	for i := j.tasks.n; i > 0; i-- {
		if !j.tasks.made(i - 1) {
			i = (i-1)&^(chunkLen-1) + 1
			continue
		}
		t := j.task(i - 1)
		c.letGo(j, i-1)
		switch {
		case t.state.Active() && !c.restoring: // else facts tell of what was cancelled

			c.fail(j, i-1, graph.FailCancelled, j.name(i-1))
		default:
			c.dropLater(j, i-1)
		}
		c.settle()
	}
	c.leaveIfGone(j)
}

// leaveIfGone drops a closed job of which nothing is left.
func (c *Core) leaveIfGone(j *job) {
	n := j.counts
	if !j.closed || j.kept > 0 || n[StateFailed]+n[StateCancelled]+n[StateForgotten] != j.tasks.n || c.jobs[j.id] == nil {
		return
	}
	delete(c.jobs, j.id)
	if c.last == j {
		c.last = nil
	}
	c.out.Gone = append(c.out.Gone, j.id)
}

// laneFor returns the lane of tasks of these terms, a new one if need be.
func (j *job) laneFor(t terms) *lane {
	at, ok := slices.BinarySearchFunc(j.lanes, t, func(l *lane, t terms) int { return l.compare(t) })
	if !ok {
		j.lanes = slices.Insert(j.lanes, at, &lane{job: j, terms: t})
	}
	return j.lanes[at]
}
