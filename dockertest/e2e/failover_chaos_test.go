//go:build hadoop && chaos

package e2e

import (
	"context"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

var failovers = flag.Int("failovers", 3, "how often the ResourceManagers take over from each other")

// TestFailoverChangesNothing, for longer: the keys of the application master's tokens roll meanwhile, each minute.
func TestChaosFailovers(t *testing.T) { surviveFailovers(t, *failovers) }

// Another queue wants what is its own: workers are drained and given up, nobody is blamed, and when the other queue is idle
// there are as many again.
func TestChaosPreemption(t *testing.T) {
	c := dockertest.Exclusive(t, "ha")
	alice, bob := c.Edge("alice"), c.Edge("bob")
	a := submit(t, alice, "--workers", "10", "--worker-memory", "1536MiB", "--wait", "workers:10")
	job := a.squares(t, 80)
	b := submit(t, bob, "--queue", "etl", "--workers", "4", "--worker-memory", "1536MiB", "--wait", "workers:4")
	st := a.status(t)
	t.Logf("while the other queue works: %+v, %+v", st.Pools, st.Work)
	if st.Work.Workers >= 10 {
		t.Errorf("all %d workers are there: nothing was preempted", st.Work.Workers)
	}
	t.Log(a.must(t, "events"))
	b.must(t, "kill")
	await(t, "ten workers again", 3*time.Minute, func() bool { return a.status(t).Work.Workers == 10 })
	job.finish(t)
	a.must(t, "kill", "--graceful")
}

// withWorkersAlone starts an application of six workers, of which some are on a node that has nothing else of it. YARN
// chooses nodes; where it has chosen others, it chooses once more.
func withWorkersAlone(t *testing.T, c *dockertest.Cluster) (app, string) {
	t.Helper()
	const tries = 10
	var busy map[string]string // a role on each node; a worker only where nothing else is
	for range tries {
		a := submit(t, c.Edge("alice"), "--workers", "6", "--worker-memory", "256MiB", "--wait", "workers:6")
		busy = map[string]string{}
		for _, line := range a.roles(t) {
			if node, role := strings.Fields(line)[0], strings.Fields(line)[3]; role != "worker" || busy[node] == "" {
				busy[node] = role
			}
		}
		if i := slices.IndexFunc(nodes, func(n string) bool { return busy[n] == "worker" }); i >= 0 {
			return a, nodes[i]
		}
		a.must(t, "kill")
	}
	t.Fatalf("in %d applications no node had workers alone; in the last one it was %v", tries, busy)
	return app{}, ""
}

// A node is to leave the cluster: its workers are drained, others take their place elsewhere, and then it goes.
func TestChaosDecommission(t *testing.T) {
	c := dockertest.Exclusive(t, "ha")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	a, node := withWorkersAlone(t, c)
	job := a.squares(t, 60)
	// YARN keeps a node that has nothing left for its timeout, until the applications end that had containers there.
	// Source: DecommissioningNodesWatcher, WAIT_APP.
	if err := c.Decommission(ctx, node, 90*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := job.open(ctx); err != nil { // so that what runs there ends
		t.Fatal(err)
	}
	await(t, "six workers, none of them on "+node, 3*time.Minute, func() bool {
		st := a.status(t)
		return st.Work.Workers == 6 && !slices.ContainsFunc(st.Containers, func(b box) bool { return b.Node == node })
	})
	await(t, node+" is out of service", 4*time.Minute, func() bool {
		state, err := c.NodeState(ctx, node)
		return err == nil && state == "DECOMMISSIONED"
	})
	job.finish(t)
	a.must(t, "kill", "--graceful")
}
