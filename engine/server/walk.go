package server

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// A snapshot says in records of the same kinds what a scheduler must know that takes over, as
// if all that is left had just happened: tasks are submitted, then end, then are let go of.
// What nobody needs any more is not in it.
//
// What is not of tasks is as it was when the snapshot began: it is little. Of tasks, those that were there then
// are said to be as they are when their turn comes.

// walker is what a snapshot has at hand while it walks.
type walker struct {
	buf    []byte
	facts  wire.Facts
	saved  []sched.Fact
	deps   []graph.TaskID
	submit wire.Submit
	hosts  []string // names by numbers

	counters *wire.CountersRecord
	sessions []savedSession
	members  []string
	names    []*wire.Publish
	events   []*wire.Event
}

// savedJob is what was to be said of a job.
type savedJob struct {
	*job
	record  *wire.JobRecord
	client  graph.ClientID // whose it was
	classes int
	chunks  int
	tasks   uint32
	log     int
	closed  bool
	at      int // chunks that were said
}

// savedSession is a session.
type savedSession struct {
	id      graph.ClientID
	record  *wire.SessionRecord
	retried []*wire.Reply
	removed []uint64
}

// begin notes what there is.
func (s *snapshot) begin() {
	l := s.l
	s.counters = &wire.CountersRecord{Job: max(uint32(l.lastJob), l.reserves.job), Client: max(uint32(l.lastClient), l.reserves.client)}
	for _, c := range l.sessions {
		if !c.nested {
			s.sessions = append(s.sessions, savedSession{c.id, &wire.SessionRecord{Token: c.token, User: c.user, Host: c.host}, slices.Clone(c.retried), slices.Clone(c.removed)})
		}
	}
	slices.SortFunc(s.sessions, func(a, b savedSession) int { return cmp.Compare(a.id, b.id) })
	for name, w := range l.workerNames {
		if w.settled {
			s.members = append(s.members, name)
		}
	}
	slices.Sort(s.members)
	s.events = l.events.after(0)
	for name, p := range l.names {
		if j := l.jobs[p.task.Job]; j == nil || j.quiet {
			continue // it ends with this scheduler, and the job is not in the journal either
		}
		s.names = append(s.names, &wire.Publish{Name: name, Job: uint32(p.task.Job), Index: p.task.Index, Type: p.typ})
	}
	slices.SortFunc(s.names, func(a, b *wire.Publish) int { return cmp.Compare(a.Name, b.Name) })
	for _, j := range l.jobs {
		if !j.quiet {
			s.jobs = append(s.jobs, l.saveJob(j))
		}
	}
	slices.SortFunc(s.jobs, func(a, b savedJob) int { return cmp.Compare(a.id, b.id) })
}

// saveJob notes how a job is. A closed one has no name and no session any more: that it had
// one is of no use.
func (l *loop) saveJob(j *job) savedJob {
	k := savedJob{
		job: j, classes: len(j.classes), chunks: len(j.chunks), tasks: j.tasks, log: j.ends.log.Len(), closed: j.closed || j.detached,
		record: &wire.JobRecord{Job: uint32(j.id), Name: j.name, Owner: j.owner, OpenedMs: j.opened.UnixMilli(), Orphan: l.jobNames[j.name] != j && j.holder == nil},
	}
	if j.holder != nil {
		k.client = j.holder.id
	}
	return k
}

// all says everything.
func (s *snapshot) all() {
	s.put(0, &wire.Record{Body: &wire.Record_Snapshot{Snapshot: &wire.SnapshotRecord{Number: s.number}}})
	s.put(0, &wire.Record{Body: &wire.Record_Counters{Counters: s.counters}})
	for _, part := range []func() bool{s.people, s.allJobs, s.allChunks, s.allEnds, s.allNames, s.allReleases, s.allClosed} {
		if !part() {
			return
		}
	}
}

func (s *snapshot) people() bool {
	for _, c := range s.sessions {
		s.put(c.id, &wire.Record{Body: &wire.Record_Session{Session: c.record}})
		for _, r := range c.retried {
			s.put(c.id, &wire.Record{Body: &wire.Record_Retried{Retried: &wire.RetriedRecord{Request: r.Id, Retried: r.GetRetried()}}})
		}
		for _, id := range c.removed {
			s.put(c.id, &wire.Record{Body: &wire.Record_Publish{Publish: &wire.Publish{Remove: true, Request: id}}})
		}
		if !s.looked(1) {
			return false
		}
	}
	for _, name := range s.members {
		s.put(0, &wire.Record{Body: &wire.Record_Member{Member: &wire.MemberRecord{Name: name}}})
	}
	for _, e := range s.events {
		s.put(0, &wire.Record{Body: &wire.Record_Event{Event: e}})
		if !s.looked(1) {
			return false
		}
	}
	return true
}

// allJobs says the jobs without their tasks.
func (s *snapshot) allJobs() bool {
	for k := range s.jobs {
		j := &s.jobs[k]
		j.record.UnusedMs = uint64(j.unusedSafe.Milliseconds()) // as it is now: what was recorded since the snapshot began came before
		s.put(j.client, &wire.Record{Body: &wire.Record_Job{Job: j.record}})
		if j.classes > 0 {
			m := &wire.Classes{Job: uint32(j.id)}
			for id := range j.classes {
				m.Class = append(m.Class, wire.ClassToWire(graph.ClassID(id), &j.job.classes[id]))
			}
			s.put(0, &wire.Record{Body: &wire.Record_Classes{Classes: m}})
			s.tooks(j)
		}
		if !s.looked(1 + j.classes) {
			return false
		}
	}
	return true
}

// bySeq orders jobs by which of their chunks came first that are still to be said.
type bySeq []*savedJob

func (h bySeq) Len() int           { return len(h) }
func (h bySeq) Less(i, k int) bool { return h[i].chunk().seq < h[k].chunk().seq }
func (h bySeq) Swap(i, k int)      { h[i], h[k] = h[k], h[i] }
func (h *bySeq) Push(v any)        { *h = append(*h, v.(*savedJob)) }
func (h *bySeq) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	*h = (*h)[:last]
	return v
}

// chunk is the next that is to be said. It may have moved after each turn.
func (j *savedJob) chunk() *chunk { return &j.job.chunks[j.at] }

// allChunks says all submissions in the order in which they came: so what tasks depend on is
// there, in whatever job it is.
func (s *snapshot) allChunks() bool {
	var next bySeq
	for k := range s.jobs {
		if s.jobs[k].chunks > 0 {
			next = append(next, &s.jobs[k])
		}
	}
	heap.Init(&next)
	era := uint32(0)
	for len(next) > 0 {
		j := next[0]
		if c := j.chunk(); c.era != era {
			era = c.era
			s.generation(era)
		}
		if !s.chunk(j) {
			return false
		}
		if j.at++; j.at < j.chunks {
			heap.Fix(&next, 0)
		} else {
			heap.Pop(&next)
		}
	}
	if era != s.l.era {
		s.generation(s.l.era)
	}
	return true
}

// generation says that a scheduler of another generation took what follows.
func (s *snapshot) generation(era uint32) {
	s.l.addFact(&s.facts, &sched.Fact{Kind: sched.FactBegan, Attempt: graph.FirstAttempt(era)})
	s.facts.End = append(s.facts.End, 0)
	s.flush()
}

// chunk says a job's next submission.
func (s *snapshot) chunk(j *savedJob) bool {
	c := j.chunk()
	if c.ranged {
		s.put(c.by, &wire.Record{Body: &wire.Record_SubmitRange{SubmitRange: &wire.SubmitRange{
			Job: uint32(j.id), First: c.first, Count: c.n, Class: uint32(c.classes[0].class), Payload: c.payload, Base: c.base,
		}}})
		return s.looked(1)
	}
	m := &s.submit
	m.Job, m.First = uint32(j.id), c.first
	m.Class, m.DepEnd, m.DepJob, m.DepIndex = m.Class[:0], m.DepEnd[:0], m.DepJob[:0], m.DepIndex[:0]
	m.HostEnd, m.Host, m.HostName, m.Loose = m.HostEnd[:0], m.Host[:0], m.HostName[:0], m.Loose[:0]
	hosts := map[uint32]uint32{}
	for i := range c.n {
		s.task(j.job, j.chunk(), i, hosts)
		if !s.looked(1) {
			return false
		}
	}
	c = j.chunk()
	m.PayEnd, m.Payload = c.payEnd, c.payload
	if len(m.DepIndex) == 0 {
		m.DepEnd = m.DepEnd[:0]
	}
	if len(m.Host) == 0 {
		m.HostEnd = m.HostEnd[:0]
	}
	s.put(c.by, &wire.Record{Body: &wire.Record_Submit{Submit: m}})
	return true
}

// task adds a chunk's i-th task to the submission. One that does not need its inputs any more has
// none. Who is not held is said to be so later, if that is for good.
func (s *snapshot) task(j *job, c *chunk, i uint32, hosts map[uint32]uint32) {
	core, m, id := s.l.core, &s.submit, j.taskID(c.first+i)
	t := core.Save(id, s.saved[:0])
	s.saved = t.Facts[:0]
	m.Class = append(m.Class, uint32(c.class(i)))
	if t.Needs {
		s.deps = core.Inputs(s.deps[:0], id)
		for _, d := range s.deps {
			m.DepJob, m.DepIndex = append(m.DepJob, uint32(d.Job)), append(m.DepIndex, d.Index)
		}
		for _, h := range core.Hosts(id) {
			at, ok := hosts[h]
			if !ok {
				at = uint32(len(m.HostName))
				hosts[h] = at
				m.HostName = append(m.HostName, s.hostName(h))
			}
			m.Host = append(m.Host, at)
		}
	}
	m.DepEnd, m.HostEnd = append(m.DepEnd, uint32(len(m.DepIndex))), append(m.HostEnd, uint32(len(m.Host)))
	if !t.Held {
		for uint32(len(m.Loose)) < (c.n+7)/8 {
			m.Loose = append(m.Loose, 0)
		}
		m.Loose[i/8] |= 1 << (i % 8)
	}
}

func (s *snapshot) hostName(n uint32) string {
	if int(n) >= len(s.hosts) {
		s.hosts = s.l.core.HostNames()
	}
	return s.hosts[n]
}

// allEnds says how tasks have ended, and in which order.
func (s *snapshot) allEnds() bool {
	for k := range s.jobs {
		j := &s.jobs[k]
		for i := uint32(0); i < j.tasks; i++ {
			if s.l.jobs[j.id] == nil { // by now: all that depends on it is as if it had been cancelled
				s.l.addFact(&s.facts, &sched.Fact{Kind: sched.FactCancelled, Task: j.taskID(i), N: j.tasks - i})
				s.facts.End = append(s.facts.End, 0)
				break
			}
			id := j.taskID(i)
			t := s.l.core.Save(id, s.saved[:0])
			s.saved = t.Facts[:0]
			switch {
			case t.Row:
				s.end(j.job, i, t.Facts)
			case len(t.Facts) > 0:
				s.cancelled(j.job, i)
			}
			if factSize(&s.facts) > snapshotFacts {
				s.flush()
			}
			if !s.looked(1) {
				return false
			}
		}
		s.flush()
		if !s.log(j) {
			return false
		}
	}
	return true
}

// snapshotFacts is where a record of facts is full, about.
const snapshotFacts = 1 << 20

// end says what is known of one task: what clients were told, as its row has it, and what
// else is true.
func (s *snapshot) end(j *job, i uint32, facts []sched.Fact) {
	r := j.ends.at(i)
	told := !j.closed && r != nil && r.kind != notEnded
	for k := range facts {
		f := &facts[k]
		same := told && (f.Kind == sched.FactDone || f.Kind == sched.FactFailed) && f.Attempt == r.attempt
		seen := f.Told
		f.Told = same
		if same && f.Kind == sched.FactDone && !f.Inline && r.keeps == keepsSize {
			f.Size = r.number() // the core forgets that of a result that is lost
		}
		s.l.addFact(&s.facts, f)
		s.facts.End = append(s.facts.End, 0)
		if seen && !same {
			s.facts.Kind[len(s.facts.Kind)-1] |= factSeen
		}
		if same {
			s.facts.End[len(s.facts.End)-1] = r.when.end
			told = false
		}
	}
	if !told {
		return
	}
	// It has ended, was let go of since, and can still be asked for.
	f := sched.Fact{Kind: sched.FactDone, Task: j.taskID(i), Attempt: r.attempt, Told: true}
	if r.keeps == keepsSize {
		f.Size = r.number()
	}
	if r.kind != graph.FailNone {
		f.Kind, f.Fail, f.Cause, f.Size = sched.FactFailed, r.kind, j.ends.cause[i], 0
	}
	s.l.addFact(&s.facts, &f)
	s.facts.Kind[len(s.facts.Kind)-1] |= factPast
	s.facts.End = append(s.facts.End, r.when.end)
}

// cancelled says that a task of a range was cancelled before anything else was known of it.
func (s *snapshot) cancelled(j *job, i uint32) {
	m := &s.facts
	when := uint32(0)
	if r := j.ends.at(i); r != nil {
		when = r.when.end
	}
	if k := len(m.Kind) - 1; k >= 0 && sched.FactKind(m.Kind[k]&factKind) == sched.FactCancelled &&
		m.Job[k] == uint32(j.id) && m.Index[k]+uint32(m.Size[k]) == i && m.End[k] == when {
		m.Size[k]++
		return
	}
	s.l.addFact(m, &sched.Fact{Kind: sched.FactCancelled, Task: j.taskID(i), N: 1, Told: true})
	m.End = append(m.End, when)
}

// flush writes the facts that have gathered.
func (s *snapshot) flush() {
	m := &s.facts
	if len(m.Kind) == 0 {
		return
	}
	m.Quiet = true
	s.put(0, &wire.Record{Body: &wire.Record_Facts{Facts: m}})
	clear(m.Failure)
	m.Kind, m.Job, m.Index, m.Attempt, m.Size, m.End = m.Kind[:0], m.Job[:0], m.Index[:0], m.Attempt[:0], m.Size[:0], m.End[:0]
	m.Inline, m.InlineEnd, m.Failure = m.Inline[:0], m.InlineEnd[:0], m.Failure[:0]
}

// logRows is how many runs one LogRecord has.
const logRows = 1 << 14

// log says in which order the tasks of a job had ended when the snapshot began.
func (s *snapshot) log(j *savedJob) bool {
	m := &wire.LogRecord{Job: uint32(j.id)}
	write := func() {
		if len(m.From) > 0 {
			s.put(0, &wire.Record{Body: &wire.Record_Log{Log: m}})
			m.From, m.Count = m.From[:0], m.Count[:0]
		}
	}
	for k := 0; k < j.log && !j.job.closed; k++ {
		i := j.ends.log.At(k)
		if last := len(m.From) - 1; last >= 0 && m.From[last]+m.Count[last] == i {
			m.Count[last]++
		} else {
			if len(m.From) == logRows {
				write()
			}
			m.From, m.Count = append(m.From, i), append(m.Count, 1)
		}
		if k%4 == 0 && !s.looked(1) {
			return false
		}
	}
	write()
	return true
}

func (s *snapshot) allNames() bool {
	for _, m := range s.names {
		s.put(0, &wire.Record{Body: &wire.Record_Publish{Publish: m}})
		if !s.looked(1) {
			return false
		}
	}
	return true
}

// allReleases says which tasks nobody holds any more, and what actors keep.
func (s *snapshot) allReleases() bool {
	for k := range s.jobs {
		j := &s.jobs[k]
		m := &wire.Release{Job: uint32(j.id)}
		for i := range j.tasks {
			t := s.l.core.Save(j.taskID(i), s.saved[:0])
			s.saved = t.Facts[:0]
			if !t.Held && !t.Fresh {
				if len(m.From) == logRows {
					s.put(0, &wire.Record{Body: &wire.Record_Release{Release: m}})
					m.From, m.Count = m.From[:0], m.Count[:0]
				}
				if last := len(m.From) - 1; last >= 0 && m.From[last]+m.Count[last] == i {
					m.Count[last]++
				} else {
					m.From, m.Count = append(m.From, i), append(m.Count, 1)
				}
			}
			if !s.looked(1) {
				return false
			}
		}
		if len(m.From) > 0 {
			s.put(0, &wire.Record{Body: &wire.Record_Release{Release: m}})
		}
		if !s.checkpoints(j.job) {
			return false
		}
	}
	return true
}

func (s *snapshot) checkpoints(j *job) bool {
	boxes := s.l.mail.boxes[j.id]
	for _, i := range slices.Sorted(maps.Keys(boxes)) {
		if b := boxes[i]; b != nil && b.checkpoint != nil {
			s.put(0, &wire.Record{Body: &wire.Record_Checkpoint{Checkpoint: &wire.CheckpointRecord{Job: uint32(j.id), Index: i, Data: b.checkpoint}}})
		}
		if !s.looked(1) {
			return false
		}
	}
	return true
}

func (s *snapshot) allClosed() bool {
	for k := range s.jobs {
		if j := &s.jobs[k]; j.closed {
			s.put(0, &wire.Record{Body: &wire.Record_CloseJob{CloseJob: &wire.CloseJob{Job: uint32(j.id)}}})
		}
	}
	return true
}
