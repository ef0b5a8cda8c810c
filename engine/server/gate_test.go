package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// slowGates is gates in the most obvious way: all claims in one list, looked through
// from its beginning whenever something has changed.
type slowGates struct {
	list  []slowClaim
	set   map[string]bool
	token uint64
}

type slowClaim struct {
	c       claim
	name    string
	event   bool
	permits uint32
	token   uint64 // 0: it waits
}

func (s *slowGates) settle() (out []grant) {
	for i := 0; i < len(s.list); i++ {
		x := &s.list[i]
		switch {
		case x.token != 0:
		case x.event && s.set[x.name]:
			out = append(out, grant{claim: x.c})
			s.list = slices.Delete(s.list, i, i+1)
			i--
		case !x.event && s.holders(x.name) < int(x.permits):
			s.token++
			x.token = s.token
			out = append(out, grant{x.c, x.token})
		}
	}
	return out
}

func (s *slowGates) holders(name string) (n int) {
	for _, x := range s.list {
		if x.name == name && !x.event && x.token != 0 {
			n++
		}
	}
	return n
}

func (s *slowGates) acquire(c claim, name string, permits uint32) ([]grant, bool) {
	for _, x := range s.list {
		if x.name == name && !x.event && x.permits != permits {
			return nil, false
		}
	}
	for _, x := range s.list {
		if x.c == c && x.name == name && !x.event {
			if x.token != 0 {
				return []grant{{c, x.token}}, true
			}
			return nil, true
		}
	}
	s.list = append(s.list, slowClaim{c: c, name: name, permits: permits})
	return s.settle(), true
}

func (s *slowGates) wait(c claim, name string) []grant {
	again := slices.ContainsFunc(s.list, func(x slowClaim) bool { return x.c == c && x.name == name && x.event })
	if !again {
		s.list = append(s.list, slowClaim{c: c, name: name, event: true})
	}
	return s.settle()
}

func (s *slowGates) remove(match func(slowClaim) bool) []grant {
	s.list = slices.DeleteFunc(s.list, match)
	return s.settle()
}

// leave gives back what the client holds, in the order of names and tokens.
func (s *slowGates) leave(client graph.ClientID) (out []grant) {
	s.remove(func(x slowClaim) bool { return x.c.client == client && x.token == 0 })
	for {
		var first *slowClaim
		for i := range s.list {
			x := &s.list[i]
			if x.c.client == client && (first == nil || x.name < first.name || x.name == first.name && x.token < first.token) {
				first = x
			}
		}
		if first == nil {
			return out
		}
		token := first.token
		out = append(out, s.remove(func(x slowClaim) bool { return x.token == token })...)
	}
}

func sorted(g []grant) []grant {
	g = slices.Clone(g)
	slices.SortFunc(g, func(a, b grant) int {
		return slices.Compare([]uint64{a.token, uint64(a.claim.client), a.claim.request}, []uint64{b.token, uint64(b.claim.client), b.claim.request})
	})
	return g
}

// Who is granted what, and by which token, agrees with the obvious way, whatever clients
// do.
func TestGates(t *testing.T) {
	for seed := range uint64(300) {
		if err := playGates(rand.New(rand.NewPCG(seed, 1))); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func playGates(r *rand.Rand) error {
	g, s := newGates(1), &slowGates{set: map[string]bool{}, token: 1 << 40}
	names := []string{"a", "b", "c"}
	permits := map[string]uint32{"a": 1, "b": 2, "c": 3}
	request := uint64(0)
	for step := range 400 {
		c := claim{graph.ClientID(r.IntN(5) + 1), request}
		if r.IntN(5) > 0 || request == 0 {
			request++
			c.request = request
		} else {
			c.request = r.Uint64N(request) + 1 // again, or of something else
		}
		name := names[r.IntN(len(names))]
		var got, want []grant
		var err error
		switch op := r.IntN(12); {
		case op < 4:
			n := permits[name]
			if r.IntN(10) == 0 {
				n++
			}
			var ok bool
			got, err = g.acquire(c, name, n)
			if want, ok = s.acquire(c, name, n); ok == errors.Is(err, wire.Conflict) {
				return fmt.Errorf("step %d: %d permits of %s: %v", step, n, name, err)
			}
		case op < 6:
			if len(s.list) > 0 {
				x := s.list[r.IntN(len(s.list))]
				got = g.release(x.c.client, x.name, x.token)
				want = s.remove(func(y slowClaim) bool { return x.token != 0 && y.token == x.token })
			}
		case op < 8:
			got, err = g.wait(c, name)
			want = s.wait(c, name)
		case op < 9:
			on := r.IntN(3) == 0
			got, err = g.set(name, on)
			s.set[name] = on
			want = s.settle()
		case op < 11:
			got = g.abandon(c, name)
			want = s.remove(func(y slowClaim) bool { return y.c == c && y.name == name })
		default:
			got, want = g.leave(c.client), s.leave(c.client)
		}
		if err != nil && !errors.Is(err, wire.Conflict) {
			return fmt.Errorf("step %d: %w", step, err)
		}
		if fmt.Sprint(sorted(got)) != fmt.Sprint(sorted(want)) {
			return fmt.Errorf("step %d: granted %v, want %v", step, got, want)
		}
		if g.token != s.token {
			return fmt.Errorf("step %d: last token %d, want %d", step, g.token, s.token)
		}
	}
	for client := range 6 {
		g.leave(graph.ClientID(client))
	}
	for _, name := range names {
		if _, err := g.set(name, false); err != nil {
			return err
		}
	}
	if len(g.semaphores)+len(g.events)+len(g.of) != 0 {
		return fmt.Errorf("left behind: %v %v %v", g.semaphores, g.events, g.of)
	}
	return nil
}

func TestGatesHaveBounds(t *testing.T) {
	g := newGates(2)
	for i := range uint64(maxClaims) {
		if _, err := g.wait(claim{1, i}, "e"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.acquire(claim{1, maxClaims}, "s", 1); !errors.Is(err, wire.TooLarge) {
		t.Errorf("a claim too many: %v", err)
	}
	out, err := g.acquire(claim{2, 1}, "s", 1)
	if err != nil || len(out) != 1 || out[0].token != 2<<40+1 {
		t.Errorf("another client: %v, %v", out, err)
	}
	if out, err := g.acquire(claim{2, 1}, "s", 1); err != nil || len(out) != 1 || out[0].token != 2<<40+1 {
		t.Errorf("the same claim again: %v, %v", out, err)
	}
}
