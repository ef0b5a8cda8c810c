package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// session is a client's, from its first connection until it says Bye or stays away
// for Options.Session.
type session struct {
	id         graph.ClientID
	token      string // by which it is resumed: a secret between this client and us
	user, host string
	conn       link      // nil while it is away
	nested     bool      // of a client within a task: it ends with the attempt (nest.go)
	expires    time.Time // while it is away
	jobs       map[graph.JobID]*job
	watches    map[uint64]*watch // by request id; they end with the connection
	retried    []*wire.Reply     // the last answers to a Retry: see loop.retryAgain
	removed    []uint64          // its last requests that took names back (names.go)

	// Of jobs that are not its own (keep.go):
	uses    map[graph.JobID]bool
	carries bool // it may use more: the scheduler before this one knew
	latest  *job // the last that it was found to use; nil: it may be any

	// Of calls of actors (mail.go):
	hash     uint64       // of token, once it was asked for: see caller
	calls    map[*box]int // how many it waits for, by actor
	lastCall uint64       // the highest request id of one
	kept     int          // bytes of answers that are kept for it while it is away
	serves   *box         // of the actor that it is within, since it asked for calls
}

// link is a session's connection.
type link interface {
	Put(wire.Kind, proto.Message) error
	Depart()
	Room() bool
	Close() error
}

func newSession(id graph.ClientID, user string) *session {
	return &session{id: id, token: rand.Text(), user: user, jobs: map[graph.JobID]*job{}}
}

// caller names the session to actors, for as long as it lives, under whatever scheduler.
func (s *session) caller() uint64 {
	if s.hash == 0 {
		sum := sha256.Sum256([]byte("caller " + s.token))
		s.hash = max(1, binary.LittleEndian.Uint64(sum[:]))
	}
	return s.hash
}

// sessionOpened is a client's Hello. The answer is pushed on the connection; opened
// yields the session.
type sessionOpened struct {
	conn   *wire.Conn
	hello  *wire.ClientHello
	user   string
	opened chan<- *session // capacity 1
}

const (
	maxSessions = 10_000 // of all clients, those away included
	maxWatches  = 10_000 // of one session
)

func (in sessionOpened) origin() *wire.Conn { return in.conn }

func (in sessionOpened) handle(l *loop) {
	s := l.sessions[in.hello.Session]
	if s != nil && s.user == in.user {
		l.detach(s) // the old connection may not know yet that it is broken
		l.log.Info("client is back", "client", s.id, "user", s.user, "jobs", len(s.jobs))
	} else {
		if len(l.sessions) >= maxSessions {
			// Refuse waits for the answer to be written: not here.
			go in.conn.Refuse(wire.Errorf(wire.Unavailable, "the scheduler has %d clients: try again later", maxSessions))
			return
		}
		l.lastClient++
		s = newSession(l.lastClient, in.user)
		l.sessions[s.token] = s
		l.record(s.id, &wire.Record{Body: &wire.Record_Session{Session: &wire.SessionRecord{Token: s.token, User: s.user, Host: in.hello.Host}}})
		l.log.Info("client connected", "client", s.id, "user", in.user, "host", in.hello.Host)
	}
	s.host, s.conn, s.watches = in.hello.Host, in.conn, map[uint64]*watch{}
	l.clients[in.conn] = s
	l.then(func() { // a session that is known to somebody is known for ever
		in.conn.Welcome(&wire.Welcome{ //nolint:errcheck // the reader notices
			Build: l.opts.Version, Epoch: l.opts.Epoch, Id: uint32(s.id), Session: s.token, Bundle: bundleBytes(l.opts.Bundle),
		})
		in.opened <- s
	})
}

// clientGone is the end of a client's connection.
type clientGone struct {
	conn *wire.Conn
	bye  bool // it said so: the session ends with it
	why  string
}

func (in clientGone) origin() *wire.Conn { return nil }

func (in clientGone) handle(l *loop) {
	s := l.clients[in.conn]
	if s == nil {
		return // the session goes on with a newer connection
	}
	l.log.Info("client disconnected", "client", s.id, "user", s.user, "bye", in.bye, "why", in.why)
	l.detach(s)
	if in.bye {
		l.endSession(s, "its client said goodbye")
	}
}

// detach takes the connection away from a session.
func (l *loop) detach(s *session) {
	if s.conn == nil {
		return
	}
	for _, w := range s.watches {
		delete(w.job.watches, w)
	}
	delete(l.clients, s.conn)
	l.owing.forget(s.conn)
	s.conn.Close()
	s.conn, s.watches = nil, nil
	s.expires = l.now.Add(l.opts.Session)
}

// endSession ends a session without a connection, and its unnamed jobs.
func (l *loop) endSession(s *session, why string) {
	delete(l.sessions, s.token)
	l.leaveGates(s)
	l.leaveMail(s)
	for _, j := range s.jobs {
		l.closeJob(j, why)
	}
	if s.nested {
		return
	}
	l.record(s.id, &wire.Record{Body: &wire.Record_SessionEnded{SessionEnded: true}}) // behind its jobs
	l.log.Info("session ended", "client", s.id, "user", s.user, "why", why)
}
