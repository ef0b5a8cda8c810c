//go:build hadoop

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// The application master is killed -9: the ResourceManager starts the next attempt,
// which takes over the scheduler and the workers as they run, is found by id from
// another host, and leaves nothing of either attempt behind.
func TestNextAttemptServes(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	a := submit(t, alice, "--workers", "3", "--worker-memory", "128MiB", "--wait", "workers:3")
	if n := len(a.attempts(t)); n != 1 {
		t.Fatalf("%d attempts before anything happened", n)
	}
	before := a.containers(t)
	killOne(t, a, "appmaster")
	start := time.Now()
	await(t, "the second attempt is there", time.Minute, func() bool { return len(a.attempts(t)) == 2 })
	a.must(t, "wait", "--for", "workers:3", "--timeout", "2m")
	t.Logf("the second attempt serves %v after the first was killed", time.Since(start).Round(time.Millisecond))
	if after := a.containers(t); !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	if got := alice.On("edge2").Must(t, "yarnd", "exec", a.id, "--", "echo", "again"); got != "again\n" {
		t.Errorf("got %q", got)
	}
	a.must(t, "scale", "1")
	await(t, "three containers run and no more", time.Minute, func() bool { return a.rm(t).RunningContainers == 3 })
	await(t, "so does YARN's end of what it stopped", time.Minute, func() bool {
		return a.running(t, "worker") == 1 && a.running(t, "scheduler") == 1 && a.running(t, "appmaster") == 1
	})
	a.must(t, "kill", "--graceful")
	if rm := a.rm(t); rm.FinalStatus != "SUCCEEDED" {
		t.Errorf("after a graceful end the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
}

// containers are the ids of those that the application master has, its own aside, in order.
func (a app) containers(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, c := range a.status(t).Containers {
		if c.Pool == "scheduler" || c.Pool == "worker" {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// attempts are those that the ResourceManager tells of.
func (a app) attempts(t *testing.T) []struct{ ID int } {
	t.Helper()
	var doc struct {
		AppAttempts struct{ AppAttempt []struct{ ID int } }
	}
	getJSON(t, a.edge.Cluster, a.edge.Cluster.RMWeb()+"/ws/v1/cluster/apps/"+a.id+"/appattempts", &doc)
	return doc.AppAttempts.AppAttempt
}

// running counts the processes of a role on all nodes.
func (a app) running(t *testing.T, role string) int {
	t.Helper()
	n := 0
	for _, p := range a.processes(t) {
		if isRole(p, role) {
			n++
		}
	}
	return n
}
