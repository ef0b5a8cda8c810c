package server

import (
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// box binds an actor's mailbox to sessions: those of whoever calls, and the one of the
// client within the actor's attempt, which answers.
type box struct {
	*mailbox
	task    graph.TaskID
	by      *session // that answers; nil: no attempt does just now
	serve   uint64   // its Serve, to which calls are replies
	window  int
	gone    []*wire.Caller    // calls that an earlier scheduler has given, for which nobody waits
	told    []uint64          // given calls for which nobody waits, of which it is not told
	acks    []uint64          // its Answers that are not acknowledged
	at      sched.TaskAttempt // that has served last
	round   uint32            // of its Answers
	leaving bool              // it was told to leave its worker
	over    bool              // it takes no more calls
	dirty   bool              // in mail.dirty
	// unsafe says that the journal may not have yet that the attempts before at are over. It gets no calls:
	// the next scheduler might have one of those go on, whose state knows nothing of them.
	unsafe bool
}

// mail has the boxes of all actors that have something in theirs.
type mail struct {
	boxes map[graph.JobID]map[uint32]*box
	dirty []*box // of this turn: with something for their actors
}

// keptAnswers bounds the answers that are kept for a client while it is away, in bytes.
const keptAnswers = 16 << 20

// manyAcks is how many answers may be without an acknowledgement.
const manyAcks = 32

func (m *mail) find(t graph.TaskID) *box { return m.boxes[t.Job][t.Index] }

func (m *mail) open(t graph.TaskID) *box {
	b := m.find(t)
	if b == nil {
		if m.boxes[t.Job] == nil {
			m.boxes[t.Job] = map[uint32]*box{}
		}
		b = &box{mailbox: newMailbox(), task: t}
		m.boxes[t.Job][t.Index] = b
	}
	return b
}

func (m *mail) drop(b *box) {
	delete(m.boxes[b.task.Job], b.task.Index)
	if len(m.boxes[b.task.Job]) == 0 {
		delete(m.boxes, b.task.Job)
	}
}

// touch has a box looked at when the turn ends.
func (m *mail) touch(b *box) {
	if !b.dirty {
		b.dirty = true
		m.dirty = append(m.dirty, b)
	}
}

// requestCall takes a call, which is answered later.
func (l *loop) requestCall(s *session, id uint64, c *wire.Call, reply *wire.Reply) (answered bool, err error) {
	again := id <= s.lastCall
	s.lastCall = max(s.lastCall, id)
	t := graph.TaskID{Job: graph.JobID(c.Job), Index: c.Index}
	if b := l.mail.find(t); b != nil && again {
		if n := b.of(s.id, id); n != nil {
			if n.answer != nil {
				l.post(b, n, n.answer)
			}
			return true, nil
		}
	}
	n := &letter{claim: claim{s.id, id}, method: c.Method, payload: c.Payload, idempotent: c.Idempotent, caller: s.caller()}
	if c.Sent != 0 && c.Sent < l.opts.Epoch {
		n.sent = c.Sent
	} else if again { // its answer may not have been heard
		n.sent = l.opts.Epoch
	}
	unknown := wire.Errorf(wire.Interrupted, "%s.%s of actor %s: the connection broke when it was answered, so it is not known what came of it", c.Actor, c.Method, t)
	end, err := l.mayCall(s, t, c.Actor)
	b := l.mail.find(t)
	if n.inDoubt() && (err != nil || end != nil || b != nil && b.by != nil && n.sent < b.begun.Since) {
		return false, unknown
	}
	if err == nil && end == nil && !n.inDoubt() { // what is was taken once
		err = l.mayTake(0)
	}
	if err != nil {
		return false, err
	}
	if end != nil {
		reply.Body = &wire.Reply_Answered{Answered: end}
		return false, nil
	}
	b = l.mail.open(t)
	if err := b.add(n); err != nil {
		l.tidy(b)
		if n.inDoubt() {
			err = unknown // it must not be called again
		}
		return false, err
	}
	if s.calls == nil {
		s.calls = map[*box]int{}
	}
	s.calls[b]++
	l.callers[s.id] = s
	l.mail.touch(b)
	return true, nil
}

// mayCall objects to a call of what is no actor of that kind, and returns the actor's end
// when it has ended.
func (l *loop) mayCall(s *session, t graph.TaskID, actor string) (end *wire.Answered, err error) {
	j, err := l.find(uint32(t.Job))
	if err != nil {
		return nil, err
	}
	if t.Index >= j.tasks {
		return nil, wire.Errorf(wire.NotFound, "%s has no task %d", j.title(), t.Index)
	}
	id, _ := j.chunkOf(t.Index).spec(t.Index)
	switch class := &j.classes[id]; {
	case !class.Actor:
		return nil, wire.Errorf(wire.Mismatch, "task %s (%s) is not an actor: it takes no calls", t, class.Name)
	case class.Name != actor:
		return nil, wire.Errorf(wire.Mismatch, "task %s is an actor %s, not %s", t, class.Name, actor)
	}
	if n, ok := s.conn.(*nest); ok && n.at.Task == t {
		return nil, wire.Errorf(wire.Deadlock, "actor %s (%s) calls itself, and would wait for its own end: call the function that the method is of", actor, t)
	}
	return l.endOf(j, t), nil
}

// endOf returns how an actor has ended, nil if it has not.
func (l *loop) endOf(j *job, t graph.TaskID) *wire.Answered {
	f := &graph.Failure{Kind: graph.FailCancelled, Task: t, Message: "it was stopped, or its job was closed"}
	if info, ok := l.core.Task(t); ok && !j.closed {
		r := j.ends.at(t.Index)
		switch {
		case info.State.Active():
			return nil
		case info.State == sched.StateReleased, info.State == sched.StateForgotten: // nobody wants it any more
		case r == nil || r.kind == notEnded:
			return nil // it is recorded when this turn ends
		case r.kind != graph.FailNone:
			f = l.failure(j, t.Index)
		}
	}
	return &wire.Answered{Ended: true, Failure: wire.FailureToWire(t, f.Attempt, f)}
}

// requestWithdraw takes a call back.
func (l *loop) requestWithdraw(s *session, m *wire.Withdraw) {
	t := graph.TaskID{Job: graph.JobID(m.Job), Index: m.Index}
	b := l.mail.find(t)
	if b != nil {
		if n := b.of(s.id, m.Request); n != nil {
			l.withdraw(b, n)
			l.settled(s, b, n)
			return
		}
	}
	if m.Sent == 0 || m.Sent >= l.opts.Epoch || b == nil && !l.isActor(t) {
		return
	}
	l.goneCall(l.mail.open(t), s, m.Request)
}

// isActor reports whether a task is an actor that has not ended.
func (l *loop) isActor(t graph.TaskID) bool {
	j := l.jobs[t.Job]
	if j == nil || t.Index >= j.tasks {
		return false
	}
	id, _ := j.chunkOf(t.Index).spec(t.Index)
	return j.classes[id].Actor && l.endOf(j, t) == nil
}

// goneCall has an actor told, when it serves, that nobody waits for a call that an earlier scheduler
// may have given it.
func (l *loop) goneCall(b *box, s *session, request uint64) {
	if len(b.gone) < maxGone {
		b.gone = append(b.gone, &wire.Caller{Session: s.caller(), Request: request})
		l.mail.touch(b)
	}
}

// maxGone is how many calls of an earlier scheduler's an actor is told of that were taken back.
const maxGone = 1000

func (l *loop) withdraw(b *box, n *letter) {
	if b.withdraw(n) {
		b.told = append(b.told, n.id)
		l.mail.touch(b)
	} else if s := l.callers[n.claim.client]; n.sent != 0 && n.answer == nil && s != nil {
		l.goneCall(b, s, n.claim.request)
	}
}

// settled forgets a call of s, of which all is said.
func (l *loop) settled(s *session, b *box, n *letter) {
	if n.answer != nil {
		s.kept -= answerSize(n.answer)
	}
	b.forget(n)
	if s.calls[b]--; s.calls[b] == 0 {
		delete(s.calls, b)
	}
	if len(s.calls) == 0 {
		delete(l.callers, s.id)
	}
	l.tidy(b)
}

// tidy drops a box with nothing in it.
func (l *loop) tidy(b *box) {
	if b.by == nil && len(b.gone) == 0 && b.idle() && b.begun.Empty() {
		l.mail.drop(b)
	}
}

// post tells a client what came of its call. One that is away is told when it asks again.
func (l *loop) post(b *box, n *letter, a *wire.Answered) {
	s := l.callers[n.claim.client]
	if n.gone || s == nil {
		return
	}
	if size := answerSize(a); s.conn == nil && s.kept+size <= keptAnswers {
		s.kept += size
		b.keep(n, a)
		return
	}
	if s.conn != nil {
		l.say(s.conn, &wire.Reply{Id: n.claim.request, Body: &wire.Reply_Answered{Answered: a}}) //nolint:errcheck // the reader notices
	}
	l.settled(s, b, n)
}

// leaveMail is the end of a session: it waits for nothing any more, and answers nothing.
func (l *loop) leaveMail(s *session) {
	for b := range s.calls {
		given, before := b.leave(s.id)
		if len(given) > 0 {
			b.told = append(b.told, given...)
			l.mail.touch(b)
		}
		for _, n := range before {
			l.goneCall(b, s, n.claim.request)
		}
		l.tidy(b)
	}
	s.calls = nil
	delete(l.callers, s.id)
	if b := s.serves; b != nil {
		s.serves, b.by, b.told, b.acks, b.gone = nil, nil, nil, nil, nil
		l.cutOff(b)
	}
}

var errDoubt = wire.Errorf(wire.Interrupted, "the call was under way when the scheduler was replaced, so that it may have had its effects; the actor that knows is gone")

// refuseDoubts refuses calls in doubt that the actor which serves now knows nothing of.
func (l *loop) refuseDoubts(b *box) {
	for _, n := range b.refused(b.begun.Since) {
		l.refuse(b, n, errDoubt)
	}
}

// cutOff is the end of an attempt, as far as calls are concerned.
func (l *loop) cutOff(b *box) {
	why := wire.Errorf(wire.Interrupted, "the actor's attempt ended while the call was under way, so that it may have had its effects; the actor goes on with another attempt, if it may")
	for _, n := range b.lose() {
		l.refuse(b, n, why)
	}
	l.lookAtEnd(b)
	l.tidy(b)
}

// refuse answers a call with an error. A client that is away asks again, and is told then.
func (l *loop) refuse(b *box, n *letter, err *wire.Error) {
	s := l.callers[n.claim.client]
	if n.gone || s == nil {
		return
	}
	if s.conn != nil {
		l.say(s.conn, &wire.Reply{Id: n.claim.request, Error: err}) //nolint:errcheck // the reader notices
	}
	l.settled(s, b, n)
}

// lookAtEnd ends the box of an actor that has ended.
func (l *loop) lookAtEnd(b *box) {
	j := l.jobs[b.task.Job]
	end := &wire.Answered{Ended: true}
	if j != nil {
		if end = l.endOf(j, b.task); end == nil {
			return
		}
	}
	for _, n := range b.end() {
		if n.inDoubt() {
			l.refuse(b, n, errDoubt)
		} else {
			l.post(b, n, end)
		}
	}
	if b.checkpoint, b.gone = nil, nil; j == nil || !l.core.Held(b.task) { // nobody can retry it
		b.begun = wire.Calls{}
	}
	l.tidy(b)
}

// mailOf looks at the box of a task that may have ended.
func (l *loop) mailOf(t graph.TaskID) {
	if b := l.mail.find(t); b != nil {
		l.lookAtEnd(b)
	}
}

// mailOfJob looks at all boxes of a job.
func (l *loop) mailOfJob(id graph.JobID) {
	for _, b := range l.mail.boxes[id] {
		l.lookAtEnd(b)
	}
}
