//go:build hadoop

package e2e

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

// Workers in opportunistic containers do work where the cluster has such containers.
func TestOpportunisticPool(t *testing.T) {
	c := dockertest.Running(t, "placing")
	a := submit(t, c.Edge("alice"), "--workers", "0", "--pool", "spare=2,opportunistic", "--wait", "workers:2")
	if got := a.must(t, "exec", "--", "echo", "alive"); got != "alive\n" {
		t.Errorf("got %q", got)
	}
}

// Where it has none, submit says which setting is missing.
func TestOpportunisticPoolRefused(t *testing.T) {
	r := dockertest.Running(t, "simple").Edge("alice").Run(t, "yarnd", "submit", "--pool", "spare=2,opportunistic")
	if r.Code != 5 || !strings.Contains(r.Stderr, "yarn.resourcemanager.opportunistic-container-allocation.enabled is false") {
		t.Errorf("want exit code 5 and the setting: %v", r)
	}
}
