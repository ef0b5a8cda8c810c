//go:build hadoop

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// A cluster lives by itself: it grows with a word count, shrinks to nothing when there is nothing to do, and comes back
// with the next job. While a client waits for that, the application master is killed -9, then the scheduler, then the
// active ResourceManager: the client sees nothing but delay, and what had been done is not done again.
func TestLifeOfACluster(t *testing.T) {
	c := dockertest.Exclusive(t, "ha")
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	alice := c.Edge("alice")
	a := submit(t, alice, "--adapt", "0:20", "--worker-memory", "256MiB")

	countWords(t, alice, a)
	idle := time.Now()
	await(t, "no worker is left", 3*time.Minute, func() bool { return a.status(t).Work.Workers == 0 })
	t.Logf("no worker %v after the word count", time.Since(idle).Round(time.Millisecond))

	job := a.squares(t, 60)
	second := time.Now()
	await(t, "20 of the second job's tasks are done and more run", 3*time.Minute, func() bool { return len(job.runs(t)) > 22 && a.tasksDone(t) >= 20 })
	t.Logf("workers are back, and 20 tasks done, after %v: %+v", time.Since(second).Round(time.Millisecond), a.status(t).Work)
	a.delayOnly(t, "the application master is killed", func() {
		killOne(t, a, "appmaster")
		await(t, "the second attempt is there", time.Minute, func() bool { return len(a.attempts(t)) == 2 })
	})
	a.delayOnly(t, "the scheduler is killed", func() {
		before := a.ofPool(t, "scheduler", "")
		killOne(t, a, "scheduler")
		await(t, "another scheduler is there", time.Minute, func() bool {
			now := a.ofPool(t, "scheduler", "")
			return len(now) == 1 && now[0].ID != before[0].ID
		})
	})
	a.delayOnly(t, "the active ResourceManager is killed", func() {
		if _, _, err := c.Failover(ctx); err != nil {
			t.Fatal(err)
		}
	})
	job.finish(t)
	for i, n := range job.runs(t) {
		if i <= 20 && n != 1 {
			t.Errorf("task %d was done before the first fault, and ran %d times", i, n)
		}
	}
	t.Log(a.must(t, "events"))
	a.must(t, "kill", "--graceful")
	if rm := a.rm(t); rm.FinalStatus != "SUCCEEDED" {
		t.Errorf("in the end the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
}

const (
	lifeText = "life-text"
	fsShell  = "hadoop-java org.apache.hadoop.fs.FsShell"
)

// someText puts ASCII text in small blocks into HDFS, and returns the hash of its words' counts, made without a cluster.
func someText(t *testing.T, alice dockertest.Edge) string {
	t.Helper()
	remove := func() { alice.FS(t, "-rm", "-r", "-f", "-skipTrash", lifeText, "counted") }
	remove()
	t.Cleanup(remove)
	dir := "/tmp/life-" + alice.User
	alice.Must(t, "sh", "-c", "rm -rf "+dir+" && mkdir "+dir)
	pourGo(t, alice, `(head -c 32m; cat > /dev/null) | LC_ALL=C tr -cd '\11\12\15\40-\176' | split -C 4m -d - `+dir+`/part-`)
	if r := alice.FS(t, "-D", "dfs.blocksize=1048576", "-put", dir, lifeText); r.Code != 0 {
		t.Fatal(r)
	}
	return alice.Must(t, "sh", "-c", `cat `+dir+`/part-* | LC_ALL=C tr -s ' \t\n\r\f' '\n' | grep . | LC_ALL=C sort | uniq -c |
awk '{print $2 "\t" $1}' | LC_ALL=C sort | sha256sum; rm -rf `+dir)
}

// known are those that have run for so long that their nodes' heartbeats have told the ResourceManager. Before that a
// container ends with the attempt that was given it (RMContainerImpl: ACQUIRED to KILLED).
func known(boxes []box) []box {
	return slices.DeleteFunc(slices.Clone(boxes), func(b box) bool { return time.Since(b.Since) < 3*time.Second })
}

// delayOnly makes a fault happen and waits until as many workers are there again, among them all that YARN knew to run.
func (a app) delayOnly(t *testing.T, what string, fault func()) {
	t.Helper()
	await(t, "YARN knows of two workers that they run", time.Minute, func() bool { return len(known(a.ofPool(t, "worker", "running"))) >= 2 })
	before, start := a.ofPool(t, "worker", "running"), time.Now()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s at %v; before that the workers were %v\n%+v\n%s", what, start, before, a.status(t), a.must(t, "events"))
		}
	})
	kept := known(before)
	fault()
	await(t, what+": all workers are there again", 3*time.Minute, func() bool {
		now := a.ofPool(t, "worker", "") // and others: the cluster may be growing
		gone := slices.ContainsFunc(kept, func(k box) bool {
			return !slices.ContainsFunc(now, func(b box) bool { return b.ID == k.ID })
		})
		return !gone && a.status(t).Work.Workers >= len(before)
	})
	t.Logf("%s: %d workers again, %d of them the same for certain, after %v", what, len(before), len(kept), time.Since(start).Round(time.Millisecond))
}

// ofPool are a pool's containers, in order; with a state, those that are in it.
func (a app) ofPool(t *testing.T, pool, state string) (boxes []box) {
	t.Helper()
	for _, b := range a.status(t).Containers {
		if b.Pool == pool && (state == "" || b.State == state) {
			boxes = append(boxes, b)
		}
	}
	slices.SortFunc(boxes, func(x, y box) int { return strings.Compare(x.ID, y.ID) })
	return boxes
}
