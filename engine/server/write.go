package server

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// Bits of Facts.kind beside the sched.FactKind.
const (
	factKind   = 0x0f
	factInline = 0x10
	factTold   = 0x20 // clients were
	factSeen   = 0x40 // they were, of what is told no more
	factPast   = 0x80 // it is not so any more, and can be asked for
)

// factBytes is where a record of facts is full, about. What the core has noted in one step is
// not taken apart below it: half of a retry is none.
const factBytes = 32 << 20

// write gives the journal what was gathered in this turn.
func (l *loop) write() {
	g := l.ledger
	for i := range g.queue {
		e := &g.queue[i]
		if e.record != nil {
			l.append(e.record)
			continue
		}
		m := &wire.Facts{}
		for k := range e.facts {
			l.addFact(m, &e.facts[k])
			if factSize(m) > factBytes {
				l.append(&wire.Record{Body: &wire.Record_Facts{Facts: m}})
				m = &wire.Facts{}
			}
		}
		if len(m.Kind) > 0 {
			l.append(&wire.Record{Body: &wire.Record_Facts{Facts: m}})
		}
	}
	clear(g.queue)
	if g.queue = g.queue[:0]; cap(g.queue) > 1024 {
		g.queue = nil
	}
}

// factSize is about how large a record is; failures hold texts.
func factSize(m *wire.Facts) int { return len(m.Inline) + 16*len(m.Kind) + failureBytes*len(m.Failure) }

// failureBytes is what a failure with all its texts takes.
const failureBytes = 3 * wire.MaxText / 2

func (l *loop) append(r *wire.Record) {
	r.AtMs = l.now.UnixMilli()
	b, err := proto.MarshalOptions{}.MarshalAppend(l.ledger.room[:0], r)
	if err != nil {
		panic(fmt.Sprintf("server: a record cannot be encoded: %v", err)) // text that is no UTF-8 was refused where it came from
	}
	l.ledger.journal.Append(b)
	if cap(b) <= keepHeld {
		l.ledger.room = b
	}
}

// addFact adds a fact, with the result if that is small and the text of a failure. Those of
// clients within tasks end with these, and are not recorded.
func (l *loop) addFact(m *wire.Facts, f *sched.Fact) {
	j := l.jobs[f.Task.Job] // nil: it is gone since
	if j != nil && j.quiet {
		return
	}
	kind, size := byte(f.Kind), f.Size
	if f.Told {
		kind |= factTold
	}
	switch {
	case f.Kind == sched.FactCancelled:
		size = uint64(f.N)
	case f.Kind == sched.FactDone && f.Inline:
		b, ok := []byte(nil), false
		if j != nil {
			b, ok = j.inline.get(f.Task.Index, f.Attempt)
		}
		if !ok { // it was let go of in the same turn; should that be lost, it is computed again
			kind |= factPast
			break
		}
		kind |= factInline
		m.Inline = append(m.Inline, b...)
		m.InlineEnd = append(m.InlineEnd, uint32(len(m.Inline)))
	case f.Kind == sched.FactFailed:
		m.Failure = append(m.Failure, l.failureRecord(j, f))
	}
	m.Kind = append(m.Kind, kind)
	m.Job, m.Index, m.Attempt = append(m.Job, uint32(f.Task.Job)), append(m.Index, f.Task.Index), append(m.Attempt, uint32(f.Attempt))
	m.Size = append(m.Size, size)
}

// failureRecord is how a task failed; the fact's row says which.
func (l *loop) failureRecord(j *job, f *sched.Fact) *wire.Failure {
	m := &wire.Failure{}
	if j == nil {
		m.Kind = uint32(f.Fail)
		return m
	}
	if text := j.ends.failures[f.Task.Index]; text != nil && !j.closed && f.Fail != graph.FailCancelled {
		m = wire.FailureToWire(f.Task, f.Attempt, text)
		m.Job, m.Index, m.Attempt = 0, 0, 0
	}
	m.Kind = uint32(f.Fail)
	if f.Fail == graph.FailUpstream {
		m.CauseJob, m.CauseIndex = uint32(f.Cause.Job), f.Cause.Index
	}
	return m
}
