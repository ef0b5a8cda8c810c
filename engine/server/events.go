package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// chronicle remembers what happened, for people, in a ring for each sort of events: so that
// neither a job whose tasks all fail nor a thousand workers that leave make the rest forgotten.
type chronicle struct {
	last  uint64 // number of the newest event
	rings [sorts]ring
}

// ring has the latest events of a sort.
type ring struct {
	list   []*wire.Event
	oldest int // once it is full
}

// The sorts of events.
const (
	ofAll = iota
	ofFailures
	ofWorkers
	ofDecisions
	sorts
)

const (
	maxNews       = 2048
	maxFailed     = 1024
	maxOfWorkers  = 4096 // as many as two thousand workers that come and go
	maxDecisions  = 512
	maxEventBytes = 500 // of an event's text
)

func sortOf(e *wire.Event) (sort, limit int) {
	switch {
	case e.Kind == taskFailed:
		return ofFailures, maxFailed
	case strings.HasPrefix(e.Kind, "worker."):
		return ofWorkers, maxOfWorkers
	case e.Decision != nil:
		return ofDecisions, maxDecisions
	}
	return ofAll, maxNews
}

// number makes the next event's number: microseconds since 1970, made to grow, so
// that numbers grow from one scheduler to the next as well.
func (c *chronicle) number(now time.Time) uint64 {
	c.last = max(c.last+1, uint64(max(0, now.UnixMicro())))
	return c.last
}

func (r *ring) add(e *wire.Event, limit int) {
	if len(r.list) < limit {
		r.list = append(r.list, e)
		return
	}
	r.list[r.oldest] = e
	r.oldest = (r.oldest + 1) % limit
}

// all returns a ring's events, oldest first.
func (r *ring) all() []*wire.Event {
	return slices.Concat(r.list[r.oldest:], r.list[:r.oldest])
}

// after returns the events after a number, oldest first. One that is above the
// newest is not of this chronicle: all are returned.
func (c *chronicle) after(since uint64) []*wire.Event {
	if since > c.last {
		since = 0
	}
	var out []*wire.Event
	for i := range c.rings {
		for _, e := range c.rings[i].list {
			if e.Number > since {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b *wire.Event) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

func (l *loop) event(kind, object, format string, args ...any) *wire.Event {
	return &wire.Event{Number: l.events.number(l.now), AtUs: l.now.UnixMicro(), Kind: kind, Object: object, Text: wire.Text(fmt.Sprintf(format, args...), maxEventBytes)}
}

// tell notes that something happened.
func (l *loop) tell(kind, object, format string, args ...any) {
	l.told(l.event(kind, object, format, args...))
}

// told keeps an event, and has the scheduler know it that takes over.
func (l *loop) told(e *wire.Event) {
	if l.replaying {
		return // it is recorded
	}
	l.record(0, &wire.Record{Body: &wire.Record_Event{Event: e}})
	l.events.add(e)
}

// add remembers an event.
func (c *chronicle) add(e *wire.Event) {
	c.last = max(c.last, e.Number)
	sort, limit := sortOf(e)
	c.rings[sort].add(e, limit)
}

const taskFailed = "task.failed"

// tellFailure notes that a task failed by itself. Facts tell who takes over of that.
func (l *loop) tellFailure(e *sched.Ended, f *graph.Failure) {
	if e.Kind == graph.FailNone || e.Kind == graph.FailUpstream || e.Kind == graph.FailCancelled {
		return
	}
	text := e.Kind.String()
	if f != nil {
		text += ": " + f.Message
		if f.Host != "" {
			text += " (on " + f.Host + ")"
		}
	}
	l.events.add(l.event(taskFailed, e.Task.String(), "attempt %s: %s", e.Attempt, text))
}

// tellEnd notes the end of a job, with what became of its tasks.
func (l *loop) tellEnd(kind string, j *job, why string) {
	m := l.jobInfo(j)
	l.tell(kind, j.title(), "%s; of %d tasks %d are done, %d failed, %d were cancelled, %d had not ended", why,
		m.Tasks, m.Done, m.Failed, m.Cancelled, m.Waiting+m.Ready+m.Running)
}

func (l *loop) listEvents(m *wire.ListEvents, reply *wire.Reply) {
	reply.Body = &wire.Reply_Events{Events: &wire.Events{Event: l.events.after(m.Since), Next: l.events.last}}
}
