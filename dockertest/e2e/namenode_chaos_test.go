//go:build hadoop && chaos

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// The active NameNode is killed -9 while tasks run. Another application is submitted before there is another one, the
// first is scaled, its scheduler and its application master are killed once there is: both know what was acknowledged,
// from the NameNode that did not have it written. Nothing is lost, run again or left.
func TestChaosNameNodeKilled(t *testing.T) {
	c := dockertest.Exclusive(t, "ha-nn")
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	alice, bob := c.Edge("alice"), c.Edge("bob")
	a := submit(t, alice, "--workers", "3", "--worker-memory", "256MiB", "--wait", "workers:3")
	job := a.squares(t, 60)
	await(t, "20 tasks are done", time.Minute, func() bool { return a.tasksDone(t) >= 20 })

	old, err := c.ActiveNN(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.KillDaemon(ctx, old, layout.NameNode.Name); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	gap := make(chan time.Duration, 1)
	go func() {
		if active, err := c.AwaitActiveNN(ctx, old); err != nil || active == old {
			t.Errorf("%q is active, %v", active, err)
		}
		gap <- time.Since(killed)
	}()
	b := submit(t, bob, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1")
	t.Logf("%s was killed; another one is active after %v; an application submitted at once runs after %v", old,
		(<-gap).Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))
	if took := time.Since(killed); took > time.Minute {
		t.Errorf("the submission took %v", took)
	}
	a.must(t, "scale", "4")
	a.must(t, "wait", "--for", "workers:4", "--timeout", "2m")

	before := a.ofPool(t, "scheduler", "")
	killOne(t, a, "scheduler")
	lost := time.Now()
	await(t, "another scheduler has the four workers, and knows of 20 tasks", 3*time.Minute, func() bool {
		now := a.ofPool(t, "scheduler", "running")
		return len(now) == 1 && now[0].ID != before[0].ID && a.status(t).Work.Workers == 4 && a.tasksDone(t) >= 20
	})
	t.Logf("the next scheduler had read the journal from the other NameNode, and had its workers, after %v", time.Since(lost).Round(time.Millisecond))
	killOne(t, a, "appmaster")
	lost = time.Now()
	await(t, "the second attempt is there", time.Minute, func() bool { return len(a.attempts(t)) == 2 })
	await(t, "it wants four workers", time.Minute, func() bool {
		pools := a.status(t).Pools
		return len(pools) > 0 && pools[len(pools)-1].Wanted == 4 && a.status(t).Work.Workers == 4
	})
	t.Logf("so does the next application master, after %v", time.Since(lost).Round(time.Millisecond))

	if err := c.StartDaemon(ctx, old, layout.NameNode.Name); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitHealth(ctx, 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	job.finish(t)
	for i, n := range job.runs(t) {
		if i <= 20 && n != 1 {
			t.Errorf("task %d was done before the fault, and ran %d times", i, n)
		}
	}
	if got := b.must(t, "exec", "--", "echo", "second"); got != "second\n" {
		t.Errorf("the second application says %q", got)
	}
	for _, x := range []app{a, b} {
		x.must(t, "kill", "--graceful")
		if rm := x.rm(t); rm.FinalStatus != "SUCCEEDED" {
			t.Errorf("in the end the ResourceManager shows %+v", rm)
		}
		x.leftNothing(t)
		if left := staged(t, x.edge); len(left) > 0 {
			t.Errorf("left in the staging root of %s: %q", x.edge.User, left)
		}
		x.logged(t)
	}
}

// logged waits until the logs of an application that has ended are where Hadoop's own reader finds them.
func (a app) logged(t *testing.T) {
	t.Helper()
	var last dockertest.Result
	await(t, "the logs of "+a.id+" are aggregated", 2*time.Minute, func() bool {
		last = a.edge.Logs(t, a.id, "-log_files", "stderr")
		return last.Code == 0 && strings.Count(last.Stdout, "Container: container_") >= 3
	})
}

// The NameNodes change their parts in the middle of a word count: in order, by an administrator, and because the active
// one is stopped, so that all who speak to it wait. The words are counted, and right.
func TestChaosNameNodesInWordCount(t *testing.T) {
	c := dockertest.Exclusive(t, "ha-nn")
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	alice := c.Edge("alice")
	want := someText(t, alice)
	a := submit(t, alice, "--workers", "3", "--worker-memory", "512MiB", "--wait", "workers:3")
	for _, x := range []struct {
		name  string
		fault func(t *testing.T)
	}{
		{"in order", func(t *testing.T) {
			began := time.Now()
			active, err := c.SwitchNN(ctx)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s is active %v after haadmin -failover was begun", active, time.Since(began).Round(time.Millisecond))
		}},
		{"stopped", func(t *testing.T) {
			old, err := c.ActiveNN(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.PauseDaemon(ctx, old, layout.NameNode.Name); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			active, err := c.AwaitActiveNN(ctx, old)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s is active %v after %s was stopped", active, time.Since(began).Round(time.Millisecond), old)
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			const out = "counted"
			alice.FS(t, "-rm", "-r", "-f", "-skipTrash", out)
			cmd := alice.Command(ctx, "", "wordcount", "--app", a.id, "--pause", "2s", lifeText, out)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			done, began := a.tasksDone(t), time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			await(t, "tasks run", 2*time.Minute, func() bool { return a.tasksDone(t) > done+2 })
			x.fault(t)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, stderr.String(), a.must(t, "events"))
			}
			t.Logf("the word count took %v: %s", time.Since(began).Round(time.Millisecond), strings.TrimSpace(stderr.String()))
			began = time.Now()
			if r := alice.Run(t, "yarnd", "exec", a.id, "--", "echo", "served"); r.Stdout != "served\n" {
				t.Error(r)
			}
			t.Logf("a command afterwards took %v", time.Since(began).Round(time.Millisecond))
			if err := c.Repair(ctx); err != nil { // who was stopped goes on as a standby, or ends when it cannot write
				t.Fatal(err)
			}
			if got := alice.Must(t, "sh", "-c", fsShell+" -cat '"+out+"/part-r-*' | LC_ALL=C sort | sha256sum"); got != want {
				t.Errorf("the words counted have hash %s, and %s without a cluster", got, want)
			}
		})
	}
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}
