package survive

import (
	"slices"
	"syscall"
	"testing"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Of workers with a bound for each node no node ever has more, whoever dies; the others wait, and it is told why. Those of
// another pool come all the same.
func TestWorkersPerNode(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 3, DistinctHosts: true, HA: true})
	r := small(5)
	r.WorkersPerNode = 1
	r.Pools = []edgeclient.PoolRequest{{Name: "pair", Workers: 7, MaxPerNode: 2}}
	a := w.submit(r)
	c := a.connect()
	pools := func() (of map[string]*ampb.Pool, on map[string]map[string][]string) {
		info, err := c.Session().Info(w.withTime())
		if err != nil {
			t.Fatal(err)
		}
		of, on = map[string]*ampb.Pool{}, map[string]map[string][]string{"worker": {}, "pair": {}, "scheduler": {}}
		for _, p := range info.GetPools() {
			of[p.GetName()] = p
		}
		for _, k := range info.GetContainers() {
			if k.GetState() == "missing" { // an earlier attempt had it; it may have ended since
				continue
			}
			on[k.GetPool()][k.GetNode()] = append(on[k.GetPool()][k.GetNode()], k.GetId())
		}
		for node, ids := range on["worker"] {
			if len(ids) > 1 {
				t.Fatalf("on %s: %v", node, ids)
			}
		}
		for node, ids := range on["pair"] {
			if len(ids) > 2 {
				t.Fatalf("on %s: %v", node, ids)
			}
		}
		return of, on
	}
	const waits = "2 workers wait: at most 1 of pool worker on a node, and 3 nodes have one"
	all := func() bool {
		of, on := pools()
		return len(on["worker"]) == 3 && of["worker"].GetRunning() == 3 && of["worker"].GetWaits() == waits &&
			of["pair"].GetRunning() == 6 && of["pair"].GetWaits() == "1 worker waits: at most 2 of pool pair on a node, and 3 nodes have as many"
	}
	a.await("all nodes have what they may", all)

	replaced := func() {
		t.Helper()
		_, on := pools()
		victim := on["worker"][a.Nodes[1].ID().Host][0]
		id, err := yarn.ParseContainerID(victim)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Nodes[1].KillContainer(id, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		a.await("another one has its place", func() bool {
			_, on := pools()
			return all() && !slices.Contains(on["worker"][a.Nodes[1].ID().Host], victim)
		})
	}
	replaced()
	if err := w.RM.Failover(0); err != nil {
		t.Fatal(err)
	}
	replaced()

	_, on := pools()
	young, err := yarn.ParseContainerID(on["worker"][a.Nodes[1].ID().Host][0])
	if err != nil {
		t.Fatal(err)
	}
	before, first := a.running(), a.attempt()
	if err := a.killMaster(first); err != nil {
		t.Fatal(err)
	}
	a.await("the next attempt has the same", func() bool {
		info, err := c.Session().Info(w.withTime())
		return err == nil && info.GetAttempt() > first.Attempt && all()
	})
	after := a.running()
	for _, id := range before {
		if id != young && !slices.Contains(after, id) { // one that had hardly begun goes with its master
			t.Errorf("%v became %v", before, after)
		}
	}
	replaced()
	if err := c.Scale(w.withTime(), 3); err != nil {
		t.Fatal(err)
	}
	a.await("nobody waits", func() bool {
		of, _ := pools()
		return of["worker"].GetWaits() == "" && of["worker"].GetRunning() == 3
	})
	events, _, err := c.Session().Events(w.withTime(), 0)
	told := 0
	for _, ev := range events {
		if ev.Kind == "pool.waits" && ev.Object == "worker" && ev.Text == waits {
			told++
		}
	}
	if err != nil || told == 0 || told > 4 { // each time anew, when one had gone
		t.Errorf("it was told %d times that workers wait, %v: %v", told, err, events)
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}
