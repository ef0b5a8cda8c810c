//go:build hadoop

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// The whole story of one application: twenty workers, seen in YARN's own lists,
// left, found again from another host by id alone, kept from another user, and
// ended without a trace.
func TestMainJob(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice, bob := c.Edge("alice"), c.Edge("bob")
	start := time.Now()
	a := submit(t, alice, "--workers", "20", "--worker-memory", "256MiB", "--name", "main job", "--tags", "one,two", "--queue", "etl")
	a.must(t, "wait", "--for", "workers:20")
	t.Logf("20 workers after %v", time.Since(start).Round(time.Millisecond))
	if st := a.status(t); st.Work.Workers != 20 || len(st.Containers) != 22 {
		t.Errorf("status: %d workers, %d containers, want 20 and 22: %+v", st.Work.Workers, len(st.Containers), st)
	}

	rm := a.rm(t)
	if rm.ApplicationType != "YARND" || rm.State != "RUNNING" || rm.User != "alice" || rm.Name != "main job" || rm.Queue != "root.etl" && rm.Queue != "etl" || rm.ApplicationTags != "one,two" {
		t.Errorf("the ResourceManager shows %+v", rm)
	}
	if rm.RunningContainers != 22 {
		t.Errorf("%d containers run, want 22: nothing more than asked for", rm.RunningContainers)
	}
	code, page := get(t, c, rm.TrackingURL)
	if code != 200 || !strings.Contains(string(page), a.id) || strings.Count(string(page), "container_") < 20 {
		t.Errorf("%s through the proxy: %d\n%s", rm.TrackingURL, code, page)
	}

	alice.Must(t, "later", "start", "--app", a.id, "answer", "200000")
	there := alice.On("edge2")
	if out := there.Must(t, "yarnd", "connect", a.id); !strings.Contains(out, "answer") {
		t.Errorf("connect from another host does not show the named result:\n%s", out)
	}
	if got := strings.TrimSpace(there.Must(t, "later", "fetch", "--app", "current", "answer")); got != "1709600813" {
		t.Errorf("the sum of the primes below 200000 is 1709600813, fetched %q", got)
	}

	for _, argv := range [][]string{{"yarnd", "connect", a.id}, {"later", "fetch", "--app", a.id, "answer"}, {"yarnd", "scale", a.id, "1"}, {"yarnd", "logs", a.id}} {
		if r := bob.Run(t, argv...); r.Code != 4 || r.Stdout != "" {
			t.Errorf("bob may not; want exit code 4 and no output: %v", r)
		}
	}
	if r := bob.FS(t, "-ls", "/user/alice/.yarnd"); r.Code == 0 || !strings.Contains(r.Stderr, "Permission denied") {
		t.Errorf("bob sees alice's staging directory: %v", r)
	}

	a.must(t, "kill", "--graceful", "--message", "that will do")
	if rm := a.rm(t); rm.State != "FINISHED" || rm.FinalStatus != "SUCCEEDED" || !strings.Contains(rm.Diagnostics, "that will do") {
		t.Errorf("after a graceful end the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
	if r := alice.Run(t, "yarnd", "connect", a.id); r.Code != 3 {
		t.Errorf("connecting to what has ended: want exit code 3: %v", r)
	}
}

func TestSecondSubmitUploadsNothing(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	alice.Must(t, "sh", "-c", "mkdir -p env/bin && echo hello > env/bin/greeting && tar -czf env.tgz env && echo data > data.txt")
	args := []string{"yarnd", "submit", "--workers", "1", "--worker-memory", "256MiB", "--env", "env.tgz", "--files", "data.txt#input.txt"}
	for round := range 2 {
		r := alice.Run(t, append(args, "--wait", "workers:1")...)
		if r.Code != 0 {
			t.Fatal(r)
		}
		a := app{strings.TrimSpace(r.Stdout), alice}
		if round == 1 && strings.Contains(r.Stderr, "uploaded") {
			t.Errorf("the second submit uploaded something: %v", r)
		}
		// What was shipped is where the manual says.
		if got := a.must(t, "exec", "--", "cat", "environment/env/bin/greeting", "input.txt"); got != "hello\ndata\n" {
			t.Errorf("the archive and the file in the container: %q", got)
		}
		a.must(t, "kill")
		a.leftNothing(t)
	}
}

// The submitting client dies; the application does not notice.
func TestKilledClientChangesNothing(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client := alice.Command(ctx, "submitting", "yarnd", "submit", "--workers", "2", "--worker-memory", "256MiB", "--name", "orphan", "--wait", "finished")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	find := func() string {
		return strings.TrimSpace(alice.Run(t, "yarnd", "list", "--name", "orphan", "-o", "name").Stdout)
	}
	await(t, "the application is listed", time.Minute, func() bool { return find() != "" })
	a := app{find(), alice}
	t.Cleanup(func() { alice.Run(t, "yarnd", "kill", a.id) })
	if err := alice.Signal(ctx, "submitting", "KILL"); err != nil {
		t.Fatal(err)
	}
	if err := client.Wait(); err == nil {
		t.Fatal("the client ended well after SIGKILL: it was not hit")
	}
	a.must(t, "wait", "--for", "workers:2")
	if got := a.must(t, "exec", "--", "echo", "alive"); got != "alive\n" {
		t.Errorf("got %q", got)
	}
	a.must(t, "kill")
	a.leftNothing(t)
	if rm := a.rm(t); rm.State != "KILLED" || rm.FinalStatus != "KILLED" {
		t.Errorf("after kill the ResourceManager shows %+v", rm)
	}
}

func TestScaleExactly(t *testing.T) {
	c := dockertest.Running(t, "simple")
	a := submit(t, c.Edge("alice"), "--workers", "3", "--worker-memory", "128MiB", "--wait", "workers:3")
	for _, n := range []string{"8", "2", "5", "0", "1"} {
		a.must(t, "scale", n)
		want := map[string]int{"8": 8, "2": 2, "5": 5, "0": 0, "1": 1}[n]
		await(t, n+" workers and no more", time.Minute, func() bool {
			return a.status(t).Work.Workers == want && a.rm(t).RunningContainers == want+2
		})
	}
}
