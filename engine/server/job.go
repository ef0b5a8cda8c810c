package server

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// job is what the core does not keep of a job: who owns it, its classes, the
// payloads of tasks that may yet run, and how tasks ended.
type job struct {
	id     graph.JobID
	name   string
	owner  string   // user
	holder *session // an unnamed job ends with it; nil for others
	opened time.Time

	// closed says that clients no longer see the job; the core still needs what
	// other jobs depend on, until Output.Gone.
	closed bool
	quiet  bool // it belongs to a client within a task: there may be very many
	// detached says that only published names keep it.
	detached  bool
	published int // names of its tasks
	// unused is for how long nobody has used it; the next scheduler knows of unusedSafe.
	unused, unusedSafe time.Duration
	carried            bool // it was in use when this scheduler took over

	classes []graph.Class
	chunks  []chunk // by first, without a gap
	tasks   uint32

	ends    outcomes
	inline  *inlineStore
	watches map[*watch]struct{}
	news    bool // it is in loop.news
}

// chunk is what one Submit or SubmitRange brought.
type chunk struct {
	first, n uint32
	seq      uint64         // which of all the jobs' chunks it is
	era      uint32         // generation of the scheduler that took it
	by       graph.ClientID // so that a repeated Submit is known
	live     uint32         // tasks that may yet run: 0 frees the columns
	at       time.Time      // when it came
	classes  []classRun
	payEnd   []uint32
	payload  []byte

	// ranged says that it is a range: each task's payload is payload and, behind it, its
	// number, which is base for the first.
	ranged bool
	base   int64
}

func (j *job) taskID(index uint32) graph.TaskID { return graph.TaskID{Job: j.id, Index: index} }

// title names the job for people.
func (j *job) title() string {
	if j.name != "" {
		return fmt.Sprintf("job %q", j.name)
	}
	return fmt.Sprintf("job %d", j.id)
}

// chunkOf returns the chunk of a task, which must exist.
func (j *job) chunkOf(index uint32) *chunk {
	i := sort.Search(len(j.chunks), func(i int) bool { return j.chunks[i].first > index })
	return &j.chunks[i-1]
}

// classRun says that the tasks from the end of the run before up to end are of a class.
type classRun struct {
	end   uint32 // counted from the chunk's first
	class graph.ClassID
}

func classRuns(column []graph.ClassID) (runs []classRun) {
	for i, c := range column {
		if last := len(runs) - 1; last >= 0 && runs[last].class == c {
			runs[last].end++
		} else {
			runs = append(runs, classRun{uint32(i) + 1, c})
		}
	}
	return runs
}

func (c *chunk) class(i uint32) graph.ClassID {
	n := sort.Search(len(c.classes), func(n int) bool { return c.classes[n].end > i })
	return c.classes[n].class
}

// spec returns what a task's assignment says: its class and payload, a view that is good
// until the next call.
func (c *chunk) spec(index uint32) (graph.ClassID, []byte) {
	i := index - c.first
	if c.ranged {
		return c.class(i), codec.AppendInt(c.payload, c.base+int64(i)) // into what room there is behind it
	}
	if c.payEnd == nil {
		return c.class(i), nil
	}
	from := uint32(0)
	if i > 0 {
		from = c.payEnd[i-1]
	}
	return c.class(i), c.payload[from:c.payEnd[i]]
}

// forget says that a task will never run again.
func (j *job) forget(index uint32) {
	c := j.chunkOf(index)
	if c.live--; c.live == 0 {
		c.payload, c.payEnd = nil, nil
	}
	// How a task failed can be asked as long as the job is there.
	if k := j.ends.at(index).kind; k == graph.FailNone || k == notEnded {
		j.ends.lose(index, index+1)
	}
}

// forgetRun is forget for many.
func (j *job) forgetRun(r graph.Run) {
	for first, end := r.First, r.End(); first < end; {
		c := j.chunkOf(first)
		next := min(end, c.first+c.n)
		if c.live -= next - first; c.live == 0 {
			c.payload, c.payEnd = nil, nil
		}
		first = next
	}
	if j.ends.at(r.First).kind == notEnded { // all of them or none
		j.ends.lose(r.First, r.End())
	}
}

// submit adds a checked batch, which m is.
func (l *loop) submit(j *job, b *graph.Batch, m *wire.Submit, by graph.ClientID) error {
	n := uint32(b.Len())
	if again, err := j.submitted(b.First, n, by); again || err != nil || n == 0 {
		return err
	}
	if err := l.mayTake(l.core.Unmade(b.Deps)); err != nil {
		return err
	}
	c := chunk{first: b.First, n: n, by: by, classes: classRuns(b.Class), payEnd: b.PayEnd, payload: b.Payload}
	b.PayEnd, b.Payload = nil, nil // the core gets the other columns
	return l.add(j, c, sched.Submit{Batch: b}, &wire.Record{Body: &wire.Record_Submit{Submit: m}})
}

// submitRange adds a checked range, which m is.
func (l *loop) submitRange(j *job, r *graph.Range, m *wire.SubmitRange, by graph.ClientID) error {
	if again, err := j.submitted(r.First, r.N, by); again || err != nil {
		return err
	}
	if j.classes[r.Class].Actor { // those that are cancelled together have no mailboxes to look at
		return wire.Errorf(wire.Invalid, "submit: class %d of %s is of actors, which make no range", r.Class, j.title())
	}
	if err := l.mayTake(0); err != nil {
		return err
	}
	c := chunk{first: r.First, n: r.N, by: by, classes: []classRun{{r.N, r.Class}}, ranged: true, base: r.Base}
	c.payload = append(make([]byte, 0, len(r.Payload)+codec.MaxInt), r.Payload...)
	ev := sched.SubmitRange{Job: j.id, First: r.First, N: r.N, Class: r.Class}
	return l.add(j, c, ev, &wire.Record{Body: &wire.Record_SubmitRange{SubmitRange: m}})
}

// submitted reports whether the same client has sent a submission before (its
// acknowledgement was lost with a connection); an error if it cannot be the job's next.
func (j *job) submitted(first, n uint32, by graph.ClientID) (bool, error) {
	if first == j.tasks {
		return false, nil
	}
	i, ok := slices.BinarySearchFunc(j.chunks, first, func(c chunk, first uint32) int { return int(int64(c.first) - int64(first)) })
	if ok && j.chunks[i].n == n && j.chunks[i].by == by {
		return true, nil
	}
	return false, wire.Errorf(wire.Conflict, "%s has %d tasks already: the next index is not %d", j.title(), j.tasks, first)
}

// add has the core take the tasks of a chunk, which ev is about, and records it.
func (l *loop) add(j *job, c chunk, ev sched.Event, r *wire.Record) error {
	if m := r.GetSubmit(); m != nil {
		l.markGone(m)
	}
	l.lastChunk++
	c.live, c.at, c.seq, c.era = c.n, l.now, l.lastChunk, l.era
	l.recordOf(j, c.by, r) // before what follows from it
	l.step(ev)
	if info, _ := l.core.Job(j.id); info.Tasks != j.tasks+c.n {
		l.unrecord(r)
		return wire.Errorf(wire.TooLarge, "%s cannot take %d more tasks: it has %d", j.title(), c.n, j.tasks)
	}
	j.chunks = append(j.chunks, c)
	j.tasks += c.n
	j.ends.grow(j.tasks)
	return nil
}

// markGone has a record say which inputs were of no use for good when it was made: in a snapshot they may be there
// as they were before.
func (l *loop) markGone(m *wire.Submit) {
	if l.ledger == nil || l.replaying {
		return
	}
	for i, index := range m.DepIndex {
		own := m.DepJob[i] == m.Job && index >= m.First
		if !own && l.core.Gone(graph.TaskID{Job: graph.JobID(m.DepJob[i]), Index: index}) {
			m.DepJob[i] = 0
		}
	}
}

// declare interns classes. One that is there already must be the same.
func (l *loop) declare(j *job, classes []*wire.Class) error {
	known := len(j.classes)
	defer func() {
		if fresh := classes[max(0, len(classes)-(len(j.classes)-known)):]; len(fresh) > 0 {
			l.recordOf(j, 0, &wire.Record{Body: &wire.Record_Classes{Classes: &wire.Classes{Job: uint32(j.id), Class: fresh}}})
		}
	}()
	for _, m := range classes {
		id, c := wire.ClassFromWire(m)
		if c.Bundle == l.opts.Bundle {
			c.Bundle = graph.Digest{} // the workers' own binary
		}
		switch {
		case int(id) < len(j.classes):
			if !equalClass(&j.classes[id], &c) {
				return wire.Errorf(wire.Conflict, "class %d of %s is %q already, and differs from %q", id, j.title(), j.classes[id].Name, c.Name)
			}
			continue
		case int(id) > len(j.classes):
			return wire.Errorf(wire.Invalid, "class %d of %s: the next one is %d", id, j.title(), len(j.classes))
		case !c.Bundle.IsZero() && !l.bundles.has(c.Bundle) && !l.replaying:
			return wire.Errorf(wire.NotFound, "class %q needs bundle %s, which the scheduler does not have: send it first", c.Name, c.Bundle)
		}
		j.classes = append(j.classes, c)
		l.step(sched.DeclareClass{Job: j.id, Class: id, Spec: c})
	}
	return nil
}

func equalClass(a, b *graph.Class) bool {
	x, y := *a, *b
	x.Spec, y.Spec = nil, nil
	return x.Name == y.Name && x.Kind == y.Kind && x.Bundle == y.Bundle && x.Resources.Equal(&y.Resources) &&
		x.Priority == y.Priority && x.Retries == y.Retries && x.Deaths == y.Deaths &&
		x.TimeLimit == y.TimeLimit && x.Pool == y.Pool && x.Idempotent == y.Idempotent && x.Lazy == y.Lazy && x.Actor == y.Actor && slices.Equal(x.Hosts, y.Hosts) && slices.Equal(a.Spec, b.Spec)
}

// openJob makes a job. An unnamed one belongs to the session.
func (l *loop) openJob(name string, s *session) *job {
	if l.lastJob++; name == "" && s.nested {
		l.reserve()
	}
	j := &job{
		id: l.lastJob, name: name, owner: s.user, opened: l.now,
		watches: map[*watch]struct{}{},
	}
	j.inline = newInlineStore(&j.ends.rows)
	l.jobs[j.id] = j
	if name != "" {
		l.jobNames[name] = j
	} else {
		j.holder = s
		s.jobs[j.id] = j
		j.quiet = s.nested
	}
	l.recordOf(j, s.id, &wire.Record{Body: &wire.Record_Job{Job: &wire.JobRecord{Job: uint32(j.id), Name: name, Owner: j.owner, OpenedMs: j.opened.UnixMilli()}}})
	l.step(sched.OpenJob{Job: j.id})
	if !j.quiet {
		l.tell("job.opened", j.title(), "by %s", j.owner)
		l.log.Info("job opened", "job", j.id, "name", name, "owner", j.owner)
	}
	return j
}

// closeJob ends a job for its clients. Published results keep what they need of
// it: the rest is released, and the job ends with the last name.
func (l *loop) closeJob(j *job, why string) {
	l.recordOf(j, 0, &wire.Record{Body: &wire.Record_CloseJob{CloseJob: &wire.CloseJob{Job: uint32(j.id)}}})
	defer l.mailOfJob(j.id)
	if j.holder != nil {
		delete(j.holder.jobs, j.id)
		j.holder = nil
	}
	if l.jobNames[j.name] == j {
		delete(l.jobNames, j.name)
	}
	if j.published > 0 {
		if !j.detached {
			j.detached = true
			l.tellEnd("job.detached", j, why+"; its published results stay")
			l.log.Info("job detached: its published results stay", "job", j.id, "name", j.name, "why", why)
			l.step(sched.ReleaseRun{Run: j.all()})
		}
		return
	}
	if !j.quiet {
		l.log.Info("job closed", "job", j.id, "name", j.name, "why", why)
		l.tellEnd("job.closed", j, why)
	}
	j.closed = true
	for w := range j.watches {
		l.endWatch(w, wire.Errorf(wire.NotFound, "%s was closed: %s", j.title(), why))
	}
	j.ends.forgetEnds()
	l.step(sched.CloseJob{Job: j.id})
}

func (j *job) all() graph.Run { return graph.Run{Job: j.id, N: j.tasks} }

// gone drops a closed job of which the core needs nothing any more, and tells the
// workers that know its classes.
func (l *loop) gone(id graph.JobID) {
	delete(l.jobs, id)
	for _, w := range l.workers {
		if _, ok := w.classes[id]; ok {
			delete(w.classes, id)
			o := l.outboxOf(w)
			o.over = append(o.over, id)
		}
	}
}

// find returns an open job.
func (l *loop) find(id uint32) (*job, error) {
	j := l.jobs[graph.JobID(id)]
	if j == nil || j.closed {
		return nil, wire.Errorf(wire.NotFound, "there is no job %d: it was closed, belonged to a session that ended, or was used by nobody for too long", id)
	}
	l.use(j)
	return j, nil
}
