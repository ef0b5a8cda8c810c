//go:build hadoop

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// Measured, not judged by time: a thousand commands and ten thousand tasks end
// well, and the figures are printed.
func TestThroughput(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	start := time.Now()
	a := submit(t, alice, "--workers", "4", "--worker-memory", "512MiB", "--wait", "none")
	if got := a.must(t, "exec", "--", "echo", "first"); got != "first\n" {
		t.Fatalf("got %q", got)
	}
	t.Logf("submit to the first result of a command: %v", time.Since(start).Round(time.Millisecond))

	var items strings.Builder
	for i := range 1000 {
		fmt.Fprintln(&items, i)
	}
	r := alice.RunInput(t, items.String(), "yarnd", "map", a.id, "--", "true")
	if r.Code != 0 || !strings.Contains(r.Stderr, "1000 items, 0 failed") {
		t.Fatal(r)
	}
	t.Logf("1000 × true: %v with the client's start: %s", r.Took.Round(time.Millisecond), strings.TrimSpace(r.Stderr))
	t.Logf("10,000 tasks:\n%s", alice.Must(t, "throughput", "--app", a.id, "--tasks", "10000"))
}

// Output comes in the order of the items, whatever the order of work; failures
// are told one by one and in the exit code.
func TestMap(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	a := submit(t, alice, "--workers", "3", "--worker-memory", "256MiB", "--wait", "workers:3")
	r := alice.RunInput(t, "0.3 a\n0 b c\n\n0.1 $HOME;'\"\n", "yarnd", "map", a.id, "--", "sh", "-c", `set -- $1; sleep ${1:-0}; echo "[$*]"`, "sh", "{}")
	if want := "[0.3 a]\n[0 b c]\n[]\n[0.1 $HOME;'\"]\n"; r.Code != 0 || r.Stdout != want {
		t.Errorf("want %q: %v", want, r)
	}
	r = alice.RunInput(t, "0\n3\n0\n", "yarnd", "map", a.id, "--", "sh", "-c", "echo out; echo err >&2; exit {}")
	if r.Code != 123 || !strings.Contains(r.Stderr, `item 2, "3":`) || !strings.Contains(r.Stderr, "code 3") || r.Stdout != "out\nout\n" {
		t.Errorf("want exit code 123 and item 2 named: %v", r)
	}
	if r = alice.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", "echo no; exit 7"); r.Code != 7 || r.Stdout != "no\n" {
		t.Errorf("exec passes the exit code through: %v", r)
	}
	if r = alice.Run(t, "yarnd", "exec", a.id, "--", "/no/such/program"); r.Code != 125 && r.Code != 127 {
		t.Errorf("a program that does not exist: %v", r)
	}
}

// Logs of a running application, and of an ended one as Hadoop's own tool has them.
func TestLogs(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	a := submit(t, alice, "--workers", "2", "--worker-memory", "256MiB", "--wait", "workers:2")
	live := a.must(t, "logs")
	for _, container := range a.status(t).Containers {
		if !strings.Contains(live, "==> "+container.ID+" stderr") {
			t.Errorf("the live logs lack %s (%s):\n%s", container.ID, container.Pool, live)
		}
	}
	a.must(t, "kill", "--graceful")
	var ours, theirs string
	await(t, "the logs are collected", time.Minute, func() bool {
		r := alice.Run(t, "yarnd", "logs", a.id, "--file", "stderr")
		ours = r.Stdout
		return r.Code == 0 && strings.Count(ours, "==>") == 4
	})
	await(t, "Hadoop's tool has them too", time.Minute, func() bool {
		r := alice.Logs(t, a.id, "-log_files", "stderr")
		theirs = r.Stdout
		return r.Code == 0
	})
	for _, line := range strings.Split(ours, "\n") {
		if !strings.HasPrefix(line, "==>") && !strings.Contains(theirs, line) {
			t.Errorf("Hadoop's tool does not have our line %q", line)
		}
	}
	for _, line := range strings.Split(theirs, "\n") {
		if strings.HasPrefix(line, "time=") && !strings.Contains(ours, line) {
			t.Errorf("we do not have the line %q", line)
		}
	}
}
