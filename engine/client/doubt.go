package client

import (
	"github.com/yarnd/yarnd/engine/wire"
)

// past is what an actor remembers of its calls, so that none is done twice when the scheduler
// that delivered them is another one's successor: callers send again what they have no answer
// to, and only the actor knows how far each came.
//
//	not begun ──► as any call
//	running   ──► its answer is for the one that came again
//	answered  ──► that answer, as long as it is kept
//	else      ──► interrupted, if it may not be done twice
type past struct {
	begun wire.Calls
	kept  map[callerID]*wire.Answer
	order []callerID // of kept, the oldest first
	bytes int
}

// callerID is a wire.Caller.
type callerID struct{ session, request uint64 }

func callerOf(d *wire.Delivered) callerID {
	return callerID{d.GetFrom().GetSession(), d.GetFrom().GetRequest()}
}

// What is kept of answers: those that callers may not have heard are the last ones.
const (
	maxKept      = 1024
	maxKeptBytes = 256 << 10
)

// keep keeps an answer. One that is too large is not kept.
func (p *past) keep(id callerID, a *wire.Answer) {
	size := answerBytes(a)
	if id.session == 0 || size > maxKeptBytes {
		return
	}
	if p.kept == nil {
		p.kept = map[callerID]*wire.Answer{}
	}
	if was := p.kept[id]; was != nil {
		p.bytes -= answerBytes(was)
	} else {
		p.order = append(p.order, id)
	}
	p.kept[id] = a
	p.bytes += size
	for len(p.kept) > maxKept || p.bytes > maxKeptBytes {
		oldest := p.order[0]
		p.order = p.order[1:]
		p.bytes -= answerBytes(p.kept[oldest])
		delete(p.kept, oldest)
	}
}

func answerBytes(a *wire.Answer) int {
	return len(a.Result) + len(a.Failure.GetMessage()) + len(a.Failure.GetStack())
}

// judge returns the answer to a call that an earlier scheduler may have delivered, nil when it
// is to be done.
func (p *past) judge(d *wire.Delivered) *wire.Answer {
	id := callerOf(d)
	if a := p.kept[id]; a != nil {
		return &wire.Answer{Result: a.Result, Failure: a.Failure}
	}
	if !d.Idempotent && p.begun.MayHaveBegun(id.session, id.request, d.Sent) {
		return &wire.Answer{Interrupted: true}
	}
	return nil
}
