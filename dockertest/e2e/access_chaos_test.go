//go:build hadoop && chaos

package e2e

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// The key by which the application master knows the ResourceManager's word is in that one's store: after a failover the
// other one gives tokens that are good.
func TestChaosAccess(t *testing.T) {
	c := dockertest.Exclusive(t, "secure-ha")
	alice, bob := c.Edge("alice").Ticketed(t), c.Edge("bob").Ticketed(t)
	a := submit(t, alice, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1", "--view-acl", "bob")
	a.seenBy(t, bob, "the application", "CONTAINER")
	active, gap, err := c.Failover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	a.seenBy(t, bob, "it after the failover", "CONTAINER")
	t.Logf("%s is active after %v, and bob sees the application %v later", active, gap, time.Since(start).Round(time.Millisecond))
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}
