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

func note(client, request int, idempotent bool) *letter {
	return &letter{claim: claim{graph.ClientID(client), uint64(request)}, method: "m", payload: []byte{byte(request)}, idempotent: idempotent}
}

func requests(list []*letter) (out []uint64) {
	for _, n := range list {
		out = append(out, n.claim.request)
	}
	return out
}

func wantRequests(t *testing.T, what string, got []*letter, want ...uint64) {
	t.Helper()
	if !slices.Equal(requests(got), want) {
		t.Errorf("%s: %v, want %v", what, requests(got), want)
	}
}

// Calls are given in order; what an attempt's death cuts off is done again only if it may
// be, and before the rest.
func TestMailboxOrder(t *testing.T) {
	m := newMailbox()
	for i := 1; i <= 5; i++ {
		if err := m.add(note(1, i, i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	wantRequests(t, "a window of 3", m.take(3), 1, 2, 3)
	wantRequests(t, "no room", m.take(3))
	if n := m.answered(1); n == nil || n.claim.request != 1 {
		t.Fatalf("%v", n)
	}
	if m.answered(1) != nil || m.answered(9) != nil {
		t.Error("answered twice, or never given")
	}
	wantRequests(t, "one more", m.take(3), 4)
	wantRequests(t, "cut off", m.lose(), 3)
	got := m.take(10)
	wantRequests(t, "the next attempt", got, 2, 4, 5)
	if got[0].id <= 4 {
		t.Errorf("id %d was given before", got[0].id)
	}
	m.back(got[0].id)
	wantRequests(t, "what had not begun", m.take(10), 4, 5)
	m.back(0)
	wantRequests(t, "none has begun", m.take(10), 2, 4, 5)
	wantRequests(t, "the end", m.end(), 2, 4, 5)
}

// While a call runs that an earlier scheduler has delivered, that one alone is given, when it comes again.
func TestMailboxHoldsBehindWhatRuns(t *testing.T) {
	for _, comes := range []bool{false, true} {
		m := newMailbox()
		m.last, m.runs = 9, &running{caller: 7, request: 2, id: 5}
		for i := 1; i <= 3; i++ {
			if n := note(1, i, false); i != 2 || comes {
				n.caller, n.sent = 7, 1
				if err := m.add(n); err != nil {
					t.Fatal(err)
				}
			}
		}
		ends := uint64(5)
		if comes {
			wantRequests(t, "what runs", m.take(9), 2)
			ends = m.given[0].id
		}
		wantRequests(t, "nothing behind it", m.take(9))
		m.answered(4)
		wantRequests(t, "another one's answer", m.take(9))
		m.answered(ends)
		wantRequests(t, "when it has ended", m.take(9), 1, 3)
	}
}

func TestMailboxWithdraw(t *testing.T) {
	m := newMailbox()
	for i := 1; i <= 3; i++ {
		if err := m.add(note(1, i, true)); err != nil {
			t.Fatal(err)
		}
	}
	m.take(1)
	for request, given := range map[uint64]bool{1: true, 2: false} {
		n := m.of(1, request)
		if m.withdraw(n) != given {
			t.Errorf("call %d: given is %v", request, !given)
		}
		m.forget(n)
	}
	m.back(0)
	if len(m.given) != 0 {
		t.Error("given back, and still given")
	}
	wantRequests(t, "left", m.take(5), 3)
	wantRequests(t, "cut off", m.lose())
	n := m.take(5)[0]
	m.withdraw(n)
	m.forget(n)
	wantRequests(t, "cut off, though nobody waits", m.lose(), 3)
	if !m.idle() || m.bytes != 0 {
		t.Errorf("%d calls, %d bytes are left", len(m.calls), m.bytes)
	}
}

func TestMailboxBounds(t *testing.T) {
	m := newMailbox()
	if err := m.add(&letter{payload: make([]byte, wire.MaxCall+1)}); !errors.Is(err, wire.TooLarge) {
		t.Errorf("a large call: %v", err)
	}
	for i := range maxMailBytes / wire.MaxCall {
		if err := m.add(&letter{claim: claim{1, uint64(i)}, payload: make([]byte, wire.MaxCall)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.add(note(2, 1, true)); !errors.Is(err, wire.Busy) {
		t.Errorf("full: %v", err)
	}
	if got := m.take(maxGiven); len(got) != 1 {
		t.Errorf("%d large calls at once", len(got))
	}
	m = newMailbox()
	for i := range maxMail {
		if err := m.add(note(1, i, true)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.add(note(2, 1, true)); !errors.Is(err, wire.Busy) {
		t.Errorf("full: %v", err)
	}
}

// Who leaves takes back what it has asked for, and nothing of others.
func TestMailboxLeave(t *testing.T) {
	m := newMailbox()
	for i := 1; i <= 6; i++ {
		if err := m.add(note(i%2, i, true)); err != nil {
			t.Fatal(err)
		}
	}
	m.keep(m.of(1, 1), &wire.Answered{Result: []byte("kept")})
	given := m.take(2)
	if got, _ := m.leave(1); !slices.Equal(got, []uint64{given[0].id}) {
		t.Errorf("%v", got)
	}
	wantRequests(t, "what others wait for", m.take(9), 4, 6)
	wantRequests(t, "cut off", m.lose(), 1)
	wantRequests(t, "the end", m.end(), 2, 4, 6)
	if m.bytes != 0 || len(m.calls) != 3 {
		t.Errorf("%d bytes, %d calls", m.bytes, len(m.calls))
	}
}

// twin is a mailbox as anybody would write it: one list of calls with what is known of each.
type twin struct{ list []*twinCall }

type twinCall struct {
	request uint64
	may     bool // be done again
	given   uint64
	done    bool
}

func (w *twin) find(ok func(*twinCall) bool) *twinCall {
	for _, c := range w.list {
		if !c.done && ok(c) {
			return c
		}
	}
	return nil
}

// A mailbox does what its twin does, whatever comes in whatever order, and leaves nothing.
func TestMailboxTwin(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		m, w, next, last, gone := newMailbox(), &twin{}, uint64(0), uint64(0), map[uint64]bool{}
		check := func(what string, got []*letter, want []uint64) {
			t.Helper()
			if !slices.Equal(requests(got), want) {
				t.Fatalf("seed %d: %s: %v, the twin %v", seed, what, requests(got), want)
			}
		}
		for range 200 {
			switch r.IntN(10) {
			case 0, 1, 2, 3:
				next++
				n := note(1, int(next), r.IntN(2) == 0)
				if err := m.add(n); err != nil {
					t.Fatal(err)
				}
				w.list = append(w.list, &twinCall{request: next, may: n.idempotent})
			case 4, 5:
				window, given, want := 1+r.IntN(4), 0, []uint64(nil)
				for _, c := range w.list {
					if !c.done && c.given > 0 {
						given++
					}
				}
				for given+len(want) < window {
					c := w.find(func(c *twinCall) bool { return c.given == 0 })
					if c == nil {
						break
					}
					last++
					c.given = last
					want = append(want, c.request)
				}
				check("take", m.take(window), want)
			case 6, 7:
				id := 1 + r.Uint64N(last+1)
				c := w.find(func(c *twinCall) bool { return c.given == id })
				n := m.answered(id)
				if (c == nil) != (n == nil) || c != nil && c.request != n.claim.request {
					t.Fatalf("seed %d: answer %d: %v, the twin %v", seed, id, n, c)
				}
				if c != nil {
					c.done = true
					m.forget(n)
				}
			case 8:
				c := w.find(func(c *twinCall) bool { return !gone[c.request] && r.IntN(3) == 0 })
				if c == nil {
					continue
				}
				n := m.of(1, c.request)
				if given := m.withdraw(n); given != (c.given > 0) {
					t.Fatalf("seed %d: withdraw %d: given is %v", seed, c.request, given)
				}
				m.forget(n)
				gone[c.request] = true
				c.done = c.given == 0
			case 9:
				var cut []uint64
				for _, c := range w.list {
					if c.done || c.given == 0 {
						continue
					}
					if c.given = 0; !c.may || gone[c.request] {
						c.done = true
						cut = append(cut, c.request)
					}
				}
				got := m.lose()
				check("lose", got, cut)
				for _, n := range got {
					m.forget(n)
				}
			}
		}
		var want []uint64
		for _, given := range []bool{true, false} {
			for _, c := range w.list {
				if !c.done && !gone[c.request] && c.given > 0 == given {
					want = append(want, c.request)
				}
			}
		}
		got := m.end()
		check("end", got, want)
		for _, n := range got {
			m.forget(n)
		}
		if !m.idle() || m.bytes != 0 {
			t.Fatalf("seed %d: %d bytes, %s", seed, m.bytes, fmt.Sprint(m.calls))
		}
	}
}
