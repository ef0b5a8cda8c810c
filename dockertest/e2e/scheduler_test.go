//go:build hadoop

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// The scheduler is killed -9 while a client waits for what it has submitted. The next one
// reads the journal on HDFS, the workers come back with what they have, and the client sees
// nothing but delay.
func TestSchedulerIsKilled(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	a := submit(t, alice, "--workers", "3", "--worker-memory", "128MiB", "--wait", "workers:3")
	const n = 60
	var items, want strings.Builder
	for i := range n {
		fmt.Fprintln(&items, i)
		fmt.Fprintf(&want, "<%d>\n", i)
	}
	got := make(chan dockertest.Result, 1)
	go func() {
		got <- alice.RunInput(t, items.String(), "yarnd", "map", a.id, "--", "sh", "-c", "sleep 0.5; echo \"<$1>\"", "sh", "{}")
	}()
	await(t, "some have run", time.Minute, func() bool {
		return strings.Count(alice.Must(t, "yarnd", "task", "list", a.id, "--state", "done", "-o", "name"), "\n") >= 6
	})
	killOne(t, a, "scheduler")
	start := time.Now()
	select {
	case x := <-got:
		if x.Code != 0 || x.Stdout != want.String() {
			t.Errorf("exit code %d, %q, %q", x.Code, x.Stdout, x.Stderr)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("the client waits for ever")
	}
	t.Logf("all %d results were there %v after the scheduler was killed", n, time.Since(start).Round(time.Millisecond))
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}
