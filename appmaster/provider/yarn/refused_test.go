package yarn

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// What is guaranteed comes for an opportunistic pool, and goes back. Whether that is the end is not for the provider to
// say: it does not know what the application has beside, which an earlier attempt may have begun.
func TestNotOffered(t *testing.T) {
	c := newCluster(t)
	c.previous = []*pb.Container{c.container(1, 2), c.container(2, 2)}
	c.next = 2
	p, _ := c.begin(t)
	p.Ask("spare", 1, 0)
	ev := next[reconcile.Event](t, p)
	if e, ok := ev.(reconcile.Refused); !ok || e.Pool != "spare" || !e.Unoffered || !strings.Contains(e.Why, hadoop.OpportunisticSetting) {
		t.Errorf("%T%+v", ev, ev)
	}
	c.until(t, "it is given back", func() bool { return slices.Contains(c.released, container(3)) })
}

// Where guaranteed containers come the ask is taken back at once, and one is asked for again later, not as many as are wanted:
// each of them would be charged to the queue until it has been given back. When an opportunistic one comes, all are.
func TestWhatIsNotOfferedIsTakenBack(t *testing.T) {
	c := newCluster(t)
	c.few = 1
	p, _ := c.begin(t)
	p.mu.Lock()
	p.patience = time.Hour
	p.mu.Unlock()
	p.Ask("spare", 50, 0)
	next[reconcile.Refused](t, p)
	c.until(t, "it is taken back", func() bool { return c.asks[3] == 0 })
	c.until(t, "all are given back", func() bool { return c.next > 0 && len(c.released) == int(c.next) })
	came := int64(0)
	c.look(func() { came = c.next })
	if came > 3 { // one each heartbeat until the ResourceManager has heard
		t.Errorf("%d guaranteed containers came", came)
	}
	asked := func() (list []int32) {
		c.look(func() {
			for _, a := range c.asked {
				list = append(list, a.GetNumContainers())
			}
		})
		return list
	}
	if got := asked(); !slices.Equal(got, []int32{50, 0}) {
		t.Errorf("asked for %d", got)
	}

	p.Ask("spare", 50, 0) // the same again: the caller thinks that it got lost
	p.Ask("spare", 60, 0)
	p.mu.Lock()
	p.pools[2].held, p.patience = time.Now(), 0
	p.mu.Unlock()
	p.signal()
	c.until(t, "one is asked for", func() bool { return c.next == came+1 })
	if got := asked(); slices.Max(got[1:]) != 1 {
		t.Errorf("asked for %d", got)
	}
	if e := next[reconcile.Refused](t, p); !e.Unoffered {
		t.Errorf("%+v", e) // that the nodes have no place is not said of a pool that is not offered
	}
	c.look(func() { c.offers = true })
	p.signal()
	for range 60 {
		next[reconcile.Allocated](t, p)
	}
}

// That no node has a place is said of a pool that has nothing, and not of one whose containers run since the attempt before.
func TestNoPlace(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	c.look(func() { c.few = -1 })
	say := func() {
		p.Ask("spare", 2, 0)
		p.Ask("spare", 2, 0)
	}
	say()
	if e := next[reconcile.Refused](t, p); e.Unoffered || !strings.Contains(e.Why, hadoop.OpportunisticQueueSetting) {
		t.Errorf("%+v", e)
	}
	p.mu.Lock()
	p.adopt([]*pb.Container{c.container(1, 3)})
	p.mu.Unlock()
	say()
	select {
	case ev := <-p.Events():
		t.Errorf("%T%+v", ev, ev)
	case <-time.After(20 * time.Millisecond):
	}
}
