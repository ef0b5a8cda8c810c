package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

func wide(n, most int) []spec.Pool {
	return []spec.Pool{{Name: "wide", Role: spec.RoleWorker, Count: n, MaxPerNode: most}}
}

// What comes on a node that is full goes back, and others are asked for after a pause; what is on its way out has its place
// there until it is gone.
func TestFullNodes(t *testing.T) {
	s := tell(t, Options{Pools: wide(3, 1)})
	s.step(Tick{}, Ask{"wide", 3})
	s.step(Allocated{"c1", "wide", "n1"}, StartContainer{"c1", "wide", "n1"})
	s.step(Allocated{"c2", "wide", "n1"}, ReleaseContainer{"c2"})
	if p := s.pool("wide"); p.Asked != 1 || p.HeldFor == 0 {
		t.Errorf("%+v", p)
	}
	s.step(Allocated{"c3", "wide", "n2"}, StartContainer{"c3", "wide", "n2"}) // which was asked for before
	s.now += s.pool("wide").HeldFor
	s.step(Tick{}, Ask{"wide", 1})
	s.do(Launched{"c1"})
	s.step(Kill{"c1"}, StopContainer{"c1"}, Ask{"wide", 2})
	s.step(Allocated{"c4", "wide", "n1"}, ReleaseContainer{"c4"})
	s.do(Completed{"c1", 143, ""})
	s.step(Allocated{"c5", "wide", "n1"}, StartContainer{"c5", "wide", "n1"})
}

// A provider that heeds no bound gets its containers back more and more slowly, for as long as none of them can be used.
func TestCrowdsAreBounded(t *testing.T) {
	s := tell(t, Options{Pools: wide(3, 1)})
	s.do(Tick{})
	s.do(Allocated{"c", "wide", "n1"})
	back := 0
	for n := 0; s.now < time.Hour; s.now += time.Second {
		if s.do(Tick{}); s.pool("wide").Asked == 0 {
			continue
		}
		n++
		for _, a := range s.do(Allocated{"x" + strings.Repeat("x", n), "wide", "n1"}) {
			if _, ok := a.(ReleaseContainer); ok {
				back++
			}
		}
	}
	if back < 100 || back > 140 { // as many as are missing each minute, but for the first
		t.Errorf("%d came back in an hour", back)
	}
	s.now += s.pool("wide").HeldFor
	s.do(Tick{})
	s.do(Allocated{"good", "wide", "n2"})
	s.do(Allocated{"bad", "wide", "n2"})
	if p := s.pool("wide"); p.Starting != 2 || p.HeldFor > 2*time.Second {
		t.Errorf("after one that could be used: %+v", p)
	}
}

// What an earlier attempt had is found to be too many for its node: the youngest leaves, those first that hold nothing,
// and is replaced.
func TestTooManyForTheirNode(t *testing.T) {
	s := tell(t, Options{Pools: wide(4, 2)})
	s.do(SchedulerAttached{})
	s.step(Recalled{Adopted: []Adoptee{{"c1", "wide", "n1"}, {"c2", "wide", "n1"}, {"c3", "wide", "n1"}, {"c4", "wide", "n2"}}},
		NoteDrain{"c3", "its node has more than 2 of pool wide"}, TellDrain{[]string{"c3"}, "its node has more than 2 of pool wide"}, Ask{"wide", 1})
	s.do(Release{IDs: []string{"c3"}})
	s.do(Completed{"c3", 143, ""})
	s.step(Allocated{"c5", "wide", "n2"}, StartContainer{"c5", "wide", "n2"})
	s.step(Adopted{[]Adoptee{{"c6", "wide", "n2"}}}, NoteDrain{"c5", "its node has more than 2 of pool wide"}, StopContainer{"c5"})
}

// Why more do not come is told at once where all nodes are full, and after a while where others have no room.
func TestWhyAPoolWaits(t *testing.T) {
	s := tell(t, Options{Pools: wide(5, 1)})
	s.do(Cluster{Nodes: 3})
	if p := s.pool("wide"); p.Waits != "" || p.Space != 3 {
		t.Errorf("%+v", p)
	}
	s.up("wide", "a", "b")
	if p := s.pool("wide"); p.Waits != "" || p.Space != 1 {
		t.Errorf("%+v", p)
	}
	s.now += waitsAfter
	s.do(Tick{})
	says := func(want string) {
		t.Helper()
		if got := s.pool("wide").Waits; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	says("3 workers wait: at most 1 of pool wide on a node, and 2 nodes have one; none comes on the other one just now")
	s.up("wide", "c")
	says("2 workers wait: at most 1 of pool wide on a node, and 3 nodes have one")
	s.do(Want{Pool: "wide", N: 4})
	says("1 worker waits: at most 1 of pool wide on a node, and 3 nodes have one")
	s.do(Want{Pool: "wide", N: 3})
	says("")
	s.do(Want{Pool: "wide", N: 4})
	s.do(Stop{Status: Succeeded})
	says("")
	other := tell(t, Options{Pools: workers(2)})
	other.do(Cluster{Nodes: 1})
	other.up("worker", "a")
	other.now += time.Hour
	other.do(Tick{})
	if p := other.pool("worker"); p.Waits != "" || p.Space != -1 {
		t.Errorf("a pool without a bound: %+v", p)
	}
}
