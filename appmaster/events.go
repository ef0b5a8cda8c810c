package appmaster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/reconcile"
)

// chronicle remembers what happened, for people: the latest maxEvents.
type chronicle struct {
	last   uint64 // number of the newest event
	ring   []*ampb.Event
	oldest int // once it is full
}

const (
	maxEvents     = 4096
	maxEventBytes = 500 // of an event's text
)

// add keeps an event. Its number is the time in microseconds since 1970, made to
// grow, so that numbers grow from one attempt to the next as well.
func (c *chronicle) add(now time.Time, kind, object, text string) {
	c.last = max(c.last+1, uint64(max(0, now.UnixMicro())))
	if len(text) > maxEventBytes {
		text = text[:maxEventBytes]
	}
	e := &ampb.Event{Number: c.last, When: timestamppb.New(now), Kind: kind, Object: strings.ToValidUTF8(object, "\ufffd"), Text: strings.ToValidUTF8(text, "\ufffd")}
	if len(c.ring) < maxEvents {
		c.ring = append(c.ring, e)
		return
	}
	c.ring[c.oldest] = e
	c.oldest = (c.oldest + 1) % maxEvents
}

// after returns the events after a number, oldest first. One that is above the
// newest is not of this chronicle: all are returned.
func (c *chronicle) after(since uint64) (out []*ampb.Event) {
	if since > c.last {
		since = 0
	}
	for i := range c.ring {
		if e := c.ring[(c.oldest+i)%len(c.ring)]; e.Number > since {
			out = append(out, e)
		}
	}
	return out
}

// Events tells what happened.
func (s session) Events(ctx context.Context, req *ampb.EventsRequest) (*ampb.EventsReply, error) {
	var reply *ampb.EventsReply
	if !s.call(ctx, func() { reply = &ampb.EventsReply{Events: s.events.after(req.Since), Next: s.events.last} }) {
		return nil, errEnding
	}
	return reply, nil
}

func (l *loop) note(kind, object, format string, args ...any) {
	l.events.add(time.Now(), kind, object, fmt.Sprintf(format, args...))
}

// noteEvent notes what came in, as far as it is news to a person.
func (l *loop) noteEvent(ev reconcile.Event) {
	switch ev := ev.(type) {
	case reconcile.Allocated:
		l.note("container.allocated", ev.ID, "for pool %s on %s", ev.Pool, ev.Node)
	case reconcile.Refused:
		if ev.Unoffered {
			l.note("pool.refused", ev.Pool, "%s; beside other workers it is asked again in a minute", ev.Why)
			return
		}
		l.note("pool.refused", ev.Pool, "the cluster has no such containers just now, and is asked again in a minute: %s", ev.Why)
	case reconcile.Preempt:
		for _, id := range ev.IDs {
			l.note("container.preempting", id, "the cluster is about to take it away (strict: %v)", ev.Strict)
		}
	case reconcile.Release:
		for _, id := range ev.IDs {
			l.note("container.drained", id, "%s", ev.Reason)
		}
	case reconcile.Kill:
		l.note("container.killing", ev.ID, "on request; another takes its place")
	case reconcile.Retire:
		for _, id := range ev.IDs {
			l.note("worker.draining", id, "%s", ev.Reason)
		}
	case reconcile.Recalled:
		l.note("app.taken", l.opt.Spec.ID, "by attempt %d of the application master; an earlier one had %d containers", l.attempt, len(ev.Memory.Containers))
		l.noteAdopted(ev.Adopted)
	case reconcile.Adopted:
		l.noteAdopted(ev.Containers)
	}
}

func (l *loop) noteAdopted(list []reconcile.Adoptee) {
	known := map[string]bool{}
	for _, v := range l.core.Containers() {
		known[v.ID] = v.State != reconcile.Missing
	}
	for _, a := range list {
		if known[a.ID] {
			continue
		}
		l.note("container.adopted", a.ID, "of pool %q on %s, from an earlier attempt", a.Pool, a.Node)
	}
}

// noteAction notes what is done.
func (l *loop) noteAction(a reconcile.Action) {
	switch a := a.(type) {
	case reconcile.Ask:
		if a.N == 1 {
			l.note("pool.asked", a.Pool, "1 more container is asked for")
			break
		}
		l.note("pool.asked", a.Pool, "%d more containers are asked for", a.N)
	case reconcile.ReleaseContainer:
		l.note("container.released", a.ID, "handed back to the cluster")
	case reconcile.StopContainer:
		l.note("container.stopping", a.ID, "it is told to end")
	case reconcile.Avoid:
		l.noteAvoided(a.Nodes)
	case reconcile.TellShrink:
		l.note("pool.shrinking", a.Pool, "the scheduler drains workers until %d are left", a.To)
	case reconcile.NoteDrain:
		l.note("worker.draining", a.ID, "%s", a.Why)
	case reconcile.NoteSilent:
		l.note("container.silent", a.ID, "%s", a.Why)
	case reconcile.NoteBlind:
		l.note("scheduler.alone", l.opt.Spec.ID, "the scheduler does not hear %d of its %d workers, on several nodes: its own network may be broken, and nobody is replaced for ten minutes", a.Away, a.Of)
	case reconcile.NoteBack:
		l.note("container.heard", a.ID, "the scheduler knows it again")
	}
}

// noteEnd notes how a container ended, now or under an earlier attempt: with the time, and as a rule the number, that it
// had there.
func (l *loop) noteEnd(x *ampb.Exit) {
	text := x.Cause
	if x.Diagnostics != "" {
		text += ": " + strings.TrimSpace(x.Diagnostics)
	}
	l.events.add(x.When.AsTime(), "container.exited", x.Container, fmt.Sprintf("of pool %s on %s: %s", x.Pool, x.Node, text))
}

// noteAvoided notes which nodes get no containers from now on, and which do again.
func (l *loop) noteAvoided(nodes []string) {
	for _, v := range l.core.Avoided() {
		if !slices.Contains(l.avoided, v.Node) {
			l.note("node.avoided", v.Node, "no more containers there for %s: one after the other did not stay up; the last %s", v.Left.Round(time.Second), v.Why)
		}
	}
	for _, node := range l.avoided {
		if !slices.Contains(nodes, node) {
			l.note("node.trusted", node, "containers may run there again")
		}
	}
	l.avoided = nodes
}

// notePools notes changes of what pools want, why they wait, and the beginning of the end.
func (l *loop) notePools(why string) {
	for _, v := range l.core.Pools() {
		if before, ok := l.pools[v.Name]; !ok || before != v.Wanted {
			if ok {
				l.note("pool.wanted", v.Name, "from %d to %d: %s", before, v.Wanted, why)
			}
			l.pools[v.Name] = v.Wanted
		}
		l.noteWaits(v)
	}
	if l.core.Ending() && !l.saidEnd {
		l.saidEnd = true
		l.note("app.ending", l.opt.Spec.ID, "%s", l.core.Why())
	}
}

// noteWaits notes why a pool waits, once for as long as it does.
func (l *loop) noteWaits(v reconcile.PoolView) {
	w := l.waits[v.Name]
	if v.Waits != w.now {
		w.now = v.Waits
		l.dirty = true
	}
	switch {
	case v.Waits != "" && v.Waits != w.said:
		w.said = v.Waits
		l.note("pool.waits", v.Name, "%s", v.Waits)
	case v.Asked == 0:
		w.said = ""
	}
	l.waits[v.Name] = w
}

// reasonOf says why a step may have changed what is wanted.
func reasonOf(ev reconcile.Event) string {
	switch ev := ev.(type) {
	case reconcile.Want:
		if ev.Reason != "" {
			return ev.Reason
		}
	case reconcile.Retire:
		return ev.Reason
	case reconcile.Stop:
		return "the application ends"
	}
	return "asked for"
}
