package server

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// A snapshot says in records of the same kinds what a scheduler must know that takes over, as
// if all that is left had just happened: tasks are submitted, then end, then are let go of.
// What nobody needs any more is not in it, so that the journal's size follows what there is
// to do.
type snapshot struct {
	l     *loop
	emit  func([]byte)
	buf   []byte
	facts wire.Facts
	saved []sched.Fact
	hosts []string
}

// snapshotWhen has the state written anew when the journal has grown by twice its size.
func (l *loop) snapshotWhen() {
	g := l.ledger
	if g == nil || l.back.on || g.journal.Grown() < max(l.opts.JournalGrowth, 2*g.journal.Size()) {
		return
	}
	began, bytes := time.Now(), 0
	ok := g.journal.Snapshot(func(emit func([]byte)) {
		s := &snapshot{l: l, hosts: l.core.HostNames(), emit: func(rec []byte) {
			bytes += len(rec)
			emit(rec)
		}}
		s.all()
	})
	if ok {
		l.log.Info("the state is written anew", "bytes", bytes, "took", time.Since(began))
	}
}

func (s *snapshot) put(client graph.ClientID, r *wire.Record) {
	r.AtMs, r.Client = s.l.now.UnixMilli(), uint32(client)
	b, err := proto.MarshalOptions{}.MarshalAppend(s.buf[:0], r)
	if err != nil {
		panic("server: a record cannot be encoded: " + err.Error())
	}
	s.emit(b)
	s.buf = b
}

// all emits everything.
func (s *snapshot) all() {
	l := s.l
	s.put(0, &wire.Record{Body: &wire.Record_Counters{Counters: &wire.CountersRecord{Job: uint32(l.lastJob), Client: uint32(l.lastClient)}}})
	for _, c := range slices.SortedFunc(maps.Values(l.sessions), func(a, b *session) int { return cmp.Compare(a.id, b.id) }) {
		s.session(c)
	}
	for _, name := range slices.Sorted(maps.Keys(l.workerNames)) {
		if l.workerNames[name].settled {
			s.put(0, &wire.Record{Body: &wire.Record_Member{Member: &wire.MemberRecord{Name: name}}})
		}
	}
	jobs := slices.SortedFunc(maps.Values(l.jobs), func(a, b *job) int { return cmp.Compare(a.id, b.id) })
	jobs = slices.DeleteFunc(jobs, func(j *job) bool { return j.quiet })
	for _, j := range jobs {
		s.job(j)
	}
	s.chunks(jobs)
	for _, j := range jobs {
		s.ends(j)
	}
	for _, name := range slices.Sorted(maps.Keys(l.names)) {
		p := l.names[name]
		s.put(0, &wire.Record{Body: &wire.Record_Publish{Publish: &wire.Publish{Name: name, Job: uint32(p.task.Job), Index: p.task.Index, Type: p.typ}}})
	}
	for _, j := range jobs {
		s.releases(j)
		s.checkpoints(j)
	}
	for _, j := range jobs {
		if j.closed || j.detached {
			s.put(0, &wire.Record{Body: &wire.Record_CloseJob{CloseJob: &wire.CloseJob{Job: uint32(j.id)}}})
		}
	}
}

func (s *snapshot) session(c *session) {
	if c.nested {
		return
	}
	s.put(c.id, &wire.Record{Body: &wire.Record_Session{Session: &wire.SessionRecord{Token: c.token, User: c.user, Host: c.host}}})
	for _, r := range c.retried {
		s.put(c.id, &wire.Record{Body: &wire.Record_Retried{Retried: &wire.RetriedRecord{Request: r.Id, Retried: r.GetRetried()}}})
	}
}

// job emits a job without its tasks. A closed one has no name and no session any more: that
// it had one is of no use.
func (s *snapshot) job(j *job) {
	m := &wire.JobRecord{Job: uint32(j.id), Name: j.name, Owner: j.owner, OpenedMs: j.opened.UnixMilli(), Orphan: s.l.jobNames[j.name] != j && j.holder == nil}
	client := graph.ClientID(0)
	if j.holder != nil {
		client = j.holder.id
	}
	s.put(client, &wire.Record{Body: &wire.Record_Job{Job: m}})
	if len(j.classes) == 0 {
		return
	}
	classes := &wire.Classes{Job: uint32(j.id)}
	for id := range j.classes {
		classes.Class = append(classes.Class, wire.ClassToWire(graph.ClassID(id), &j.classes[id]))
	}
	s.put(0, &wire.Record{Body: &wire.Record_Classes{Classes: classes}})
}

// chunks emits all submissions in the order in which they came: so what tasks depend on is
// there, in whatever job it is.
func (s *snapshot) chunks(jobs []*job) {
	type place struct {
		j *job
		c *chunk
	}
	var all []place
	for _, j := range jobs {
		for k := range j.chunks {
			all = append(all, place{j, &j.chunks[k]})
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.c.seq, b.c.seq) })
	era := uint32(0)
	for _, p := range all {
		if p.c.era != era {
			era = p.c.era
			s.began(era)
		}
		if p.c.ranged {
			s.put(p.c.by, &wire.Record{Body: &wire.Record_SubmitRange{SubmitRange: &wire.SubmitRange{
				Job: uint32(p.j.id), First: p.c.first, Count: p.c.n, Class: uint32(p.c.classes[0].class), Payload: p.c.payload, Base: p.c.base,
			}}})
			continue
		}
		s.put(p.c.by, &wire.Record{Body: &wire.Record_Submit{Submit: s.submit(p.j, p.c)}})
	}
	if era != s.l.era {
		s.began(s.l.era)
	}
}

// began emits that a scheduler of another generation took what follows.
func (s *snapshot) began(era uint32) {
	s.l.addFact(&s.facts, &sched.Fact{Kind: sched.FactBegan, Attempt: graph.FirstAttempt(era)})
	s.facts.End = append(s.facts.End, 0)
	s.flush()
}

// submit makes a batch of a chunk's tasks. Those that do not need their inputs any more have
// none.
func (s *snapshot) submit(j *job, c *chunk) *wire.Submit {
	core := s.l.core
	b := &graph.Batch{Job: j.id, First: c.first, Class: make([]graph.ClassID, 0, c.n), Payload: c.payload, PayEnd: c.payEnd}
	hosts := map[uint32]uint32{}
	loose := make([]byte, (c.n+7)/8)
	for i := range c.n {
		id := j.taskID(c.first + i)
		t := core.Save(id, s.saved[:0])
		b.Class = append(b.Class, c.class(i))
		if t.Needs {
			b.Deps = core.Inputs(b.Deps, id)
			for _, h := range core.Hosts(id) {
				at, ok := hosts[h]
				if !ok {
					at = uint32(len(b.HostNames))
					hosts[h] = at
					b.HostNames = append(b.HostNames, s.hosts[h])
				}
				b.Hosts = append(b.Hosts, at)
			}
		}
		b.DepEnd, b.HostEnd = append(b.DepEnd, uint32(len(b.Deps))), append(b.HostEnd, uint32(len(b.Hosts)))
		if t.Fresh {
			loose[i/8] |= 1 << (i % 8)
			b.Loose = loose
		}
	}
	if len(b.Deps) == 0 {
		b.DepEnd = nil
	}
	if len(b.Hosts) == 0 {
		b.HostEnd = nil
	}
	return wire.BatchToWire(b)
}

// ends emits how a job's tasks have ended, and in which order.
func (s *snapshot) ends(j *job) {
	for i := range j.tasks {
		id := j.taskID(i)
		t := s.l.core.Save(id, s.saved[:0])
		s.saved = t.Facts[:0]
		switch {
		case t.Row:
			s.end(j, i, t.Facts)
		case len(t.Facts) > 0:
			s.cancelled(j, i)
		}
		if factSize(&s.facts) > factBytes/16 {
			s.flush()
		}
	}
	s.flush()
	if !j.closed {
		s.log(j)
	}
}

// end emits what is known of one task: what clients were told, as its row has it, and what
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

// cancelled emits that a task of a range was cancelled before anything else was known of it.
func (s *snapshot) cancelled(j *job, i uint32) {
	m := &s.facts
	when := j.ends.at(i).when.end
	if k := len(m.Kind) - 1; k >= 0 && sched.FactKind(m.Kind[k]&factKind) == sched.FactCancelled &&
		m.Job[k] == uint32(j.id) && m.Index[k]+uint32(m.Size[k]) == i && m.End[k] == when {
		m.Size[k]++
		return
	}
	s.l.addFact(m, &sched.Fact{Kind: sched.FactCancelled, Task: j.taskID(i), N: 1, Told: true})
	m.End = append(m.End, when)
}

func (s *snapshot) flush() {
	if len(s.facts.Kind) > 0 {
		s.facts.Quiet = true
		s.put(0, &wire.Record{Body: &wire.Record_Facts{Facts: &s.facts}})
		s.facts = wire.Facts{}
	}
}

// logRows is how many runs one LogRecord has.
const logRows = 1 << 16

func (s *snapshot) log(j *job) {
	m := &wire.LogRecord{Job: uint32(j.id)}
	for k := range j.ends.log.Len() {
		i := j.ends.log.At(k)
		if last := len(m.From) - 1; last >= 0 && m.From[last]+m.Count[last] == i {
			m.Count[last]++
			continue
		}
		if len(m.From) == logRows {
			s.put(0, &wire.Record{Body: &wire.Record_Log{Log: m}})
			m = &wire.LogRecord{Job: uint32(j.id)}
		}
		m.From, m.Count = append(m.From, i), append(m.Count, 1)
	}
	if len(m.From) > 0 {
		s.put(0, &wire.Record{Body: &wire.Record_Log{Log: m}})
	}
}

// releases emits which tasks nobody holds any more.
func (s *snapshot) releases(j *job) {
	m := &wire.Release{Job: uint32(j.id)}
	for i := range j.tasks {
		t := s.l.core.Save(j.taskID(i), s.saved[:0])
		if t.Held || t.Fresh {
			continue
		}
		if last := len(m.From) - 1; last >= 0 && m.From[last]+m.Count[last] == i {
			m.Count[last]++
		} else {
			m.From, m.Count = append(m.From, i), append(m.Count, 1)
		}
	}
	if len(m.From) > 0 {
		s.put(0, &wire.Record{Body: &wire.Record_Release{Release: m}})
	}
}

func (s *snapshot) checkpoints(j *job) {
	boxes := s.l.mail.boxes[j.id]
	for _, i := range slices.Sorted(maps.Keys(boxes)) {
		if data := boxes[i].checkpoint; data != nil {
			s.put(0, &wire.Record{Body: &wire.Record_Checkpoint{Checkpoint: &wire.CheckpointRecord{Job: uint32(j.id), Index: i, Data: data}}})
		}
	}
}
