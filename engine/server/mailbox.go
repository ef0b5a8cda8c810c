package server

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// mailbox is what an actor is asked for: values in, letters out. It knows no
// connections; whoever asks is a claim, and whoever answers is the actor's one attempt
// that lives, of which others see to it that it is.
//
//	add ──► waiting ──take──► given ──answer──► told
//	           ▲                │
//	           └── lose, back ──┘   what may be done again, or has not begun
//
// Calls are given in the order in which they came, and answered in the order in which
// they were given. What was given and not answered when the attempt dies may have had its
// effects: only idempotent calls are given once more, before all that waits.
type mailbox struct {
	calls   map[claim]*letter // that are not told, in whatever state
	waiting []*letter
	given   []*letter
	bytes   int // of payloads and answers
	last    uint64
	// begun is what has begun, answered or cut off, for whoever judges calls in doubt: those
	// of an earlier scheduler's time, which only the actor can tell apart.
	begun wire.Calls
	// runs is a call that runs since before this scheduler; nil is none. Others would wait behind it, and would
	// be given back at once if it is a long one: nothing is given but that call, when its client is back.
	runs *running
	// checkpoint is what the actor has kept for its next attempt; nil is none.
	checkpoint []byte
}

// letter is a call.
type letter struct {
	claim      claim
	id         uint64 // since it was given
	method     string
	payload    []byte
	idempotent bool
	caller     uint64         // the hash of its client's session
	sent       uint64         // epoch of an earlier scheduler, which may have given it; 0: it is new
	gone       bool           // nobody waits for it
	answer     *wire.Answered // of one whose client was away when it came
}

// running is a call that an earlier scheduler has delivered.
type running struct {
	caller, request uint64
	id              uint64 // that it had there
}

// is reports whether a letter is of the call that runs.
func (r *running) is(n *letter) bool { return n.caller == r.caller && n.claim.request == r.request }

// Bounds of what clients may make the scheduler keep for an actor.
const (
	// maxMail and maxMailBytes bound a mailbox.
	maxMail      = 10_000
	maxMailBytes = 16 << 20
	// maxGiven is the most calls that an actor is given ahead, and maxDelivery about how
	// many bytes of payload at once.
	maxGiven    = 64
	maxDelivery = 1 << 20
)

func newMailbox() *mailbox { return &mailbox{calls: map[claim]*letter{}} }

// add takes a call, which is new to the mailbox.
func (m *mailbox) add(n *letter) error {
	switch {
	case len(n.payload) > wire.MaxCall:
		return wire.Errorf(wire.TooLarge, "a call's argument is of %d bytes, and may be of %d: bring the value to the cluster by Scatter, and give the actor its Ref", len(n.payload), wire.MaxCall)
	case len(m.calls) >= maxMail || m.bytes+len(n.payload) > maxMailBytes:
		return wire.Errorf(wire.Busy, "%d calls with %d bytes wait for the actor, as many as may: call again when some are answered", len(m.calls), m.bytes)
	}
	m.calls[n.claim] = n
	m.waiting = append(m.waiting, n)
	m.bytes += len(n.payload)
	return nil
}

// take gives as many calls as a window of unanswered ones allows.
func (m *mailbox) take(window int) (out []*letter) {
	if m.runs != nil {
		if i := slices.IndexFunc(m.waiting, m.runs.is); i >= 0 {
			out = append(out, m.give(i))
		}
		return out
	}
	size := 0
	for len(m.waiting) > 0 && len(m.given) < window && (size == 0 || size < maxDelivery) {
		n := m.give(0)
		size += len(n.payload)
		out = append(out, n)
	}
	return out
}

// give gives the i-th call that waits.
func (m *mailbox) give(i int) *letter {
	n := m.waiting[i]
	if m.waiting[i] = nil; i == 0 {
		m.waiting = m.waiting[1:]
	} else {
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
	m.last++
	n.id = m.last
	m.given = append(m.given, n)
	return n
}

// answered takes the answer to a call that was given, and returns it: nil when there is
// none, or it was answered before.
func (m *mailbox) answered(id uint64) *letter {
	i := slices.IndexFunc(m.given, func(n *letter) bool { return n.id == id })
	if r := m.runs; r != nil && (r.id == id || i >= 0 && r.is(m.given[i])) {
		m.runs = nil
	}
	if i < 0 {
		return nil
	}
	n := m.given[i]
	m.began(n)
	m.drop(m.given[i : i+1])
	m.given = slices.Delete(m.given, i, i+1)
	return n
}

// keep holds a call's answer until its client asks again.
func (m *mailbox) keep(n *letter, a *wire.Answered) {
	n.answer = a
	m.bytes += answerSize(a)
}

// forget drops a call of which all was said.
func (m *mailbox) forget(n *letter) {
	if m.calls[n.claim] == n {
		delete(m.calls, n.claim)
	}
	if n.answer != nil {
		m.bytes -= answerSize(n.answer)
		n.answer = nil
	}
}

// withdraw takes a call back, which is to be forgotten then. It reports whether the actor
// has been given it: it is to be told that nobody waits.
func (m *mailbox) withdraw(n *letter) (given bool) {
	n.gone = true
	if i := slices.Index(m.waiting, n); i >= 0 {
		m.drop(m.waiting[i : i+1])
		m.waiting = slices.Delete(m.waiting, i, i+1)
		return false
	}
	return slices.Contains(m.given, n)
}

// leave takes back all calls of a client, and returns the ids of those that the actor has
// been given, and those that it may have been given by an earlier scheduler.
func (m *mailbox) leave(client graph.ClientID) (given []uint64, before []*letter) {
	theirs := func(n *letter) bool { return n.claim.client == client }
	for _, n := range m.calls {
		if theirs(n) {
			n.gone = true
			m.forget(n)
		}
	}
	for _, n := range m.given {
		if theirs(n) {
			given = append(given, n.id)
		}
	}
	m.waiting = slices.DeleteFunc(m.waiting, func(n *letter) bool {
		if theirs(n) {
			m.bytes -= len(n.payload)
		}
		if theirs(n) && n.sent != 0 {
			before = append(before, n)
		}
		return theirs(n)
	})
	return given, before
}

// back has all calls that were given wait again but the one of an id: they have not begun.
func (m *mailbox) back(but uint64) {
	for _, n := range m.again(func(n *letter) bool { return n.id != but }) {
		if n.id == but {
			m.given = append(m.given, n)
		} else { // nobody waits for it
			m.drop([]*letter{n})
		}
	}
}

// lose is the end of an attempt. It returns the calls that it has cut off.
func (m *mailbox) lose() (cut []*letter) {
	m.runs = nil
	cut = m.again(func(n *letter) bool { return n.idempotent })
	for _, n := range cut {
		m.began(n)
	}
	m.drop(cut)
	return cut
}

func (m *mailbox) began(n *letter) { m.begun.Add(n.caller, n.claim.request) }

// refused returns the calls in doubt of which nobody can tell any more whether they have begun,
// and forgets what they are about. They are those from before the epoch since.
func (m *mailbox) refused(since uint64) (out []*letter) {
	m.waiting = slices.DeleteFunc(m.waiting, func(n *letter) bool {
		hopeless := n.inDoubt() && n.sent < since
		if hopeless {
			out = append(out, n)
		}
		return hopeless
	})
	m.drop(out)
	return out
}

// inDoubt reports whether a call may have begun under an earlier scheduler and must not begin
// again.
func (n *letter) inDoubt() bool { return n.sent != 0 && !n.idempotent }

// again has calls that were given wait before all others, as far as they may and anybody
// waits for them, and returns the rest.
func (m *mailbox) again(may func(*letter) bool) (rest []*letter) {
	var first []*letter
	for _, n := range m.given {
		if may(n) && !n.gone {
			first = append(first, n)
		} else {
			rest = append(rest, n)
		}
	}
	m.given = nil
	if len(first) > 0 {
		m.waiting = append(first, m.waiting...)
	}
	return rest
}

// drop forgets what calls are about that are not given again.
func (m *mailbox) drop(list []*letter) {
	for _, n := range list {
		m.bytes -= len(n.payload)
		n.payload = nil
	}
}

// end empties the mailbox, and returns all calls that have no answer. What has begun has begun
// also for the actor that a retry brings back.
func (m *mailbox) end() (out []*letter) {
	all := append(m.given, m.waiting...)
	m.given, m.waiting, m.runs = nil, nil, nil
	m.drop(all)
	return slices.DeleteFunc(all, func(n *letter) bool { return n.gone })
}

// idle reports whether nothing is kept but what has begun.
func (m *mailbox) idle() bool { return len(m.calls)+len(m.given) == 0 && m.checkpoint == nil }

func answerSize(a *wire.Answered) int {
	return len(a.Result) + len(a.Failure.GetMessage()) + len(a.Failure.GetStack())
}

// of returns a client's call.
func (m *mailbox) of(client graph.ClientID, request uint64) *letter {
	return m.calls[claim{client, request}]
}
