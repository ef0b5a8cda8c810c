package server

import (
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

const (
	// A reply of a Watch is sent at the latest with so many rows or bytes.
	maxEndedRows  = 4096
	maxEndedBytes = 1 << 20
)

// watch streams a job's outcomes to a client: a cursor in the job's log. It takes
// rows when the client's outbox has room; until then the log keeps them, in four
// bytes each.
type watch struct {
	id      uint64 // of the request
	session *session
	job     *job
	next    int // position in the log
}

// requestWatch begins or stops a watch. The first reply comes at once, so that the
// client knows.
func (l *loop) requestWatch(s *session, id uint64, m *wire.Watch) error {
	if m.Stop != 0 {
		if w := s.watches[m.Stop]; w != nil {
			l.dropWatch(w)
		}
		return l.say(s.conn, &wire.Reply{Id: id})
	}
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	if s.watches[id] != nil {
		return wire.Errorf(wire.Invalid, "request %d is a watch already", id)
	}
	if len(s.watches) >= maxWatches {
		return wire.Errorf(wire.TooLarge, "%d watches in one session", maxWatches)
	}
	if int(m.From) > j.ends.log.Len() {
		return wire.Errorf(wire.Invalid, "watch from %d: only %d tasks of %s have ended", m.From, j.ends.log.Len(), j.title())
	}
	w := &watch{id: id, session: s, job: j, next: int(m.From)}
	s.watches[id] = w
	j.watches[w] = struct{}{}
	if w.next == j.ends.log.Len() {
		return l.say(s.conn, w.reply(&wire.Ended{Job: m.Job, Next: m.From}))
	}
	l.pump(w)
	return nil
}

func (w *watch) reply(m *wire.Ended) *wire.Reply {
	return &wire.Reply{Id: w.id, Body: &wire.Reply_Ended{Ended: m}}
}

// pump sends a watcher what is new, as long as there is room for it.
func (l *loop) pump(w *watch) {
	log := &w.job.ends.log
	for w.next < log.Len() && l.room(w.session.conn) {
		m := &wire.Ended{Job: uint32(w.job.id)}
		bytes := 0
		for w.next < log.Len() && m.Len()+len(m.Again) < maxEndedRows && bytes < maxEndedBytes {
			if o, a, _, ended := l.outcome(w.job, log.At(w.next)); ended {
				m.Add(&o, a)
				bytes += outcomeSize(&o)
			} else {
				m.Again = append(m.Again, log.At(w.next))
			}
			w.next++
		}
		m.Next = uint32(w.next)
		if l.say(w.session.conn, w.reply(m)) != nil {
			return // the reader notices
		}
	}
}

// outcomeSize is about what an outcome takes in a reply, bytes.
func outcomeSize(o *graph.Outcome) int {
	n := 16 + len(o.Inline)
	if o.Failure != nil {
		n += textSize(o.Failure)
	}
	return n
}

// endWatch ends a watch with an error that its client sees.
func (l *loop) endWatch(w *watch, err error) {
	l.dropWatch(w)
	l.say(w.session.conn, &wire.Reply{Id: w.id, Error: wire.AsError(err)}) //nolint:errcheck // the reader notices
}

func (l *loop) dropWatch(w *watch) {
	delete(w.session.watches, w.id)
	delete(w.job.watches, w)
}

// drained says that a connection's outbox, which had no room, is empty.
type drained struct{ conn *wire.Conn }

func (in drained) origin() *wire.Conn { return in.conn }

func (in drained) handle(l *loop) {
	if s := l.clients[in.conn]; s != nil {
		for _, w := range s.watches {
			l.pump(w)
		}
	}
}
