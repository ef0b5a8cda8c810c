package yarn

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// On an embedded cluster that offers what is off by default.
func TestEmbeddedPlacing(t *testing.T) {
	embedded(t, minicluster.Options{Nodes: 3, DistinctHosts: true, Heartbeat: 50 * time.Millisecond, Queue: 10, Cluster: core.Config{Opportunistic: true}})
	onPlacing(t)
}

// On one that does not.
func TestEmbeddedNotPlacing(t *testing.T) {
	embedded(t, minicluster.Options{Heartbeat: 50 * time.Millisecond})
	onPlacing(t)
}

// onPlacing is onCluster for where containers go: what the cluster offers works, and
// what it does not is refused.
func onPlacing(t *testing.T) {
	t.Run("Opportunistic", testOpportunistic)
	t.Run("Spread", testSpread)
}

// stage is a provider on a cluster, with the pools of a test; its events go on and on.
type stage struct {
	*testing.T
	p     *Provider
	pools map[string]*staged
	of    map[string]string // pool by container
	ended map[string]reconcile.Completed
	said  []string // refusals
	over  *reconcile.Stop
}

// staged is what became of a pool's containers.
type staged struct {
	given int
	live  map[string]string // node by container, of those that were launched
}

// sleepers are pools whose containers wait for their end.
func sleepers(t *testing.T, s *site, pools ...spec.Pool) *stage {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := s.fs.Home() + "/.placing-test-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	t.Cleanup(func() { s.fs.RemoveAll(context.Background(), dir) })
	program := s.upload(t, "yarnd", self, dir+"/program")
	p, err := New(s.master(t))
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{T: t, p: p, pools: map[string]*staged{}, of: map[string]string{}, ended: map[string]reconcile.Completed{}}
	for i := range pools {
		pools[i].Role, pools[i].Args, pools[i].Files = spec.RoleWorker, []string{"providertest", "sleep"}, []spec.File{program}
		st.pools[pools[i].Name] = &staged{live: map[string]string{}}
	}
	t.Cleanup(func() { p.Close() })
	if _, err := p.Register(t.Context(), provider.Registration{Host: "localhost", Port: 1, Pools: pools}); err != nil {
		t.Fatal(err)
	}
	return st
}

// ask wants so many more, beside those that were given.
func (s *stage) ask(pool string, n int) { s.p.Ask(pool, n, s.pools[pool].given) }

// until takes events in until something holds.
func (s *stage) until(what string, ok func() bool) {
	s.Helper()
	for timeout := time.After(patience); !ok(); {
		select {
		case ev := <-s.p.Events():
			s.take(ev)
		case <-timeout:
			s.Fatalf("never: %s; %+v, ended %+v, refused %q", what, s.pools, s.ended, s.said)
		}
	}
}

func (s *stage) take(ev reconcile.Event) {
	switch ev := ev.(type) {
	case reconcile.Allocated:
		s.pools[ev.Pool].given++
		s.of[ev.ID] = ev.Pool
		s.pools[ev.Pool].live[ev.ID] = ev.Node
		s.p.Start(ev.ID, nil)
	case reconcile.LaunchFailed:
		s.Errorf("%+v", ev)
	case reconcile.Completed:
		s.ended[ev.ID] = ev
		delete(s.pools[s.of[ev.ID]].live, ev.ID)
	case reconcile.Refused:
		s.said = append(s.said, ev.Why)
	case reconcile.Stop:
		s.over = &ev
	}
}

// stop ends all containers of a pool.
func (s *stage) stop(pool string) {
	s.ask(pool, 0)
	s.until("none of pool "+pool+" is left", func() bool {
		for id := range s.pools[pool].live { // those too that were on their way
			s.p.Stop(id)
		}
		return len(s.pools[pool].live) == 0
	})
}

// What is opportunistic gets more than there is room for, and waits on its node; for what is
// guaranteed it makes room, which is a preemption. Where the cluster has no such containers
// what comes instead goes back, and the setting is named.
func testOpportunistic(t *testing.T) {
	s := newSite(t)
	nodes, err := s.rm.Nodes(t.Context(), pb.NodeState_NS_RUNNING)
	if err != nil {
		t.Fatal(err)
	}
	each := nodes[0].GetCapability().GetMemory() / 2 // two on each node
	if offered, _ := s.conf.Get(hadoop.OpportunisticSetting); offered != "true" {
		notOffered(t, s)
		return
	}
	st := sleepers(t, s, spec.Pool{Name: "firm", Resource: spec.Resource{VCores: 1, MemoryMiB: each}},
		spec.Pool{Name: "spare", Resource: spec.Resource{VCores: 1, MemoryMiB: each}, Opportunistic: true})
	firm, spare := st.pools["firm"], st.pools["spare"]
	// The ResourceManager takes any node that has a place in its queue.
	for !st.crowded("spare", len(nodes), 3) {
		before := spare.given
		st.ask("spare", 1)
		st.until("more than there is room for", func() bool { return spare.given > before })
	}
	more, fit := spare.given, 2*len(nodes)
	runs := func(pool string) int { return st.processes(st.pools[pool]) }
	st.await("as many run as fit", func() bool { return runs("spare") == fit })
	st.ask("firm", 1)
	displaced := func() (n int) {
		for _, e := range st.ended {
			if strings.Contains(e.Diagnostics, "to make room for Guaranteed Container") {
				n++
			}
		}
		return n
	}
	// Others may go before: the ResourceManager has long queues cut (QueueLimitCalculator).
	st.until("one made room", func() bool { return firm.given == 1 && displaced() == 1 })
	st.await("the guaranteed one runs", func() bool { return runs("firm") == 1 })
	for id, e := range st.ended {
		if st.of[id] != "spare" || reconcile.CauseOf(e.Status, false) != reconcile.Preempted || e.Status != reconcile.StatusDisplaced {
			t.Errorf("of pool %s: %+v", st.of[id], e)
		}
		t.Logf("%d: %s", e.Status, e.Diagnostics)
	}
	if spare.given != more || displaced() != 1 {
		t.Errorf("%d of %d, %d made room", spare.given, more, displaced())
	}
	st.stop("firm")
	st.await("one that waits takes its place", func() bool {
		if !st.crowded("spare", len(nodes), 3) {
			st.ask("spare", 1)
		}
		return runs("spare") == fit
	})
	st.stop("spare")
	if st.over != nil || len(st.said) > 0 {
		t.Errorf("%+v, %q", st.over, st.said)
	}
}

// crowded tells whether a pool has so many containers on each of so many nodes.
func (s *stage) crowded(pool string, nodes, each int) bool {
	on := map[string]int{}
	for _, node := range s.pools[pool].live {
		on[node]++
	}
	for _, n := range on {
		if n < each {
			return false
		}
	}
	return len(on) == nodes
}

// await takes events in, and looks, until something holds.
func (s *stage) await(what string, ok func() bool) {
	s.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(patience); !ok(); {
		select {
		case ev := <-s.p.Events():
			s.take(ev)
		case <-tick.C:
		case <-timeout:
			s.Fatalf("never: %s; %+v, ended %+v", what, s.pools, s.ended)
		}
	}
}

// processes counts the containers of a pool whose nodes say that their processes run.
func (s *stage) processes(pool *staged) (n int) {
	for id := range pool.live {
		cid, err := hadoop.ParseContainerID(id)
		if err != nil {
			s.Fatal(err)
		}
		s.p.mu.Lock()
		b := s.p.boxes[cid]
		up := b != nil && b.state == running
		var node hadoop.NodeID
		if up {
			node = b.node
		}
		tok := s.p.tokens[node]
		s.p.mu.Unlock()
		if !up {
			continue
		}
		list, _, err := s.p.nm.ContainerStatuses(s.Context(), node, tok, cid)
		if err == nil && len(list) == 1 && list[0].GetContainerSubState() == pb.ContainerSubState_CSS_RUNNING {
			n++
		}
	}
	return n
}

func notOffered(t *testing.T, s *site) {
	spare := spec.Pool{Name: "spare", Resource: spec.Resource{VCores: 1, MemoryMiB: 64}, Opportunistic: true}
	beside := sleepers(t, s, spec.Pool{Name: "firm", Count: 1, Resource: spec.Resource{VCores: 1, MemoryMiB: 64}}, spare)
	beside.ask("spare", 2)
	beside.until("it is refused", func() bool { return len(beside.said) > 0 })
	beside.ask("firm", 1)
	beside.until("the others go on", func() bool { return beside.pools["firm"].given == 1 })
	if beside.over != nil || len(beside.said) != 1 || !strings.Contains(beside.said[0], hadoop.OpportunisticSetting) || beside.pools["spare"].given != 0 {
		t.Errorf("%+v, %q, given %d", beside.over, beside.said, beside.pools["spare"].given)
	}
	beside.stop("firm")
}

// Of a pool with a bound no node gets more, on any cluster; others are not held up by those of it that wait, and one that
// ends is replaced on its node.
func testSpread(t *testing.T) {
	s := newSite(t)
	nodes, err := s.rm.Nodes(t.Context(), pb.NodeState_NS_RUNNING)
	if err != nil {
		t.Fatal(err)
	}
	small := spec.Resource{VCores: 1, MemoryMiB: 64}
	st := sleepers(t, s, spec.Pool{Name: "two", Resource: small, MaxPerNode: 2}, spec.Pool{Name: "one", Resource: small, MaxPerNode: 1}, spec.Pool{Name: "any", Resource: small})
	ask := func(pool string, all int) { // there are to be so many
		st.p.Ask(pool, all-len(st.pools[pool].live), st.pools[pool].given)
	}
	within := func() {
		t.Helper()
		for pool, most := range map[string]int{"two": 2, "one": 1} {
			on := map[string]int{}
			for _, node := range st.pools[pool].live {
				if on[node]++; on[node] > most {
					t.Fatalf("%d of pool %s on %s", on[node], pool, node)
				}
			}
		}
	}
	ask("two", 2*len(nodes)+3)
	ask("one", len(nodes)+2)
	st.until("both have what they may", func() bool {
		within()
		return len(st.pools["two"].live) == 2*len(nodes) && len(st.pools["one"].live) == len(nodes)
	})
	ask("any", 2)
	st.until("those that come after them are not held up", func() bool {
		within()
		return len(st.pools["any"].live) == 2
	})
	st.await("all run", func() bool {
		return st.processes(st.pools["two"])+st.processes(st.pools["one"])+st.processes(st.pools["any"]) == 3*len(nodes)+2
	})
	for id, node := range st.pools["one"].live {
		st.p.Stop(id)
		st.until("it ends", func() bool { return st.pools["one"].live[id] == "" })
		ask("one", len(nodes)+2)
		st.until("another one comes", func() bool {
			within()
			return len(st.pools["one"].live) == len(nodes)
		})
		for new, at := range st.pools["one"].live {
			if new != id && at == node {
				t.Logf("%s on %s, after %s", new, node, id)
			}
		}
		break
	}
	ask("one", len(nodes))
	ask("two", len(nodes))
	given := st.pools["two"].given
	for range 3 { // heartbeats in which nothing more may come
		time.Sleep(time.Second)
		st.await("nothing", func() bool { return true })
	}
	if st.pools["two"].given != given || st.over != nil || len(st.said) > 0 {
		t.Errorf("%d were given of pool two, then %d; %+v, %q", given, st.pools["two"].given, st.over, st.said)
	}
	for pool := range st.pools {
		st.stop(pool)
	}
}
