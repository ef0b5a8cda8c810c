package client

import (
	"github.com/yarnd/yarnd/engine/graph"
)

// Outcome is how a task ended, or why that will not be known.
type Outcome struct {
	graph.Outcome
	Attempt graph.Attempt
	Err     error // there will be no outcome
}

// IsInline reports whether the result's bytes are here.
func (o *Outcome) IsInline() bool {
	return o.Failure == nil && len(o.Holders) == 0 && uint64(len(o.Inline)) == o.Size
}

// state is how far a task has come that somebody here may hold.
type state uint8

const (
	free    state = iota // nobody holds it
	pending              // no outcome yet
	inline               // its result is in the page's bytes
	other                // its outcome is in the page's rest
)

const pageSize = 256

// page is what is known of 256 tasks that follow one another, in columns: 13 bytes a
// task and its small result. What few tasks need is made when one does.
//
//	state    pending  inline  inline  free  other …
//	attempt              1       1            2
//	from,len            0,9     9,9                      of bytes
//	bytes    [result of 1][result of 2]
//	rest     4: a failure, or where a large result is
type page struct {
	state   [pageSize]state
	attempt [pageSize]graph.Attempt
	from    [pageSize]uint32
	len     [pageSize]uint32
	bytes   []byte
	dead    int // of bytes: nobody holds them any more
	live    int // tasks that are held
	rest    map[uint8]*Outcome
	done    map[uint8]chan struct{} // closed with the outcome; made when somebody waits
	told    *[pageSize]told
}

// told is whom a task's outcome is told to, and as what.
type told struct {
	sink Sink
	tag  uint32
}

// table holds a job's pages. Guarded by Job.mu.
type table struct {
	pages    map[uint32]*page
	last     *page // the one that was looked at last, of number lastAt; nil is none
	lastAt   uint32
	ranges   []*heldRange // in order (range.go)
	failed   *Outcome     // of all that had none; nil until the job has failed
	watching bool
}

// page returns the page of that number, nil if there is none.
func (t *table) page(at uint32) *page {
	if t.last == nil || t.lastAt != at {
		if t.last, t.lastAt = t.pages[at], at; t.last == nil && len(t.ranges) > 0 {
			t.last = t.unfold(at)
		}
	}
	return t.last
}

func (t *table) newPage(at uint32) *page {
	if t.pages == nil {
		t.pages = map[uint32]*page{}
	}
	p := new(page)
	t.pages[at] = p
	return p
}

// cell is what is known of one task, from Submit (or Hold) until Release; the zero
// cell stands for a task that nobody holds.
type cell struct {
	p *page
	i uint8
}

func (c cell) held() bool { return c.p != nil }

func (t *table) find(index uint32) cell {
	if p := t.page(index / pageSize); p != nil && p.state[index%pageSize] != free {
		return cell{p, uint8(index % pageSize)}
	}
	return cell{}
}

// hold returns the task's cell, a new one if it has none.
func (t *table) hold(index uint32) cell {
	p := t.page(index / pageSize)
	if p == nil {
		p = t.newPage(index / pageSize)
		t.last = p
	}
	c := cell{p, uint8(index % pageSize)}
	if p.state[c.i] == free {
		p.state[c.i] = pending
		p.live++
	}
	return c
}

func (t *table) forget(index uint32) {
	p := t.page(index / pageSize)
	if p.live--; p.live == 0 {
		delete(t.pages, index/pageSize)
		t.last = nil
		return
	}
	c := cell{p, uint8(index % pageSize)}
	c.clear()
	p.state[c.i] = free
	if p.told != nil {
		p.told[c.i] = told{}
	}
}

// tell has the task's outcome told, besides others.
func (c cell) tell(to told) {
	if c.p.told == nil {
		c.p.told = new([pageSize]told)
	}
	if was := c.p.told[c.i]; was.sink != nil {
		to = told{sink: &both{was, to}}
	}
	c.p.told[c.i] = to
}

// both is the Sink of a task that is told to two.
type both [2]told

// Ended is a Sink's.
func (b *both) Ended([]uint32) {
	for _, t := range b {
		t.sink.Ended([]uint32{t.tag})
	}
}

// wait returns a channel that is closed when the task, which is pending, has an
// outcome.
func (c cell) wait() <-chan struct{} {
	ch := c.p.done[c.i]
	if ch == nil {
		ch = make(chan struct{})
		if c.p.done == nil {
			c.p.done = map[uint8]chan struct{}{}
		}
		c.p.done[c.i] = ch
	}
	return ch
}

// clear takes the outcome back.
func (c cell) clear() {
	p := c.p
	switch p.state[c.i] {
	case inline:
		p.dead += int(p.len[c.i])
		p.squeeze()
	case other:
		delete(p.rest, c.i)
	}
	p.state[c.i] = pending
}

// worthwhile is from how many bytes on a page gives dead ones back.
const worthwhile = 64 << 10

// squeeze gives bytes back that nobody holds, once they are most. Views of the old
// bytes stay good.
func (p *page) squeeze() {
	if p.dead < worthwhile || p.dead < len(p.bytes)/2 {
		return
	}
	old := p.bytes
	p.bytes, p.dead = make([]byte, 0, len(old)-p.dead), 0
	for i, s := range p.state {
		if s == inline {
			from := uint32(len(p.bytes))
			p.bytes = append(p.bytes, old[p.from[i]:p.from[i]+p.len[i]]...)
			p.from[i] = from
		}
	}
}

// put stores an outcome in the place of what was known. Small results are copied.
func (c cell) put(o *Outcome) {
	c.clear()
	p := c.p
	if o.Err == nil && o.IsInline() && len(p.bytes)+len(o.Inline) <= 1<<30 {
		p.state[c.i], p.attempt[c.i] = inline, o.Attempt
		p.from[c.i], p.len[c.i] = uint32(len(p.bytes)), uint32(len(o.Inline))
		p.bytes = append(p.bytes, o.Inline...)
		return
	}
	if p.rest == nil {
		p.rest = map[uint8]*Outcome{}
	}
	kept := *o
	p.state[c.i], p.rest[c.i] = other, &kept
}

// outcome returns what is known; ok is false while the task is pending.
func (c cell) outcome(task graph.TaskID) (o Outcome, ok bool) {
	p := c.p
	switch p.state[c.i] {
	case inline:
		from, to := p.from[c.i], p.from[c.i]+p.len[c.i]
		o.Task, o.Attempt, o.Size, o.Inline = task, p.attempt[c.i], uint64(to-from), p.bytes[from:to:to]
		return o, true
	case other:
		return *p.rest[c.i], true
	}
	return o, false
}

// failed reports whether what is known of the task is that it failed.
func (c cell) failed() bool { return c.p.state[c.i] == other && c.p.rest[c.i].Failure != nil }

// end gives the task its outcome, the first time.
func (c cell) end(o *Outcome, to *news) {
	p := c.p
	if p.state[c.i] != pending {
		return
	}
	c.put(o)
	if ch := p.done[c.i]; ch != nil {
		close(ch)
		delete(p.done, c.i)
	}
	if p.told != nil && p.told[c.i].sink != nil {
		to.add(p.told[c.i])
		p.told[c.i] = told{} // once, whatever a retry brings
	}
}

// again takes in that the task, which had failed, runs again: who asks from now on
// waits for its new outcome.
func (c cell) again() {
	if c.failed() {
		c.clear()
	}
}

func (t *table) failCells(err error) (to news) {
	out := &Outcome{Err: err}
	for _, p := range t.pages {
		for i, s := range p.state {
			if s != free {
				cell{p, uint8(i)}.end(out, &to)
			}
		}
	}
	t.failBare(out, &to)
	return to
}

// news are what sinks are to be told, once the lock is given back.
type news []tidings

type tidings struct {
	sink     Sink
	tags     []uint32
	first, n uint32 // or these, to a RangeSink
}

func (n *news) add(t told) {
	if k := len(*n) - 1; k >= 0 && (*n)[k].sink == t.sink && (*n)[k].n == 0 {
		(*n)[k].tags = append((*n)[k].tags, t.tag)
		return
	}
	*n = append(*n, tidings{sink: t.sink, tags: []uint32{t.tag}})
}

func (n *news) addRun(sink RangeSink, first, count uint32) {
	if k := len(*n) - 1; k >= 0 && (*n)[k].sink == sink && (*n)[k].n > 0 && (*n)[k].first+(*n)[k].n == first {
		(*n)[k].n += count
		return
	}
	*n = append(*n, tidings{sink: sink, first: first, n: count})
}

func (n news) tell() {
	for _, t := range n {
		if t.n > 0 {
			t.sink.(RangeSink).EndedRun(t.first, t.n)
			continue
		}
		t.sink.Ended(t.tags)
	}
}
