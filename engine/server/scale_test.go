package server

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/wire"
)

func (f *fleet) wanted(pool string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, ok := f.wants[pool]; ok {
		return n
	}
	return -1
}

// A pool that adapts is asked for when there is work, up to its maximum, and goes when
// there is none; nothing of it is computed again.
func TestPoolScalesByItself(t *testing.T) {
	f := &fleet{}
	c := start(t, Options{Fleet: f, Adapt: adapt.Config{Idle: time.Second, Step: 50 * time.Millisecond}})
	state := PoolState{Name: "worker", Adapts: true, Max: 3, Slots: 1}
	c.srv.Pools([]PoolState{state})
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 50)
	eventually(t, "the first worker is asked for", func() bool { return f.wanted("worker") >= 1 })
	eventually(t, "all are", func() bool { return f.wanted("worker") == 3 })
	state.Wanted, state.Containers = 3, 3
	c.srv.Pools([]PoolState{state})
	for _, name := range []string{"w0", "w1", "w2"} {
		c.autoWorker(name, 1, echo)
	}
	cl.outcomes(watch, 50)
	eventually(t, "nobody is needed", func() bool { return f.wanted("worker") == 0 })
	events := cl.call(&wire.Request{Body: &wire.Request_ListEvents{ListEvents: &wire.ListEvents{}}}).GetEvents().GetEvent()
	var said []string
	for _, e := range events {
		if strings.HasPrefix(e.Kind, "scale.") {
			said = append(said, e.Kind+" "+e.Object+" "+e.Text)
		}
	}
	all := strings.Join(said, "\n")
	for _, words := range []string{"scale.raise worker from 0 to 1: nobody knows yet how long 50 tasks take: one worker tries", "scale.lower worker from 3 to 0: nothing to do for 1s"} {
		if !strings.Contains(all, words) {
			t.Errorf("the events do not say %q:\n%s", words, all)
		}
	}
}

// What a person says is not changed, and an unheard number is said again.
func TestPinnedPoolStays(t *testing.T) {
	f := &fleet{}
	c := start(t, Options{Fleet: f})
	cl := c.client("alice", "")
	cl.tasks(cl.newJob(""), 0, 50)
	pinned, adapts := PoolState{Name: "pinned", Slots: 1}, PoolState{Name: "worker", Adapts: true, Min: 2, Max: 2, Slots: 1}
	c.srv.Pools([]PoolState{pinned, adapts})
	eventually(t, "two are asked for", func() bool { return f.wanted("worker") == 2 })
	f.mu.Lock()
	delete(f.wants, "worker")
	f.mu.Unlock()
	eventually(t, "they are asked for again", func() bool { return f.wanted("worker") == 2 })
	if n := f.wanted("pinned"); n != -1 {
		t.Errorf("%d were asked for in a pool that does not adapt", n)
	}
}
