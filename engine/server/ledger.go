package server

import (
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// ledger is the loop's way to the journal. What a turn has to record is gathered in the
// order in which it came about, written when the turn ends, and flushed in the background.
// What clients are told in a turn waits until all that was recorded up to its end is safe:
// so nobody ever sees what a scheduler that takes over would not know.
//
//	turn 1 ── records 1…4 ──┐              turn 2 ── records 5…7 ──┐
//	          replies held ─┤                        replies held ─┤
//	                        └─ flushed 4 ──► sent                  └─ flushed 7 ──► sent
//
// What workers are told does not wait: a task runs while its submission is being flushed.
// Should that be lost, the worker has an attempt that nobody knows, and is told to stop it.
// But they let go of a result only when it is safe that nobody needs it (free): should the release be
// lost, the result is there that clients were told of. While the journal cannot be written
// they are not held back: that may be for long, and workers' memory has an end.
type ledger struct {
	journal *journal.Journal
	id      string // names the state, for workers
	queue   []entry
	safe    atomic.Uint64 // records that are; set by the journal
	asked   uint64        // records whose flush was asked for
	held    []heldTurn
	now     heldTurn               // of this turn
	waits   map[*wire.Conn]int     // bytes that are held for each
	pressed map[*wire.Conn]bool    // for whom more would be held
	eased   []*wire.Conn           // of those, for whom there is room again
	away    atomic.Pointer[string] // why nothing can be made safe
	freed   bool                   // what waited when that began was let go of
	said    string                 // the last of these that was told
	spare   []byte                 // for frames
	room    []byte                 // for a record
	tooks   []sched.ClassTook      // room for them
	tooksAt time.Time              // when they were recorded last
}

// entry is a record, or facts.
type entry struct {
	record *wire.Record
	facts  []sched.Fact
}

// heldTurn is what clients are told of a turn, frame by frame.
type heldTurn struct {
	at    uint64 // when so many records are safe
	buf   []byte
	says  []heldFrame
	frees []sched.Order
	after []func()
}

type heldFrame struct {
	conn *wire.Conn
	end  int
}

// maxPending is where no more is taken that has to be recorded, in bytes that are not safe.
const maxPending = 64 << 20

// record gathers a record; nil ledgers gather nothing.
func (l *loop) record(client graph.ClientID, r *wire.Record) {
	if l.ledger == nil || l.replaying {
		return
	}
	r.Client = uint32(client)
	l.ledger.queue = append(l.ledger.queue, entry{record: r})
}

// recordOf is record for what is about a job. Those of clients within tasks end with these,
// and are not recorded.
func (l *loop) recordOf(j *job, client graph.ClientID, r *wire.Record) {
	if !j.quiet {
		l.record(client, r)
	}
}

// reserved is how many ids of jobs and clients are given out before the journal has to know of more.
const reserved = 1024

// reserve has the next scheduler begin above the ids that were given to clients within tasks, which are not recorded: else a
// handle of an actor or result there, kept by whoever outlives the task, would be one of another's. It does so half a block ahead.
func (l *loop) reserve() {
	k := &l.reserves
	if l.ledger == nil || l.replaying || uint32(l.lastJob)+reserved/2 < k.job && uint32(l.lastClient)+reserved/2 < k.client {
		return
	}
	*k = counters{uint32(l.lastJob) + reserved, uint32(l.lastClient) + reserved}
	l.record(0, &wire.Record{Body: &wire.Record_Counters{Counters: &wire.CountersRecord{Job: k.job, Client: k.client}}})
}

// counters are ids up to which none is to be given out by another scheduler.
type counters struct{ job, client uint32 }

// unrecord takes back a record of which nothing came.
func (l *loop) unrecord(r *wire.Record) {
	if l.ledger == nil {
		return
	}
	if last := len(l.ledger.queue) - 1; last >= 0 && l.ledger.queue[last].record == r {
		l.ledger.queue = l.ledger.queue[:last]
	}
}

// noteFacts gathers what the core has noted.
func (l *loop) noteFacts() {
	if l.ledger == nil || l.replaying {
		return
	}
	facts := l.core.Facts()
	if len(facts) == 0 {
		return
	}
	q := l.ledger.queue
	if last := len(q) - 1; last >= 0 && q[last].record == nil {
		q[last].facts = append(q[last].facts, facts...)
		return
	}
	l.ledger.queue = append(q, entry{facts: append([]sched.Fact(nil), facts...)})
}

// hold keeps a frame for a client until this turn's records are safe.
func (g *ledger) hold(c *wire.Conn, k wire.Kind, m proto.Message) error {
	t := &g.now
	buf, err := wire.AppendFrame(t.buf, k, m)
	if err != nil {
		return err
	}
	g.waits[c] += len(buf) - len(t.buf)
	t.buf = buf
	t.says = append(t.says, heldFrame{c, len(buf)})
	return nil
}

// then has f called, in a turn, when this turn's records are safe.
func (l *loop) then(f func()) {
	if l.ledger == nil {
		f()
		return
	}
	l.ledger.now.after = append(l.ledger.now.after, f)
}

// settleLedger ends a turn: it writes what was gathered, and keeps back what depends on it.
func (l *loop) settleLedger() {
	g := l.ledger
	if g == nil {
		return
	}
	l.write()
	l.snapshotTurn()
	pos := g.journal.Appended()
	if pos > g.asked {
		g.asked = pos
		g.journal.Commit()
	}
	l.freeWhileAway()
	if len(g.now.says)+len(g.now.after)+len(g.now.frees) > 0 {
		g.now.at = pos
		g.held = append(g.held, g.now)
		g.now = heldTurn{buf: g.spare[:0]}
		g.spare = nil
	}
	l.releaseHeld()
	l.flushTouched()
}

// releaseHeld sends what waited for records that are safe now.
func (l *loop) releaseHeld() {
	g := l.ledger
	if g == nil || len(g.held) == 0 {
		return
	}
	safe := g.safe.Load()
	for len(g.held) > 0 && g.held[0].at <= safe {
		t := g.held[0]
		g.held[0] = heldTurn{}
		g.held = g.held[1:]
		from := 0
		for _, s := range t.says {
			n := s.end - from
			s.conn.PutFrames(t.buf[from:s.end]) //nolint:errcheck // the reader notices
			from = s.end
			if g.waits[s.conn] -= n; g.waits[s.conn] <= 0 {
				delete(g.waits, s.conn)
			}
			l.departs(s.conn)
			if g.pressed[s.conn] && g.waits[s.conn] < l.opts.Outbox/2 {
				delete(g.pressed, s.conn)
				g.eased = append(g.eased, s.conn)
				l.turns.Due()
			}
		}
		for _, o := range t.frees {
			l.freeNow(o)
		}
		for _, f := range t.after {
			f()
		}
		if cap(t.buf) <= keepHeld {
			g.spare = t.buf
		}
	}
	if len(g.held) == 0 {
		g.held = nil
	}
}

// free has a worker let go of a result, when that is safe.
func (l *loop) free(o sched.Order) {
	if l.ledger == nil {
		l.freeNow(o)
		return
	}
	l.ledger.now.frees = append(l.ledger.now.frees, o)
}

// freeNow tells it so, unless it has come to hold the result anew meanwhile.
func (l *loop) freeNow(o sched.Order) {
	if w := l.reached(o.Worker); w != nil && !l.core.Counts(o) {
		l.outboxOf(w).free.Add(o.Task, o.Attempt)
	}
}

// freeWhileAway has everything let go of, while nothing can be made safe: a store that is away for long must not fill the
// workers. What waited since before is let go of once.
func (l *loop) freeWhileAway() {
	g := l.ledger
	if g.away.Load() == nil {
		g.freed = false
		return
	}
	for _, o := range g.now.frees {
		l.freeNow(o)
	}
	g.now.frees = g.now.frees[:0]
	if g.freed {
		return
	}
	g.freed = true
	for i := range l.ledger.held {
		t := &l.ledger.held[i]
		for _, o := range t.frees {
			l.freeNow(o)
		}
		t.frees = nil
	}
}

// keepHeld is how many bytes of memory for frames are kept to be used again.
const keepHeld = 1 << 20

// journalID names the state that this scheduler has.
func (l *loop) journalID() string {
	if l.ledger == nil {
		return ""
	}
	return l.ledger.id
}

// room reports whether more may be put on a client's connection.
func (l *loop) room(c link) bool {
	if conn, ok := c.(*wire.Conn); ok && l.ledger != nil && l.ledger.waits[conn] >= l.opts.Outbox {
		l.ledger.pressed[conn] = true
		return false
	}
	return c.Room()
}

// pumpEased serves the watches of those for whom there is room again.
func (l *loop) pumpEased() {
	if l.ledger == nil {
		return
	}
	eased := l.ledger.eased
	l.ledger.eased = nil
	for _, c := range eased {
		drained{c}.handle(l)
	}
}

// mayRecord reports why nothing more can be taken that has to be recorded.
func (l *loop) mayRecord() error {
	if l.ledger == nil || l.ledger.journal.Pending() < maxPending {
		return nil
	}
	why := "the store is slow"
	if w := l.ledger.away.Load(); w != nil {
		why = *w
	}
	return wire.Errorf(wire.Busy, "the scheduler's journal cannot be written (%s): what has been submitted goes on, and what is submitted now is taken when the journal can be written again", why)
}
