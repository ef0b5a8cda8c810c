package server

import (
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// gateKeeper binds gates to sessions: a claim that waits is answered later.
type gateKeeper struct {
	*gates
	sessions map[graph.ClientID]*session // that have had claims
}

// requestGate does what a client asks of a lock, semaphore or event.
func (l *loop) requestGate(s *session, id uint64, m *wire.Gate, reply *wire.Reply) (answered bool, err error) {
	if err := checkTitle("name", m.Name); err != nil {
		return false, err
	}
	k := &l.gates
	k.sessions[s.id] = s
	c := claim{s.id, id}
	var out []grant
	switch m.Op {
	case wire.GateOp_ACQUIRE:
		if m.Permits == 0 {
			return false, wire.Errorf(wire.Invalid, "%q: a semaphore of no permits", m.Name)
		}
		out, err = k.acquire(c, m.Name, m.Permits)
	case wire.GateOp_WAIT:
		out, err = k.wait(c, m.Name)
	case wire.GateOp_RELEASE:
		out = k.release(s.id, m.Name, m.Token)
	case wire.GateOp_ABANDON:
		out = k.abandon(claim{s.id, m.Request}, m.Name)
	case wire.GateOp_SET, wire.GateOp_CLEAR:
		out, err = k.set(m.Name, m.Op == wire.GateOp_SET)
	default:
		return false, wire.Errorf(wire.Invalid, "%q: this scheduler does not know what to do with it (%d)", m.Name, m.Op)
	}
	if err != nil {
		return false, err
	}
	l.granted(out)
	if m.Op == wire.GateOp_ACQUIRE || m.Op == wire.GateOp_WAIT {
		return true, nil // by granted, now or later
	}
	reply.Body = &wire.Reply_Granted{Granted: &wire.Granted{}}
	return false, nil
}

// granted answers claims. A client that is away asks again when it is back.
func (l *loop) granted(out []grant) {
	for _, g := range out {
		if s := l.gates.sessions[g.claim.client]; s != nil && s.conn != nil {
			l.say(s.conn, &wire.Reply{ //nolint:errcheck // the reader notices
				Id: g.claim.request, Body: &wire.Reply_Granted{Granted: &wire.Granted{Token: g.token}},
			})
		}
	}
}

// leaveGates is the end of a session.
func (l *loop) leaveGates(s *session) {
	delete(l.gates.sessions, s.id)
	l.granted(l.gates.leave(s.id))
}
