package sched

import (
	"slices"
	"sort"

	"github.com/yarnd/yarnd/engine/graph"
)

// A range is tasks that differ in nothing but their index and depend on nothing. Most of
// what is to be known of one of them is known of all, so that they have no rows until
// something is to be known of one: then the rows of its chunk are made.
//
//	chunk      0          1          2          3
//	        [rows of  ][rows: some][no rows  ][no rows  ]     span 1…3, class 5
//	         a batch    were given  Ready      Ready
//
//	  - They are Ready from the start, and in the counts of those that are. So to make
//	    rows changes nothing that can be seen.
//	  - The lane's queue of roots holds them as the interval that they are; rows are made
//	    when it is popped, or when a task is depended on, pinned, cancelled, released. Who
//	    only looks makes none.
//	  - Chunks that are cancelled or released whole, and those of a job that is closed, end
//	    without rows.
//	  - A chunk without rows is of one span, from its first task to its last so far: what
//	    comes behind has it made first.

// span is a range of a job from the first chunk on that it has to itself.
type span struct {
	from, to  uint32
	class     graph.ClassID
	cancelled bool // those without rows are
}

// unmade stands for the rows of a chunk that were not made.
var unmade = []task{}

// made reports whether row i is there.
func (t *table[T]) made(i uint32) bool {
	return i < t.n && int(i&(chunkLen-1)) < len(t.chunks[i>>chunkBits])
}

// stepRange adds a range, and rows only for those of its tasks whose chunk has others.
func (c *Core) stepRange(ev SubmitRange) {
	j := c.open(ev.Job)
	if j == nil {
		return
	}
	if ev.First != j.tasks.n || ev.N == 0 || int(ev.Class) >= len(j.classes) || uint64(ev.First)+uint64(ev.N) > 1<<32-1 {
		c.reject(BadBatch)
		return
	}
	j.makeLast()
	c.enterEra(j)
	i, end := ev.First, ev.First+ev.N
	for ; i < end && i&(chunkLen-1) != 0; i++ {
		j.tasks.add(task{class: ev.Class, flags: flagHeld, state: StateReady, edgeEnd: j.edges.n})
	}
	if i < end {
		j.spans = append(j.spans, span{from: i, to: end, class: ev.Class})
		for range (uint64(end-i) + chunkLen - 1) / chunkLen {
			j.starts = append(j.starts, j.edges.n)
			j.tasks.chunks = append(j.tasks.chunks, unmade)
		}
		j.tasks.n = end
	}
	j.counts[StateReady] += ev.N
	j.classes[ev.Class].parts.count(StateReady, ev.N)
	l := j.classes[ev.Class].lane
	c.addReady(l, int(ev.N))
	c.list(l)
	l.roots.pushRun(ev.First, end)
}

// addReady counts tasks without rows that are Ready, or are not any more.
func (c *Core) addReady(l *lane, n int) {
	c.active += n
	c.ready += n
	l.ready += n
}

// makeLast has the last chunk be of rows, so that more can be added to it.
func (j *job) makeLast() {
	if i := j.tasks.n - 1; j.tasks.n&(chunkLen-1) != 0 && !j.tasks.made(i) {
		j.makeRow(i)
	}
}

// spanOf returns the span of a chunk without rows, by the chunk's first task.
func (j *job) spanOf(first uint32) *span {
	n := sort.Search(len(j.spans), func(n int) bool { return j.spans[n].to > first })
	return &j.spans[n]
}

// rowOf returns the row that i has if it was not made.
func (j *job) rowOf(i uint32) task {
	first := i &^ (chunkLen - 1)
	s := j.spanOf(first)
	t := task{class: s.class, flags: flagHeld, state: StateReady, edgeEnd: j.starts[i>>chunkBits]}
	if s.cancelled || j.closed {
		t.state, t.flags = StateCancelled, flagHeld|flagCut|flagSeen
		if j.closed {
			t.flags &^= flagHeld
		}
		t.size, t.took = pack(j.name(i)), uint8(graph.FailCancelled)
	}
	return t
}

// makeRow makes the rows of i's chunk and returns i's.
func (j *job) makeRow(i uint32) *task {
	k := i >> chunkBits
	first := k << chunkBits
	n := min(j.tasks.n-first, chunkLen)
	rows := make([]task, n, max(n, chunkLen*min(k, 1))) // only the first chunk grows by copying
	for x := range rows {
		rows[x] = j.rowOf(first + uint32(x))
	}
	j.tasks.chunks[k] = rows
	return &rows[i&(chunkLen-1)]
}

// bare returns the first run of tasks without rows in [from, to) that are Ready: whole
// chunks of one span. ok is false if there is none.
func (j *job) bare(from, to uint32) (lo, hi uint32, s *span, ok bool) {
	first := (uint64(from) + chunkLen - 1) >> chunkBits
	for k := first; k < uint64(len(j.tasks.chunks)); k++ {
		at := uint32(k << chunkBits)
		end := j.chunkEnd(at)
		if end > to {
			break
		}
		bare := j.tasks.has(at) && !j.tasks.made(at)
		if bare && !ok {
			s = j.spanOf(at)
			lo, hi, ok = at, at, !s.cancelled && !j.closed
		}
		if !ok {
			continue
		}
		if !bare || at >= s.to {
			break
		}
		hi = end
	}
	return lo, hi, s, ok
}

// chunkEnd returns the end of i's chunk, as far as there are tasks.
func (j *job) chunkEnd(i uint32) uint32 {
	return uint32(min(uint64(i|(chunkLen-1))+1, uint64(j.tasks.n)))
}

// eachOf calls whole for the runs in [from, to) that need no rows, and one for every
// other task, in order, but for those dropped or cancelled by the chunk.
func (j *job) eachOf(from, to uint32, whole func(lo, hi uint32, s *span), one func(i uint32)) {
	for to = min(to, j.tasks.n); from < to; {
		lo, hi, s, ok := j.bare(from, to)
		if !ok {
			lo, hi = to, to
		}
		for from < lo {
			switch end := j.chunkEnd(from); {
			case !j.tasks.has(from), !j.tasks.made(from) && from&(chunkLen-1) == 0 && end <= lo:
				from = end
				continue
			}
			one(from)
			from++
		}
		if ok {
			whole(lo, hi, s)
		}
		from = max(from, hi)
	}
}

// endBare takes tasks without rows out of their lane and into another state.
func (c *Core) endBare(j *job, lo, hi uint32, class graph.ClassID, to State) {
	n, l := hi-lo, j.classes[class].lane
	c.addReady(l, -int(n))
	j.counts[StateReady] -= n
	j.classes[class].parts.count(StateReady, -n)
	j.counts[to] += n
	l.roots.remove(lo, hi)
}

// cancelRun cancels a run of tasks.
func (c *Core) cancelRun(r graph.Run) {
	j := c.jobs[r.Job]
	if j == nil {
		c.reject(UnknownTask)
		return
	}
	j.eachOf(r.First, r.End(), func(lo, hi uint32, s *span) {
		c.endBare(j, lo, hi, s.class, StateCancelled)
		j.cancelSpan(lo, hi)
		ended := graph.Run{Job: j.id, First: lo, N: hi - lo}
		c.out.Cancelled, c.out.Forgotten = append(c.out.Cancelled, ended), append(c.out.Forgotten, ended)
		c.note(Fact{Kind: FactCancelled, Task: j.name(lo), N: hi - lo, Told: true})
	}, func(i uint32) { c.cancelOne(j.name(i)) })
}

// cancelSpan notes of tasks without rows of one span that they are cancelled.
func (j *job) cancelSpan(lo, hi uint32) {
	n := sort.Search(len(j.spans), func(n int) bool { return j.spans[n].to > lo })
	s := j.spans[n]
	parts := []span{{s.from, lo, s.class, false}, {lo, hi, s.class, true}, {hi, s.to, s.class, false}}
	parts = slices.DeleteFunc(parts, func(p span) bool { return p.from >= p.to })
	j.spans = slices.Replace(j.spans, n, n+1, parts...)
}

// releaseRun lets go of a run of tasks.
func (c *Core) releaseRun(r graph.Run) {
	j := c.jobs[r.Job]
	if j == nil {
		c.reject(UnknownTask)
		return
	}
	j.eachOf(r.First, r.End(), func(lo, hi uint32, s *span) {
		full := lo + (hi-lo)&^(chunkLen-1)
		if lo < full {
			c.endBare(j, lo, full, s.class, StateForgotten)
			for k := lo >> chunkBits; k < full>>chunkBits; k++ {
				j.tasks.drop(k)
			}
			c.out.Forgotten = append(c.out.Forgotten, graph.Run{Job: j.id, First: lo, N: full - lo})
		}
		for i := full; i < hi; i++ { // more may be added to their chunk
			c.releaseOne(j.name(i))
		}
	}, func(i uint32) { c.releaseOne(j.name(i)) })
}

// closeBare cancels all tasks without rows of a job that is being closed.
func (c *Core) closeBare(j *job) {
	for from := uint32(0); ; {
		lo, hi, s, ok := j.bare(from, j.tasks.n)
		if !ok {
			return
		}
		c.endBare(j, lo, hi, s.class, StateCancelled)
		from = hi
	}
}

// Unmade returns how many rows have to be made before something can be done to tasks, one
// by one.
func (c *Core) Unmade(tasks []graph.TaskID) (rows int) {
	var seen map[graph.TaskID]struct{} // first tasks of chunks
	for _, id := range tasks {
		j := c.jobs[id.Job]
		if j == nil || len(j.spans) == 0 || !j.tasks.has(id.Index) || j.tasks.made(id.Index) {
			continue
		}
		id.Index &^= chunkLen - 1
		if _, ok := seen[id]; ok {
			continue
		}
		if seen == nil {
			seen = map[graph.TaskID]struct{}{}
		}
		seen[id] = struct{}{}
		rows += int(j.chunkEnd(id.Index) - id.Index)
	}
	return rows
}
