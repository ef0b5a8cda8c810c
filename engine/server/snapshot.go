package server

import (
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/wire"
)

// snapshot has the state written anew, so that the journal's size follows what there is to
// do. It takes a share of some turns, and things go on in between: what it says of a task that comes early is
// older than what it says of one that comes late, and what happens meanwhile is recorded as ever.
//
//	journal   … │ a  b  c  d  end │ e …
//	snapshot    └ 1 ─ 2 ─ 3 ─ 4 ──┘
//
// Who takes over is told 1 2 3 4, then a b c d, and up to the end lets go of nothing (sched.Hazy). walk.go
// has what is said, and in which order.
type snapshot struct {
	l      *loop
	to     *journal.Snapshot
	number uint64 // the position at which it began, which it stands for
	began  time.Time
	again  time.Time     // when it goes on
	busy   time.Duration // what it took of turns
	most   time.Duration // of one
	left   int           // tasks to be looked at in this turn
	bytes  int

	more  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool

	jobs []savedJob // as they were when it began
	walker
}

// A snapshot looks at some tasks in a turn, and leaves three quarters of the time to others.
const (
	snapshotRows  = 8192
	snapshotShare = 4
	snapshotPause = time.Millisecond      // at least
	snapshotFull  = 10 * time.Millisecond // while the store is slow
)

// snapshotTurn begins a snapshot when the journal has grown by twice the size of the last one, or goes on
// with it. All that came about so far is appended to the journal.
func (l *loop) snapshotTurn() {
	g, s := l.ledger, l.snap
	if s == nil {
		if l.back.on || g.journal.Grown() < max(l.opts.JournalGrowth, 2*g.journal.Size()) {
			return
		}
		at := g.journal.Appended()
		to := g.journal.Snapshot()
		if to == nil {
			return
		}
		s = l.newSnapshot(to, at)
		l.snap = s
	}
	switch {
	case s.to.Over():
		l.endSnapshot()
	case l.now.Before(s.again):
	case !s.to.Room():
		s.rest(snapshotFull)
	default:
		s.goOn()
	}
}

func (l *loop) newSnapshot(to *journal.Snapshot, at uint64) *snapshot {
	s := &snapshot{l: l, to: to, number: at, began: time.Now()}
	s.begin()
	s.more, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.yield = yield
		s.all()
	})
	return s
}

// goOn does a turn's share.
func (s *snapshot) goOn() {
	l, at := s.l, time.Now()
	s.left = l.opts.JournalRows
	_, more := s.more()
	took := time.Since(at)
	s.busy, s.most = s.busy+took, max(s.most, took)
	if more {
		s.rest(max(snapshotPause, (snapshotShare-1)*took))
		return
	}
	l.append(&wire.Record{Body: &wire.Record_Snapshot{Snapshot: &wire.SnapshotRecord{Number: s.number, End: true}}})
	s.to.End()
	l.log.Info("the state was written anew", "bytes", s.bytes, "took", time.Since(s.began), "of turns", s.busy, "of one", s.most)
	l.endSnapshot()
}

// rest leaves turns to others for a while.
func (s *snapshot) rest(d time.Duration) {
	s.again = time.Now().Add(d)
	s.l.snapTimer.Reset(d)
}

// endSnapshot ends a snapshot's share in turns, if there is one.
func (l *loop) endSnapshot() {
	if l.snap != nil {
		l.snap.stop()
		l.snap = nil
	}
}

// looked notes that tasks were looked at. It returns false if the snapshot is given up.
func (s *snapshot) looked(rows int) bool {
	if s.left -= rows; s.left > 0 {
		return true
	}
	return s.yield(struct{}{}) // the next turn has a share of its own
}

// snapshotRowBytes is how many bytes written take a turn as long as one task looked at.
const snapshotRowBytes = 256

func (s *snapshot) put(client graph.ClientID, r *wire.Record) {
	r.AtMs, r.Client = s.l.now.UnixMilli(), uint32(client)
	b, err := proto.MarshalOptions{}.MarshalAppend(s.buf[:0], r)
	if err != nil {
		panic("server: a record cannot be encoded: " + err.Error())
	}
	s.to.Add(b)
	s.bytes += len(b)
	s.left -= len(b) / snapshotRowBytes
	if s.buf = b; cap(b) > keepHeld {
		s.buf = nil
	}
}
