package yarn

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// What the ResourceManager is told follows what is to be avoided, also when it has
// forgotten, and when an earlier attempt has told it.
func TestAvoidance(t *testing.T) {
	a := newAvoidance()
	// tell is a heartbeat that is heard.
	tell := func(additions, removals []string) {
		t.Helper()
		r := a.request()
		slices.Sort(r.GetBlacklistAdditions())
		slices.Sort(r.GetBlacklistRemovals())
		if !slices.Equal(r.GetBlacklistAdditions(), additions) || !slices.Equal(r.GetBlacklistRemovals(), removals) {
			t.Errorf("told %v, want additions %v, removals %v", r, additions, removals)
		}
		a.answered(r)
	}
	tell(nil, nil)
	a.set([]string{"a", "b"})
	if first, again := a.request(), a.request(); first == nil || again == nil {
		t.Error("what was not heard is not told again")
	}
	tell([]string{"a", "b"}, nil)
	tell(nil, nil)
	a.forgotten()
	tell([]string{"a", "b"}, nil)
	a.set([]string{"b"})
	tell(nil, []string{"a"})
	a.set([]string{"b", "c"})
	a.set([]string{"b"}) // before a heartbeat: an earlier attempt may have told of it
	tell(nil, []string{"c"})
	a.request()
	a.set(nil)
	r := a.request()
	a.set([]string{"b"}) // while the heartbeat is under way
	a.answered(r)
	tell([]string{"b"}, nil)
	a.set(nil)
	tell(nil, []string{"b"})
	if len(a.nodes) != 0 {
		t.Errorf("%v is remembered", a.nodes)
	}
}

// The ResourceManager is told which nodes to avoid, and after it has forgotten us again;
// what it says of the cluster is handed on.
func TestAvoid(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	c.look(func() {
		c.say.NumClusterNodes, c.say.Limit = proto.Int32(100), hadoop.NewResource(4096, 2, nil)
	})
	now := next[reconcile.Cluster](t, p)
	for now.Nodes == 0 {
		now = next[reconcile.Cluster](t, p)
	}
	if now.Nodes != 100 || now.Room == nil || now.Room.MemoryMiB != 4096 || now.Room.VCores != -1 {
		t.Errorf("%+v, room %+v", now, now.Room)
	}
	p.Avoid([]string{"bad"})
	listed := func() bool { return slices.Equal(c.blacklist, []string{"bad"}) }
	c.until(t, "the node is on the list", listed)
	c.look(func() { c.forgotten, c.blacklist = true, nil })
	c.until(t, "the node is on the next one's list", listed)
	p.Avoid(nil)
	c.until(t, "the list is empty", func() bool { return len(c.blacklist) == 0 })
}

// Room is told of what the scheduler counts, and of nothing else.
func TestRoom(t *testing.T) {
	limit := hadoop.NewResource(-5, 3, map[string]int64{"yarn.io/gpu": 2})
	if r := room(limit, []pb.SchedulerResourceType{pb.SchedulerResourceType_MEMORY}); r.MemoryMiB != 0 || r.VCores != -1 || r.Named != nil {
		t.Errorf("%+v", r)
	}
	both := []pb.SchedulerResourceType{pb.SchedulerResourceType_MEMORY, pb.SchedulerResourceType_CPU}
	if r := room(limit, both); r.VCores != 3 || r.Named["yarn.io/gpu"] != 2 {
		t.Errorf("%+v", r)
	}
	if r := room(nil, both); r != nil {
		t.Errorf("%+v", r)
	}
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
