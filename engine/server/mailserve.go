package server

import (
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// This file is what the client within an actor asks for, and what it is told.

// within returns the actor whose attempt has s.
func (l *loop) within(s *session) (*nest, error) {
	n, ok := s.conn.(*nest)
	if ok {
		j := l.jobs[n.at.Task.Job]
		id, _ := j.chunkOf(n.at.Task.Index).spec(n.at.Task.Index)
		ok = j.classes[id].Actor
	}
	if !ok {
		return nil, wire.Errorf(wire.Refused, "only an actor may ask for this")
	}
	return n, nil
}

// requestServe begins the stream of an actor's calls, or goes on with it.
func (l *loop) requestServe(s *session, id uint64, m *wire.Serve) error {
	n, err := l.within(s)
	if err != nil {
		return err
	}
	b := l.mail.open(n.at.Task)
	if b.by != nil && b.by != s {
		return wire.Errorf(wire.Conflict, "actor %s has another client that answers its calls", b.task)
	}
	s.serves, b.by, b.serve, b.window, b.leaving = b, s, id, window(m.Window), false
	if n.at != b.at { // a new attempt, or one of an earlier scheduler's that lives on
		b.at, b.round, b.last = n.at, m.Round, max(b.last, m.Last)
		if b.runs = nil; m.Running != nil {
			b.runs = &running{m.Running.Session, m.Running.Request, m.RunningId}
		}
		b.over = m.Over
		l.learnBegun(b, m.Begun)
		l.refuseDoubts(b)
		l.fence(b)
	}
	l.sayDelivery(b, &wire.Delivery{Round: b.round, Begun: b.begun.Message()}) // each time: the last one may be lost
	b.told = b.told[:0]
	for _, g := range b.given { // of a connection that broke
		if g.gone {
			b.told = append(b.told, g.id)
		}
	}
	l.deliver(b, b.given)
	l.mail.touch(b)
	return nil
}

// learnBegun finds out since when it is known which of the actor's calls have begun: from the
// start, if this is its first attempt and its submission outlived a scheduler, so that no other actor can have had
// its name; from when an attempt on knows it that lived under an
// earlier scheduler, and tells what it knows; or since this scheduler began.
func (l *loop) learnBegun(b *box, m *wire.Begun) {
	const always = 1
	t := b.task
	era := l.jobs[t.Job].chunkOf(t.Index).era
	switch k := &b.begun; {
	case b.at.Attempt == graph.FirstAttempt(era)+1 && era < l.era:
		k.Since = always
	case k.Since == 0 && m.GetSince() != 0:
		k.Since = m.Since
	case k.Since == 0:
		k.Since = l.opts.Epoch
	}
	b.begun.Learn(m)
}

// fence has the attempt that serves wait until it is safe that those before it are over.
func (l *loop) fence(b *box) {
	at := b.at
	if b.unsafe = l.core.Fenced(b.task); !b.unsafe {
		return
	}
	l.then(func() {
		if b.at == at {
			b.unsafe = false
			l.mail.touch(b)
			l.turns.Due()
		}
	})
}

func window(n uint32) int { return int(min(max(n, 1), maxGiven)) }

// requestAnswer takes the answer to a call. It is acknowledged with what is said next.
func (l *loop) requestAnswer(s *session, id uint64, m *wire.Answer) error {
	b := s.serves
	if b == nil {
		return wire.Errorf(wire.Refused, "no calls were asked for: Serve comes first")
	}
	b.window = window(m.Window)
	b.acks = append(b.acks, id)
	if m.Round > b.round {
		b.round = m.Round
		b.back(m.Id)
	} else if m.Back { // repeated: they have gone back
	} else if n := b.answered(m.Id); n != nil && m.Interrupted {
		l.refuse(b, n, errDoubt)
	} else if n != nil {
		a := &wire.Answered{Result: m.Result, Failure: m.Failure}
		if a.Failure != nil {
			a.Result = nil
		}
		l.post(b, n, a)
	}
	if m.Last {
		b.back(0)
		b.over = true
		l.acknowledge(b)
		return nil
	}
	l.mail.touch(b)
	return nil
}

func (l *loop) acknowledge(b *box) {
	for _, id := range b.acks {
		l.say(b.by.conn, &wire.Reply{Id: id}) //nolint:errcheck // it is over then
	}
	b.acks = b.acks[:0]
}

// requestCheckpoint keeps what the actor's next attempt shall find, or returns it.
func (l *loop) requestCheckpoint(s *session, m *wire.Checkpoint, reply *wire.Reply) error {
	n, err := l.within(s)
	if err != nil {
		return err
	}
	answer := &wire.Checkpoint{}
	reply.Body = &wire.Reply_Checkpoint{Checkpoint: answer}
	if m.Read {
		if b := l.mail.find(n.at.Task); b != nil && b.checkpoint != nil {
			answer.Has, answer.Data = true, b.checkpoint
		}
		return nil
	}
	if len(m.Data) > wire.MaxCall {
		return wire.Errorf(wire.TooLarge, "a checkpoint of %d bytes: it may have %d; keep what is larger in files, and their names in the checkpoint", len(m.Data), wire.MaxCall)
	}
	if err := l.mayTake(0); err != nil {
		return err
	}
	t := n.at.Task
	l.recordOf(l.jobs[t.Job], 0, &wire.Record{Body: &wire.Record_Checkpoint{Checkpoint: &wire.CheckpointRecord{Job: uint32(t.Job), Index: t.Index, Data: m.Data}}})
	l.mail.open(t).checkpoint = append([]byte{}, m.Data...)
	return nil
}

// deliverAll gives actors what is there for them: it ends the turn.
func (l *loop) deliverAll() {
	for i := 0; i < len(l.mail.dirty); i++ {
		b := l.mail.dirty[i]
		b.dirty = false
		if b.by == nil || b.by.conn == nil || !b.by.conn.Room() || b.unsafe {
			continue
		}
		if !b.leaving && !b.over && l.mustLeave(b) {
			b.leaving = true
			l.sayDelivery(b, &wire.Delivery{Leave: true})
		}
		if b.leaving || b.over {
			l.deliver(b, nil)
			continue
		}
		l.deliver(b, b.take(b.window))
	}
	clear(l.mail.dirty)
	l.mail.dirty = l.mail.dirty[:0]
}

// deliver gives calls, and what else the actor is to be told.
func (l *loop) deliver(b *box, calls []*letter) {
	if len(calls)+len(b.told)+len(b.gone) > 0 {
		m := &wire.Delivery{Withdrawn: b.told, Gone: b.gone, Round: b.round}
		for _, n := range calls {
			m.Call = append(m.Call, &wire.Delivered{
				Id: n.id, Method: n.method, Payload: n.payload, Sent: n.sent, Idempotent: n.idempotent,
				From: &wire.Caller{Session: n.caller, Request: n.claim.request},
			})
		}
		l.sayDelivery(b, m)
		b.told, b.gone = nil, nil
	}
	if len(b.acks) >= manyAcks {
		l.acknowledge(b)
	}
}

func (l *loop) sayDelivery(b *box, m *wire.Delivery) {
	l.acknowledge(b)
	l.say(b.by.conn, &wire.Reply{Id: b.serve, Body: &wire.Reply_Delivery{Delivery: m}}) //nolint:errcheck // it is over then
}

// mustLeave reports whether an actor is on a worker that is to go.
func (l *loop) mustLeave(b *box) bool {
	n, ok := b.by.conn.(*nest)
	if !ok {
		return false
	}
	info, ok := l.core.Worker(n.w.id)
	return ok && info.Phase != "working"
}

// retireBy has workers leave, and the actors on them move.
func (l *loop) retireBy(ev sched.Retire) {
	l.step(ev)
	for _, boxes := range l.mail.boxes {
		for _, b := range boxes {
			if b.by != nil && !b.leaving {
				l.mail.touch(b)
			}
		}
	}
}
