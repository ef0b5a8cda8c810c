package server

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

func (c *client) events() []*wire.Event {
	c.t.Helper()
	return c.call(&wire.Request{Body: &wire.Request_ListEvents{ListEvents: &wire.ListEvents{}}}).GetEvents().GetEvent()
}

// What was decided, and from what, is told as an event, and by the next scheduler as well,
// with a snapshot as without. So is how long a start takes.
func TestDecisionsOutliveTheScheduler(t *testing.T) {
	for growth, what := range map[int64]string{1: "from a snapshot", 1 << 30: "from the records"} {
		t.Run(what, func(t *testing.T) {
			dir := memstore.New(1, false)
			o := Options{Fleet: &fleet{}, Journal: dir.Process(nil), JournalGrowth: growth, Adapt: adapt.Config{Delay: 7 * time.Second}}
			first := start(t, o)
			pool := PoolState{Name: "worker", Adapts: true, Max: 5, Slots: 1}
			first.srv.Pools([]PoolState{pool})
			cl := first.client("alice", "")
			cl.tasks(cl.newJob("j"), 0, 40)
			var before []*wire.Decision
			eventually(t, "decisions", func() bool {
				before = cl.explain(&wire.Explain{}).Decision
				return len(before) > 0 && before[len(before)-1].Want == 5
			})
			if d := before[0]; d.Tasks != 40 || d.Unknown != 40 || d.DelayUs != 7_000_000 {
				t.Errorf("%v", d)
			}
			if growth == 1 {
				eventually(t, "a snapshot", func() bool {
					cl.newJob("")
					return first.srv.loop.ledger.journal.Size() > 0
				})
			}
			if err := first.srv.Close(); err != nil {
				t.Fatal(err)
			}

			o.Journal, o.Epoch, o.Adapt = dir.Process(nil), 2, adapt.Config{}
			second := start(t, o)
			cl = second.client("alice", "")
			after := cl.explain(&wire.Explain{}).Decision
			if len(after) < len(before) {
				t.Fatalf("of %d decisions %d are known", len(before), len(after))
			}
			for i := range before {
				if !proto.Equal(before[i], after[i]) {
					t.Errorf("decision %d was\n%v, is\n%v", i, before[i], after[i])
				}
			}
			told := 0
			for _, e := range cl.events() {
				if d := e.GetDecision(); d != nil && told < len(before) && proto.Equal(d, before[told]) {
					told++
				}
			}
			if told != len(before) {
				t.Errorf("events tell %d of %d decisions with what they follow from", told, len(before))
			}
			second.srv.Pools([]PoolState{pool})
			d := adapt.Decision{}
			eventually(t, "it has decided", func() bool {
				d = second.decided()
				return d.Pool != ""
			})
			if d.Inputs.Delay != 7*time.Second {
				t.Errorf("a start takes %v, before it took 7s", d.Inputs.Delay)
			}
		})
	}
}

// A pool that begins to be kept from what would be of use says so once, by whatever it is.
func TestBoundIsToldOnce(t *testing.T) {
	f := func(bound adapt.Bound) adapt.Decision {
		return adapt.Decision{Pool: "worker", Kind: adapt.Hold, Bound: bound, Before: 3, Want: 3, Reason: "why"}
	}
	for _, bound := range []adapt.Bound{adapt.Failures, adapt.Unmet, adapt.Maximum, adapt.Room} {
		t.Run(string(bound), func(t *testing.T) {
			s := newScaler(adapt.Config{})
			told := func(at time.Duration, d adapt.Decision) bool {
				return s.newlyBound(&decision{time.Unix(1000, 0).Add(at), d})
			}
			if told(0, f(adapt.Unbound)) || !told(time.Second, f(bound)) {
				t.Error("its beginning is not told")
			}
			n := 0
			for i := range 300 { // now it is, now it is not
				d := f(bound)
				if i%3 == 0 {
					d = f(adapt.Unbound)
				}
				if told(time.Duration(i+2)*time.Second, d) {
					n++
				}
			}
			if n > 0 {
				t.Errorf("it was told %d times more", n)
			}
			if !told(301*time.Second+boundAgain, f(bound)) {
				t.Error("it is not told when it begins anew")
			}
		})
	}
}

// A maximum that is reached is told when more would be of use.
func TestReachedMaximumIsTold(t *testing.T) {
	c := start(t, Options{Fleet: &fleet{}, Adapt: adapt.Config{Step: time.Millisecond}})
	cl := c.client("alice", "")
	c.srv.Pools([]PoolState{{Name: "worker", Adapts: true, Min: 2, Max: 2, Slots: 1, Wanted: 2}})
	eventually(t, "it has decided", func() bool { return c.decided().Pool != "" })
	cl.tasks(cl.newJob(""), 0, 50)
	var said []string
	eventually(t, "it is told", func() bool {
		said = nil
		for _, e := range cl.events() {
			if e.GetDecision() != nil {
				said = append(said, fmt.Sprint(e.Kind, " ", e.Decision.Bound, " ", e.Decision.Width))
			}
		}
		return len(said) > 0
	})
	if said[0] != "scale.hold maximum 50" {
		t.Errorf("%q", said)
	}
}
