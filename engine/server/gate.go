package server

import (
	"cmp"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// gates are the locks, semaphores and events of the cluster: values in, grants out. It
// knows no connections: whoever waits is a claim.
//
//	name "db"  permits 2   held {1/7: token 40, 2/3: token 41}   queue [1/9, 3/1]
//
// A semaphore lives while somebody holds or awaits it, a lock is one of one permit. An
// event lives while it is set or awaited. Claims are served in the order in which they
// came. Each grant of a semaphore has a token that is larger than all before.
type gates struct {
	semaphores map[string]*semaphore
	events     map[string]*event
	token      uint64 // of the last grant
	// of is where each client has claims: what the end of its session has to look at.
	of map[graph.ClientID]map[gateKey]int
}

// claim is a request of a client that waits, or holds.
type claim struct {
	client  graph.ClientID
	request uint64
}

type gateKey struct {
	name  string
	event bool
}

type semaphore struct {
	permits uint32
	held    map[claim]uint64 // tokens
	queue   []claim
}

type event struct {
	set   bool
	queue []claim
}

// grant is an answer to a claim.
type grant struct {
	claim claim
	token uint64 // 0 of an event
}

// Bounds of what clients may make the scheduler keep.
const (
	maxGates  = 100_000 // semaphores and events
	maxClaims = 10_000  // of one client
)

func newGates(epoch uint64) *gates {
	return &gates{
		semaphores: map[string]*semaphore{}, events: map[string]*event{}, of: map[graph.ClientID]map[gateKey]int{},
		// A scheduler that replaces another one goes on above its tokens.
		token: epoch << 40,
	}
}

// acquire takes a permit, or queues for one. A claim that is repeated is where it was.
func (g *gates) acquire(c claim, name string, permits uint32) ([]grant, error) {
	s := g.semaphores[name]
	if s != nil && s.permits != permits {
		return nil, wire.Errorf(wire.Conflict, "%q is in use with %d permits, not %d: all who share it must agree", name, s.permits, permits)
	}
	if s != nil {
		if token, ok := s.held[c]; ok {
			return []grant{{c, token}}, nil
		}
		if slices.Contains(s.queue, c) {
			return nil, nil
		}
	}
	if err := g.room(c, s == nil); err != nil {
		return nil, err
	}
	if s == nil {
		s = &semaphore{permits: permits, held: map[claim]uint64{}}
		g.semaphores[name] = s
	}
	s.queue = append(s.queue, c)
	g.note(c, gateKey{name: name}, 1)
	return g.serve(s, nil), nil
}

// serve gives free permits to who waits.
func (g *gates) serve(s *semaphore, out []grant) []grant {
	for len(s.queue) > 0 && len(s.held) < int(s.permits) {
		g.token++
		s.held[s.queue[0]] = g.token
		out = append(out, grant{s.queue[0], g.token})
		s.queue = s.queue[1:]
	}
	return out
}

// release gives the permit of that token back. One that is not held is none to give:
// it was given back before, or lost with its session.
func (g *gates) release(client graph.ClientID, name string, token uint64) []grant {
	if s := g.semaphores[name]; s != nil {
		for c, t := range s.held {
			if t == token && c.client == client {
				return g.drop(c, gateKey{name: name}, nil)
			}
		}
	}
	return nil
}

// set sets an event, or clears it.
func (g *gates) set(name string, on bool) ([]grant, error) {
	e := g.events[name]
	if e == nil {
		if !on {
			return nil, nil
		}
		if err := g.room(claim{}, true); err != nil {
			return nil, err
		}
		e = &event{}
		g.events[name] = e
	}
	e.set = on
	var out []grant
	if on {
		for _, c := range e.queue {
			out = append(out, grant{claim: c})
			g.note(c, gateKey{name, true}, -1)
		}
		e.queue = nil
	}
	g.tidy(gateKey{name, true})
	return out, nil
}

// wait waits for an event.
func (g *gates) wait(c claim, name string) ([]grant, error) {
	e := g.events[name]
	if e != nil && e.set {
		return []grant{{claim: c}}, nil
	}
	if e != nil && slices.Contains(e.queue, c) {
		return nil, nil
	}
	if err := g.room(c, e == nil); err != nil {
		return nil, err
	}
	if e == nil {
		e = &event{}
		g.events[name] = e
	}
	e.queue = append(e.queue, c)
	g.note(c, gateKey{name, true}, 1)
	return nil, nil
}

// abandon takes a claim back, whether it waits or holds.
func (g *gates) abandon(c claim, name string) []grant {
	return g.drop(c, gateKey{name, true}, g.drop(c, gateKey{name: name}, nil))
}

// leave takes back all that a client waits for and holds.
func (g *gates) leave(client graph.ClientID) (out []grant) {
	for _, k := range slices.SortedFunc(maps.Keys(g.of[client]), gateKey.compare) {
		for _, c := range g.claims(client, k) {
			out = g.drop(c, k, out)
		}
	}
	return out
}

// claims returns a client's claims, those that wait first: what it holds must not come
// to it once more.
func (g *gates) claims(client graph.ClientID, k gateKey) (out []claim) {
	mine := func(c claim) bool { return c.client == client }
	if k.event {
		return filter(g.events[k.name].queue, mine)
	}
	s := g.semaphores[k.name]
	held := slices.SortedFunc(maps.Keys(s.held), func(a, b claim) int { return cmp.Compare(s.held[a], s.held[b]) })
	return append(filter(s.queue, mine), filter(held, mine)...)
}

// drop takes one claim out, and serves who waits behind it.
func (g *gates) drop(c claim, k gateKey, out []grant) []grant {
	if k.event {
		if e := g.events[k.name]; e != nil {
			if i := slices.Index(e.queue, c); i >= 0 {
				e.queue = slices.Delete(e.queue, i, i+1)
				g.note(c, k, -1)
			}
			g.tidy(k)
		}
		return out
	}
	s := g.semaphores[k.name]
	if s == nil {
		return out
	}
	if i := slices.Index(s.queue, c); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		g.note(c, k, -1)
	} else if _, ok := s.held[c]; ok {
		delete(s.held, c)
		g.note(c, k, -1)
		out = g.serve(s, out)
	}
	g.tidy(k)
	return out
}

// tidy forgets what nobody uses.
func (g *gates) tidy(k gateKey) {
	if e := g.events[k.name]; k.event && e != nil && !e.set && len(e.queue) == 0 {
		delete(g.events, k.name)
	}
	if s := g.semaphores[k.name]; !k.event && s != nil && len(s.held)+len(s.queue) == 0 {
		delete(g.semaphores, k.name)
	}
}

// note counts a client's claims.
func (g *gates) note(c claim, k gateKey, delta int) {
	m := g.of[c.client]
	if m == nil {
		m = map[gateKey]int{}
		g.of[c.client] = m
	}
	if m[k] += delta; m[k] == 0 {
		delete(m, k)
	}
	if len(m) == 0 {
		delete(g.of, c.client)
	}
}

func (g *gates) room(c claim, one bool) error {
	n := 0
	for _, k := range g.of[c.client] {
		n += k
	}
	switch {
	case one && len(g.semaphores)+len(g.events) >= maxGates:
		return wire.Errorf(wire.TooLarge, "there are %d locks, semaphores and events: the limit", maxGates)
	case n >= maxClaims:
		return wire.Errorf(wire.TooLarge, "this client holds or awaits %d locks, semaphores and events: the limit", maxClaims)
	}
	return nil
}

func (k gateKey) compare(other gateKey) int {
	switch {
	case k.name != other.name:
		return cmp.Compare(k.name, other.name)
	case k.event == other.event:
		return 0
	case k.event:
		return 1
	}
	return -1
}

func filter(in []claim, ok func(claim) bool) (out []claim) {
	for _, c := range in {
		if ok(c) {
			out = append(out, c)
		}
	}
	return out
}
