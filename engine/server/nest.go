package server

import (
	"cmp"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// A nest is the client within a task: its session, over a stream that the attempt's worker
// relays (wire.Nested). It is taken only while the attempt lives on that worker, has the
// rights of the job's owner as far as may says, and ends with the attempt: its unnamed
// job is closed then.
//
//	worker.nests ──Hello──► session ──attempt ends, however──► ended
//	      ▲────────────────── a new stream resumes it
//
// It is the loop's, like a session's connection, and never blocks: what cannot be sent
// waits in out, and requests are not looked at while that is full.
type nest struct {
	l      *loop
	w      *worker
	at     sched.TaskAttempt
	stream uint32
	s      *session             // nil before its Hello
	own    map[graph.JobID]bool // jobs that it has opened
	// carries says that it was there before this scheduler took over, as far as is known (keep.go).
	carries bool

	in     []byte // of a frame that is not complete, or cannot be handled yet
	fresh  int    // bytes of it that were not said to be taken
	owed   int    // bytes that were taken and are not said to be
	out    []byte // frames
	flying int    // bytes that were sent and not taken
	over   bool
}

const (
	// nestOutbox is where a nest's outbox is full, and nestOverflow where it is given up,
	// in bytes.
	nestOutbox   = 1 << 20
	nestOverflow = 32 * nestOutbox
	// maxNests is how many a worker may have.
	maxNests = 4096
)

// nested takes a piece that a worker relays.
func (l *loop) nested(w *worker, m *wire.Nested) {
	task, attempt := m.At()
	at := sched.TaskAttempt{Task: task, Attempt: attempt}
	n := w.nests[at]
	if n != nil && m.Stream < n.stream {
		return // of a connection that was given up
	}
	if n == nil || m.Stream > n.stream {
		if m.End != "" {
			return
		}
		if n = l.beginNest(w, at, m.Stream, n); n == nil {
			return
		}
	}
	done := false
	defer func() {
		if !done { // it panics, which the worker is not to blame for
			l.endNest(n, wire.Errorf(wire.Internal, "the scheduler failed while handling a message of a task's client"))
		}
	}()
	n.take(m)
	done = true
}

// beginNest begins a stream, if its attempt lives. old is the one before.
func (l *loop) beginNest(w *worker, at sched.TaskAttempt, stream uint32, old *nest) *nest {
	n := &nest{l: l, w: w, at: at, stream: stream, own: map[graph.JobID]bool{}, carries: l.back.on || old != nil && old.carries}
	switch {
	case !l.core.Lives(w.id, at):
		n.say(&wire.Nested{End: "the attempt of its task has ended", Code: uint32(wire.Refused)})
		return nil
	case old == nil && len(w.nests) >= maxNests:
		n.say(&wire.Nested{End: "too many tasks of its worker have clients", Code: uint32(wire.TooLarge)})
		return nil
	}
	if old != nil {
		old.over = true
		if n.s, n.own = old.s, old.own; n.s != nil {
			l.detach(n.s)
		}
	}
	if w.nests == nil {
		w.nests = map[sched.TaskAttempt]*nest{}
	}
	w.nests[at] = n
	return n
}

// take handles a piece.
func (n *nest) take(m *wire.Nested) {
	n.flying = max(0, n.flying-int(m.Ack))
	if n.fresh += len(m.Data); n.fresh > wire.NestedWindow {
		n.l.endNest(n, wire.Errorf(wire.Invalid, "the task's client sent more than it may"))
		return
	}
	n.in = append(n.in, m.Data...)
	if m.End != "" {
		n.l.endNest(n, wire.Errorf(wire.Unavailable, "%s", m.End))
		return
	}
	n.flush()
	if s := n.s; s != nil && s.conn != nil && n.Room() {
		for _, w := range s.watches {
			n.l.pump(w)
		}
		if s.serves != nil {
			n.l.mail.touch(s.serves)
		}
	}
	n.handleAll()
	n.flush()
}

// handleAll handles the frames that are there, as long as there is room for replies.
func (n *nest) handleAll() {
	for !n.over && n.Room() {
		k, body, rest, ok, err := wire.Cut(n.in, wire.MaxNestedFrame)
		if !ok && err == nil {
			n.owed, n.fresh = n.owed+n.fresh, 0
			return
		}
		if err == nil {
			err = n.frame(k, body)
		}
		if err != nil {
			n.l.endNest(n, wire.Errorf(wire.Invalid, "a task's client: %v", err))
			return
		}
		if n.in = rest; len(rest) == 0 {
			n.in = nil
		}
	}
}

// frame handles one frame.
func (n *nest) frame(k wire.Kind, body []byte) error {
	if !k.From(wire.SideClient) {
		return &wire.ProtocolError{Kind: k, What: "a client may not send it"}
	}
	m, err := wire.Unmarshal(k, body)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.Hello:
		return n.hello(m)
	case *wire.Request:
		if n.s == nil || n.s.conn == nil {
			return &wire.ProtocolError{Kind: k, What: "before Hello"}
		}
		n.request(m)
	case *wire.Bye:
		n.l.endNest(n, wire.Errorf(wire.Unavailable, "the client said goodbye"))
	}
	return nil
}

// request does what the client asks for, if it may.
func (n *nest) request(m *wire.Request) {
	in := request{conn: n, req: m}
	err := n.may(m)
	if err == nil {
		err = in.prepare()
	}
	if err != nil {
		n.Put(wire.KindReply, &wire.Reply{Id: m.Id, Error: wire.AsError(err)}) //nolint:errcheck // it is over then
		return
	}
	in.handle(n.l)
}

// hello begins the session, or goes on with it.
func (n *nest) hello(m *wire.Hello) error {
	h, l := m.GetClient(), n.l
	j := l.jobs[n.at.Task.Job]
	switch {
	case h == nil || j == nil || n.s != nil && n.s.conn != nil:
		return &wire.ProtocolError{Kind: wire.KindHello, What: "not of a client, or the second one"}
	case m.ProtocolMin > wire.Version || m.Protocol < wire.Version:
		n.Put(wire.KindWelcome, &wire.Welcome{ //nolint:errcheck // it is over then
			Protocol: wire.Version, Code: uint32(wire.Mismatch),
			Refused: "this scheduler speaks another protocol: use the same version of yarnd on both sides",
		})
		return nil
	}
	if s := n.s; s != nil && s.token != h.Session {
		l.endSession(s, "its task has another client")
		n.s = nil
	}
	if n.s == nil {
		l.lastClient++
		l.reserve()
		n.s = newSession(l.lastClient, j.owner)
		n.s.nested = true
	}
	n.s.host, n.s.conn, n.s.watches = n.w.hello.Host, n, map[uint64]*watch{}
	l.clients[n] = n.s
	id, _ := j.chunkOf(n.at.Task.Index).spec(n.at.Task.Index)
	n.Put(wire.KindWelcome, &wire.Welcome{ //nolint:errcheck // it is over then
		Protocol: wire.Version, Build: l.opts.Version, Epoch: l.opts.Epoch, Id: uint32(n.s.id), Session: n.s.token,
		Bundle: bundleBytes(j.classes[id].Bundle), MaxFrame: wire.MaxNestedFrame,
	})
	return nil
}

// may objects to what a client within a task may not ask for.
func (n *nest) may(m *wire.Request) error {
	of := uint32(0)
	switch b := m.Body.(type) {
	case *wire.Request_OpenJob:
		if b.OpenJob.Id != 0 {
			of = b.OpenJob.Id
		}
	case *wire.Request_Classes:
		of = b.Classes.Job
	case *wire.Request_Submit:
		of = b.Submit.Job
	case *wire.Request_SubmitRange:
		of = b.SubmitRange.Job
	case *wire.Request_Release:
		of = b.Release.Job
	case *wire.Request_Cancel:
		of = b.Cancel.Job
	case *wire.Request_Retry:
		of = b.Retry.Job
	case *wire.Request_CloseJob:
		of = b.CloseJob.Job
	case *wire.Request_Watch, *wire.Request_Locate, *wire.Request_ResultLost, *wire.Request_Gate,
		*wire.Request_Call, *wire.Request_Withdraw, *wire.Request_Serve, *wire.Request_Answer, *wire.Request_Checkpoint,
		*wire.Request_Publish, *wire.Request_Lookup, *wire.Request_ListNames, *wire.Request_ListWorkers:
	default:
		return wire.Errorf(wire.Refused, "a client within a task may not ask for this: do it from a client of your own")
	}
	if of != 0 && !n.own[graph.JobID(of)] {
		return wire.Errorf(wire.Refused, "job %d is not one that this task has opened", of)
	}
	return nil
}

// ---- the link of the session ------------------------------------------------------

// Put sends a frame, or queues it.
func (n *nest) Put(k wire.Kind, m proto.Message) error {
	if n.over {
		return wire.ErrClosed
	}
	if r, ok := m.(*wire.Reply); ok && r.GetJob() != nil {
		n.own[graph.JobID(r.GetJob().Job)] = true
	}
	out, err := wire.AppendFrame(n.out, k, m)
	if err != nil {
		return err
	}
	n.out = out
	if len(n.out) > nestOverflow {
		n.l.overNests = append(n.l.overNests, n)
		n.over = true
		return wire.ErrSlow
	}
	n.flush()
	return nil
}

// Depart does nothing: what was put goes with what else the worker is told.
func (n *nest) Depart() {}

// Room reports whether the outbox has room.
func (n *nest) Room() bool { return len(n.out) < nestOutbox }

// Close forgets what was not sent.
func (n *nest) Close() error {
	n.over, n.in, n.out = true, nil, nil
	return nil
}

// flush sends what the window allows, and what is owed when it is much.
func (n *nest) flush() {
	sent := 0
	for sent < len(n.out) && n.flying < wire.NestedWindow && !n.over {
		piece := n.out[sent:min(len(n.out), sent+wire.NestedPiece, sent+wire.NestedWindow-n.flying)]
		sent += len(piece)
		n.flying += len(piece)
		n.say(&wire.Nested{Data: piece})
	}
	switch {
	case sent == len(n.out):
		n.out = nil
	case sent > 0:
		n.out = append(n.out[:0], n.out[sent:]...)
	}
	if n.owed >= wire.NestedWindow/4 && !n.over {
		n.say(&wire.Nested{})
	}
}

// say sends a piece, with what is owed.
func (n *nest) say(m *wire.Nested) {
	m.Job, m.Index, m.Attempt, m.Stream = uint32(n.at.Task.Job), n.at.Task.Index, uint32(n.at.Attempt), n.stream
	m.Ack, n.owed = uint32(n.owed), 0
	if n.w.conn != nil {
		n.l.departs(n.w.conn)
		n.w.conn.Put(wire.KindNested, m) //nolint:errcheck // the reader notices
	}
}

// ---- ends -----------------------------------------------------------------------

// endNest ends a nest with its session; the client is told why.
func (l *loop) endNest(n *nest, why *wire.Error) {
	if n.w.nests[n.at] == n {
		delete(n.w.nests, n.at)
		n.say(&wire.Nested{End: cmp.Or(wire.Text(why.Error(), wire.MaxText), "it is over"), Code: why.Code})
	}
	n.over = true
	if s := n.s; s != nil {
		n.s = nil
		l.detach(s)
		l.endSession(s, why.Error())
	}
}

// breakNests takes the streams of a worker's clients away: its connection is gone. Their sessions
// go on with new ones, as long as their attempts live.
func (l *loop) breakNests(w *worker) {
	for _, n := range w.nests {
		if n.s != nil {
			l.detach(n.s)
		}
		n.Close() //nolint:errcheck // it has none
	}
}

// moveNests has the clients of attempts go on that a worker has brought along on another
// connection.
func (l *loop) moveNests(w *worker) {
	for old := w.previous; old != nil; old = old.previous {
		l.breakNests(old)
		for at, n := range old.nests {
			if l.core.Lives(w.id, at) {
				if w.nests == nil {
					w.nests = map[sched.TaskAttempt]*nest{}
				}
				n.w, w.nests[at] = w, n
				delete(old.nests, at)
			}
		}
	}
}

// endedNests ends those of a worker whose attempts do not live any more.
func (l *loop) endedNests(w *worker) {
	for at, n := range w.nests {
		if !l.core.Lives(w.id, at) {
			l.endNest(n, wire.Errorf(wire.Refused, "the attempt of its task has ended"))
		}
	}
}

// stopNest notes that an attempt is to be stopped.
func (l *loop) stopNest(o sched.Order) {
	if w := l.workers[o.Worker]; w != nil {
		if n := w.nests[sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt}]; n != nil {
			l.overNests = append(l.overNests, n)
		}
	}
}

// endOverNests ends those that the turn found over, and reports whether there were any.
func (l *loop) endOverNests() bool {
	if len(l.overNests) == 0 {
		return false
	}
	over := l.overNests
	l.overNests = nil
	for _, n := range over {
		l.endNest(n, wire.Errorf(wire.Refused, "the attempt of its task is not wanted any more, or its client does not read"))
	}
	return true
}
