package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// returning is the time after a scheduler took over from another, in which workers come
// back and say what they have. Nothing is given out meanwhile: it may be there already.
type returning struct {
	on       bool
	met      bool            // the fleet, or a worker, has spoken to this scheduler: its address is known
	began    time.Time       // when that was first; before, when it took over
	last     time.Time       // when one came back
	expected map[string]bool // workers that were there and are not back
}

// workerBits is how many bits number the workers of one generation.
const workerBits = 20

// takeOver opens the journal and takes in what it has.
func (l *loop) takeOver(ctx context.Context, o Options, fenced func(error)) error {
	g := &ledger{waits: map[*wire.Conn]int{}, pressed: map[*wire.Conn]bool{}}
	j, err := journal.Open(ctx, journal.Options{
		Store: o.Journal, Epoch: o.Epoch, Log: o.Log,
		OnFlushed: func(pos uint64) {
			g.safe.Store(pos)
			l.turns.Due()
		},
		OnState: func(err error) {
			if err == nil {
				g.away.Store(nil)
				return
			}
			why := err.Error()
			g.away.Store(&why)
		},
		OnFenced: fenced,
	})
	if err != nil {
		return fmt.Errorf("the journal cannot be opened: %w", err)
	}
	g.journal, g.id = j, j.ID()
	generation := j.Generation()
	l.core = sched.New(sched.Config{Durable: true, Restore: generation > 0, Generation: generation})
	l.lastWorker = graph.WorkerID(generation << workerBits)
	l.ledger, l.replaying, l.ids = g, true, map[graph.ClientID]*session{}
	began, n := time.Now(), 0
	err = j.Replay(ctx, func(rec []byte) error {
		n++
		if err := l.replay(rec); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		return nil
	})
	if err == nil && l.haze.on {
		err = errors.New("it ends while a snapshot is being taken, which cannot be: some of its files are missing")
	}
	if err != nil {
		j.Close(ctx) //nolint:errcheck // it has written nothing
		return fmt.Errorf("the journal cannot be read: %w", err)
	}
	l.replaying, l.ids, l.era = false, nil, generation
	g.asked = j.Appended()
	l.now = time.Now()
	if generation > 0 {
		l.settleTakeover(n, time.Since(began))
	}
	return j.Start() // at last: with what it tells turns begin
}

// closeJournal ends the journal's goroutines, with all that was recorded safe if that is
// soon.
func (l *loop) closeJournal() error {
	if l.ledger == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return l.ledger.journal.Close(ctx)
}

// settleTakeover draws the consequences of what was replayed.
func (l *loop) settleTakeover(records int, took time.Duration) {
	for _, s := range l.sessions {
		s.expires = l.now.Add(l.opts.Session)
	}
	l.step(sched.Restored{})
	for _, boxes := range l.mail.boxes {
		for _, b := range maps.Clone(boxes) {
			l.lookAtEnd(b)
		}
	}
	l.carry()
	l.back.on, l.back.began = true, l.now
	l.tell("scheduler.restarted", "scheduler", "it took over %d jobs, %d sessions from the journal; %d workers are to come back", len(l.jobs), len(l.sessions), len(l.back.expected))
	l.log.Info("took over from the journal", "records", records, "took", took, "jobs", len(l.jobs), "sessions", len(l.sessions), "workers", len(l.back.expected))
}

// isMet begins the time in which workers may come back: before, they cannot know where.
func (l *loop) isMet() {
	if l.back.on && !l.back.met {
		l.back.met, l.back.began = true, l.now
	}
}

// isBack notes that a worker need not be waited for any more.
func (l *loop) isBack(name string) {
	if l.back.on {
		l.back.last = l.now
	}
	delete(l.back.expected, name)
	l.lookForReturn()
}

// lookForReturn ends the return when all are back, or have had their time.
func (l *loop) lookForReturn() {
	b := &l.back
	if !b.on || l.fleet != nil && !b.met || len(b.expected) > 0 && l.now.Sub(b.began) < l.opts.Return && (b.last.IsZero() || l.now.Sub(b.last) < l.opts.Return/4) {
		return
	}
	l.back.on = false
	if missing := slices.Sorted(maps.Keys(l.back.expected)); len(missing) > 0 {
		for _, name := range missing {
			l.tell("worker.missing", name, "it did not come back to the next scheduler within %v, one of %d: what only it had is computed again", l.now.Sub(b.began).Round(time.Millisecond), len(missing))
			l.record(0, &wire.Record{Body: &wire.Record_Member{Member: &wire.MemberRecord{Name: name, Left: true}}}) // nobody waits for it once more
		}
		b.expected = nil
		l.log.Warn("workers did not come back", "workers", missing)
	}
	l.releaseAbsent(slices.Sorted(maps.Keys(l.drains)))
	l.log.Info("tasks are given out again", "after", l.now.Sub(l.back.began))
	l.step(sched.Resume{})
}

// waits says what a task waits for that could begin, in the time after a takeover.
func (b *returning) waits(now time.Time, most time.Duration) string {
	left := b.began.Add(most).Sub(now)
	if !b.last.IsZero() {
		left = min(left, b.last.Add(most/4).Sub(now))
	}
	return fmt.Sprintf("Nothing is given out yet: this scheduler took over %v ago and waits for workers to come back, who may have it already: %d are not back. If no other comes it begins within %v.",
		now.Sub(b.began).Round(time.Second), len(b.expected), max(0, left).Round(time.Second))
}

// sayAway tells people when the journal cannot be written, and when it can again.
func (l *loop) sayAway() {
	if l.ledger == nil {
		return
	}
	now := ""
	if w := l.ledger.away.Load(); w != nil {
		now = *w
	}
	if now == l.ledger.said {
		return
	}
	if l.ledger.said = now; now == "" {
		l.tell("journal.back", "journal", "it can be written again")
		return
	}
	l.tell("journal.away", "journal", "%s; what was submitted is computed, and clients are told nothing new until it is safe", now)
}
