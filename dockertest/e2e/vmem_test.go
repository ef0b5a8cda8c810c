//go:build hadoop

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

var advice = regexp.MustCompile(`Try (--am-memory [0-9]+MiB --scheduler-memory [0-9]+MiB --worker-memory [0-9]+MiB)`)

// Where YARN limits virtual memory, submit refuses sizes that would be killed at
// once, and the sizes that it names instead do work: for commands and for Go.
func TestSmallestMemoryUnderVmemCheck(t *testing.T) {
	c := dockertest.Running(t, "simple-vmem")
	alice := c.Edge("alice")
	r := alice.Run(t, "yarnd", "submit", "--workers", "1")
	m := advice.FindStringSubmatch(r.Stderr)
	if r.Code != 5 || m == nil || !strings.Contains(r.Stderr, "vmem-pmem-ratio") {
		t.Fatalf("want exit code 5 and sizes that work: %v", r)
	}
	a := submit(t, alice, append(strings.Fields(m[1]), "--workers", "1", "--wait", "workers:1")...)
	if got := a.must(t, "exec", "--", "echo", "alive"); got != "alive\n" {
		t.Errorf("got %q", got)
	}
	alice.Must(t, "throughput", "--app", a.id, "--tasks", "1000", "--rounds", "1")
	// The node manager looks every 3 s.
	if got := a.must(t, "exec", "--", "sh", "-c", "sleep 7; echo alive"); got != "alive\n" {
		t.Errorf("got %q", got)
	}
	if exits := a.must(t, "status", "-o", "wide"); strings.Contains(exits, "EXITED") {
		t.Errorf("a container was killed:\n%s", exits)
	}
}

// A command that takes more than its container may have is ended; the worker and
// the others' work are not.
func TestMemoryHogLeavesTheWorkerAlive(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	a := submit(t, alice, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1")
	worker := a.status(t).Containers[2].ID
	r := alice.Run(t, "yarnd", "exec", a.id, "--", "python3", "-c", "x = bytearray(600 << 20); import time; time.sleep(60)")
	if r.Code != 125 || !strings.Contains(r.Stderr, "memory") {
		t.Errorf("want exit code 125 and memory as the reason: %v", r)
	}
	if got := a.must(t, "exec", "--", "echo", "alive"); got != "alive\n" {
		t.Errorf("got %q", got)
	}
	if after := a.status(t).Containers[2].ID; after != worker {
		t.Errorf("the worker was %s and is %s: it did not survive", worker, after)
	}
}

// Nothing that a worker started lives longer than it does, whichever way it dies.
func TestNoCommandOutlivesItsWorker(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	a := submit(t, alice, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1")
	ctx := t.Context()
	client := alice.Command(ctx, "hung", "yarnd", "exec", a.id, "--", "sh", "-c", "setsid sleep 4242 & nohup sleep 4242 & sleep 4242")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	sleepers := func() map[string]bool { // by node and process id
		found := map[string]bool{}
		for _, p := range a.processes(t) {
			if f := strings.Fields(p); strings.Contains(p, "sleep 4242") {
				found[f[0]+" "+f[1]] = true
			}
		}
		return found
	}
	var first map[string]bool
	await(t, "the command and its two children run", time.Minute, func() bool {
		first = sleepers()
		return len(first) >= 3
	})
	killOne(t, a, "worker")
	// It is tried again on the worker that takes the dead one's place: what must go
	// are the processes of the first.
	await(t, "nothing of the dead worker's command is left", time.Minute, func() bool {
		for p := range sleepers() {
			if first[p] {
				return false
			}
		}
		return true
	})
	a.must(t, "kill")
	await(t, "nothing sleeps any more", time.Minute, func() bool { return len(sleepers()) == 0 })
	if err := client.Wait(); err == nil {
		t.Error("the client of a killed command ended well")
	}
	a.leftNothing(t)
}
