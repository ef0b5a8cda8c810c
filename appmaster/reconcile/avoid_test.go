package reconcile

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// dies has a container of the workers come up on a node and end at once.
func (s *story) dies(id, node string, status int32) []Action {
	s.do(Allocated{id, "worker", node})
	s.do(Launched{id})
	acts := s.do(Completed{ID: id, Status: status})
	s.now += time.Minute // past any pause
	s.do(Tick{})
	return acts
}

func avoids(acts []Action) (list []Avoid) {
	for _, a := range acts {
		if a, ok := a.(Avoid); ok {
			list = append(list, a)
		}
	}
	return list
}

// short is an application of workers that are well after two minutes, on a cluster of six.
func short(t *testing.T, n int) *story {
	pools := workers(n)
	pools[0].MaxRestarts, pools[0].HealthyAfter = -1, spec.Duration(2*time.Minute)
	s := tell(t, Options{Pools: pools, Node: "am", AvoidFor: time.Hour})
	s.do(Cluster{Nodes: 6})
	return s
}

// A node on which three in a row do not stay up is avoided for a while, and again after one
// more; the next attempt knows.
func TestNodeIsAvoided(t *testing.T) {
	s := short(t, 1)
	for i := range suspectAfter {
		acts := avoids(s.dies(fmt.Sprint("c", i), "bad", 1))
		if last := i == suspectAfter-1; last != (len(acts) == 1) {
			t.Fatalf("after %d: %v", i+1, acts)
		}
	}
	v := s.core.Avoided()
	if len(v) != 1 || v[0].Node != "bad" || v[0].Left != 59*time.Minute || v[0].Why != "exited with code 1" {
		t.Errorf("%+v", v)
	}
	s.now += 20 * time.Minute
	s.do(Tick{})
	next := tell(t, Options{Pools: s.core.opt.Pools, Node: "am", AvoidFor: time.Hour})
	if got := avoids(next.do(Recalled{Memory: s.core.Memory()})); !reflect.DeepEqual(got, []Avoid{{[]string{"bad"}}}) {
		t.Errorf("the next attempt avoids %v", got)
	}
	if got := next.core.Memory().Avoided; len(got) != 1 || got[0].Node != "bad" {
		t.Errorf("and remembers %v before it knows the cluster", got)
	}
	if got := avoids(next.do(Cluster{Nodes: 6})); len(got) != 0 {
		t.Errorf("and then %v", got)
	}
	// Where there are too few nodes meanwhile the cluster is told that it may use this one.
	fewer := tell(t, Options{Pools: s.core.opt.Pools, Node: "am", AvoidFor: time.Hour})
	fewer.do(Recalled{Memory: s.core.Memory()})
	if got := avoids(fewer.do(Cluster{Nodes: 2})); !reflect.DeepEqual(got, []Avoid{{nil}}) {
		t.Errorf("of two nodes it avoids %v", got)
	}
	next.now += 41 * time.Minute
	if got := avoids(next.do(Tick{})); !reflect.DeepEqual(got, []Avoid{{nil}}) {
		t.Errorf("after the hour: %v", got)
	}
	s.now += 41 * time.Minute
	s.do(Tick{})
	if got := avoids(s.dies("once more", "bad", 1)); len(got) != 1 {
		t.Errorf("once more: %v", got)
	}
	s.now += 2 * time.Hour
	s.do(Tick{})
	s.up("worker", "good")
	s.core.containers["good"].node = "bad"
	s.now += 3 * time.Minute
	s.do(Tick{})
	for i := range suspectAfter - 1 {
		if got := avoids(s.dies(fmt.Sprint("d", i), "bad", 1)); len(got) != 0 {
			t.Errorf("though one was well there: %v", got)
		}
	}
}

// What ends otherwise than by itself, or by the node, speaks not against a node.
func TestBlamelessNode(t *testing.T) {
	s := short(t, 1)
	for i, status := range []int32{StatusMemory, StatusPreempted, StatusAborted, StatusByRM, StatusMemory, StatusVMemory} {
		if got := avoids(s.dies(fmt.Sprint("c", i), "n", status)); len(got) != 0 {
			t.Errorf("status %d: %v", status, got)
		}
	}
	for i := range suspectAfter {
		id := fmt.Sprint("v", i)
		s.do(Allocated{id, "worker", "n"})
		if got := avoids(s.do(LaunchFailed{ID: id, Blameless: true, Void: true})); len(got) != 0 {
			t.Errorf("a void container: %v", got)
		}
		s.now += time.Minute
		s.do(Tick{})
	}
	for i := range suspectAfter {
		id := fmt.Sprint("u", i)
		s.do(Allocated{id, "worker", "n"})
		if got := avoids(s.do(LaunchFailed{ID: id, Blameless: true})); (len(got) == 1) != (i == suspectAfter-1) {
			t.Errorf("a node that does not answer, %d: %v", i, got)
		}
		s.now += time.Minute
		s.do(Tick{})
	}
}

// Where too much of the cluster, or all that is known of it, would be avoided it is the
// program.
func TestProgramThatDiesEverywhere(t *testing.T) {
	s := short(t, 1)
	for n, node := range []string{"a", "b", "c"} {
		var last []Avoid
		for i := range suspectAfter {
			last = append(last, avoids(s.dies(fmt.Sprint(node, i), node, 1))...)
		}
		if want := []int{1, 2, 0}[n]; len(last) != 1 || len(last[0].Nodes) != want {
			t.Errorf("after %d nodes: %v", n+1, last)
		}
	}
	s = short(t, 1)
	for i := range 2 * suspectAfter {
		if got := avoids(s.dies(fmt.Sprint(i), "am", 1)); len(got) != 0 {
			t.Errorf("the only node that is known: %v", got)
		}
	}
}
