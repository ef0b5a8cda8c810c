//go:build hadoop

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// Of a pool with a bound for each node three of five workers run, each on a node of its own, and the others wait, which status
// and explain tell. Another takes the place of one that is killed -9, also under the next application master, which
// takes over those that run. None of this needs a feature of the cluster's that is off by default.
func TestWorkersPerNode(t *testing.T) {
	a := submit(t, dockertest.Running(t, "simple").Edge("alice"), "--workers", "1", "--worker-memory", "128MiB",
		"--pool", "wide=5,memory=128MiB,max-per-node=1", "--wait", "workers:4")
	const waits = "2 workers wait: at most 1 of pool wide on a node, and 3 nodes have one"
	// on tells where the pool's containers are, and that no node has two.
	on := func() map[string]string {
		t.Helper()
		byNode := map[string]string{}
		for _, k := range a.status(t).Containers {
			if k.Pool != "wide" || k.State == "missing" { // an earlier attempt had it; it may have ended since
				continue
			}
			if byNode[k.Node] != "" {
				t.Fatalf("%s and %s are on %s", byNode[k.Node], k.ID, k.Node)
			}
			if k.State == "running" {
				byNode[k.Node] = k.ID
			}
		}
		return byNode
	}
	spread := func() bool { return len(on()) == len(nodes) && strings.Contains(a.must(t, "status"), waits) }
	await(t, "each node has one, and two wait", time.Minute, spread)
	if got := a.must(t, "explain"); !strings.Contains(got, waits) {
		t.Errorf("explain does not say %q:\n%s", waits, got)
	}
	if got := a.must(t, "events"); !strings.Contains(got, waits) || strings.Contains(got, "container.released") {
		t.Errorf("events do not say %q, or that containers came for nothing:\n%s", waits, got)
	}

	replaced := func() {
		t.Helper()
		before, start := on(), time.Now()
		a.killContainer(t, "nm2", before["nm2"])
		await(t, "another one is on its node", 2*time.Minute, func() bool {
			now := on()
			return now["nm2"] != "" && now["nm2"] != before["nm2"] && now["nm1"] == before["nm1"] && now["nm3"] == before["nm3"] && spread()
		})
		t.Logf("replaced on its node %v after the kill", time.Since(start).Round(time.Millisecond))
	}
	replaced()

	before := on()
	killOne(t, a, "appmaster")
	await(t, "the second attempt is there", time.Minute, func() bool { return len(a.attempts(t)) == 2 })
	await(t, "each node has its one", time.Minute, spread)
	// One that had hardly begun goes with its master: the ResourceManager has not heard that it runs.
	if after := on(); after["nm1"] != before["nm1"] || after["nm3"] != before["nm3"] {
		t.Errorf("%v became %v", before, after)
	}
	replaced()

	a.must(t, "scale", "3", "--pool", "wide")
	await(t, "nobody waits", time.Minute, func() bool { return len(on()) == 3 && !strings.Contains(a.must(t, "status"), "wait:") })
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}

// killContainer kills -9 all that runs in a container.
func (a app) killContainer(t *testing.T, node, id string) {
	t.Helper()
	if id == "" {
		t.Fatalf("no container on %s", node)
	}
	script := `for p in /proc/[0-9]*; do case "$(readlink $p/cwd)" in */` + id + `*) kill -9 ${p#/proc/}; n=1;; esac; done; test -n "$n"`
	if out, err := a.edge.Cluster.Output(t.Context(), node, "root", "sh", "-c", script); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("killed -9 %s on %s", id, node)
}
