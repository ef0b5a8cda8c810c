package yarn

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/hadooprpc/pb"
)

func TestBlacklist(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	b := newBlacklist()
	b.size = 6
	// tell is a heartbeat that is heard.
	tell := func(additions, removals []string) {
		t.Helper()
		r := b.request(now)
		slices.Sort(r.GetBlacklistAdditions())
		if !slices.Equal(r.GetBlacklistAdditions(), additions) || !slices.Equal(r.GetBlacklistRemovals(), removals) {
			t.Errorf("told %v, want additions %v, removals %v", r, additions, removals)
		}
		b.answered(r)
	}
	b.failed("a", now)
	b.failed("a", now)
	b.started("a")
	b.failed("a", now)
	b.failed("a", now)
	tell(nil, nil) // not in a row
	if !b.failed("a", now) || b.failed("a", now) {
		t.Error("the third failure puts it on the list, and no other")
	}
	if b.request(now) == nil || b.request(now) == nil {
		t.Error("what was not heard is not told again")
	}
	tell([]string{"a"}, nil)
	tell(nil, nil)
	b.forgotten()
	tell([]string{"a"}, nil)
	for range suspectAfter {
		b.failed("b", now)
	}
	tell([]string{"b"}, nil)
	for range suspectAfter {
		b.failed("c", now)
	}
	r := b.request(now)
	slices.Sort(r.GetBlacklistRemovals())
	if !slices.Equal(r.GetBlacklistRemovals(), []string{"a", "b"}) { // three of six: it is not the nodes
		t.Errorf("told %v", r)
	}
	b.answered(r)
	now = now.Add(suspectTime)
	tell(nil, nil)
	b.failed("a", now) // once more is enough
	tell([]string{"a"}, nil)
	now = now.Add(suspectTime)
	tell(nil, []string{"a"})
}

// A node refuses one container after the other: the ResourceManager is told, and after it has forgotten us again.
func TestNodeThatStartsNothing(t *testing.T) {
	c := newCluster(t)
	c.look(func() { c.broken = true })
	p, _ := c.begin(t)
	c.look(func() { c.say.NumClusterNodes = proto.Int32(100) })
	for i := range suspectAfter {
		p.Start(get(t, p, 1, i)[0], nil)
		if e := next[reconcile.LaunchFailed](t, p); e.Blameless {
			t.Errorf("%+v", e)
		}
	}
	host := c.node().GetHost()
	listed := func() bool { return slices.Equal(c.blacklist, []string{host}) }
	c.until(t, "the node is on the list", listed)
	c.look(func() { c.forgotten, c.blacklist = true, nil })
	c.until(t, "the node is on the next one's list", listed)
}

// A node is to leave the cluster: its containers are told of once, as if others wanted them.
func TestNodeThatIsToLeave(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 2, 0)
	slices.Sort(ids)
	for range 2 {
		c.look(func() {
			c.say.UpdatedNodes = []*pb.NodeReport{{NodeId: c.node(), NodeState: pb.NodeState_NS_DECOMMISSIONING.Enum()}}
		})
		c.until(t, "it is told", func() bool { return c.say.UpdatedNodes == nil })
	}
	e := next[reconcile.Preempt](t, p)
	slices.Sort(e.IDs)
	if !slices.Equal(e.IDs, ids) || e.Strict {
		t.Errorf("%+v, want %v", e, ids)
	}
	p.Release(ids[0]) // whose end comes next, and nothing before it
	for ev := range p.Events() {
		if _, again := ev.(reconcile.Preempt); again {
			t.Errorf("%+v", ev)
		}
		if _, over := ev.(reconcile.Completed); over {
			return
		}
	}
}

func (c *cluster) note(r *pb.ResourceBlacklistRequest) {
	c.blacklist = append(c.blacklist, r.GetBlacklistAdditions()...)
	c.blacklist = slices.DeleteFunc(c.blacklist, func(host string) bool { return slices.Contains(r.GetBlacklistRemovals(), host) })
}
