package survive

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// begin submits so many tasks, each of which marks that it ran.
func (a *app) begin(c *yarnd.Cluster, n int, seconds string) (done func()) {
	a.Helper()
	marks := a.TempDir()
	task := engine.Command([]string{"sh", "-c", "echo x >>$0/$1; sleep " + seconds, marks, "{}"})
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprint(i)
	}
	futures := task.Map(a.withTime(), c.Client, slices.Values(items))
	return func() {
		a.Helper()
		if _, err := futures.Gather(a.withTime()); err != nil {
			a.Error(err)
		}
		for _, item := range items {
			text, err := os.ReadFile(filepath.Join(marks, item))
			if err != nil || strings.Count(string(text), "x") != 1 {
				a.Errorf("task %s ran %q, %v", item, text, err)
			}
		}
	}
}

// submitWorkers starts an application whose workers are all there, and connects.
func (w *world) submitWorkers(n int) (*app, *yarnd.Cluster) {
	w.Helper()
	r := small(n)
	r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, n
	a := w.submit(r)
	return a, a.connect()
}

// Two ResourceManagers take over from each other while a job runs. The containers are the
// same ones, each task runs once, and the next one heeds what is asked of it.
func TestResourceManagersTakeOver(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2, HA: true})
	a, c := w.submitWorkers(3)
	before := a.running()
	finish := a.begin(c, 150, "0.1")
	for n := range 4 {
		if err := w.RM.Failover(time.Duration(n) * 200 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		a.await("the next ResourceManager knows the application", func() bool {
			report, err := w.edge.Report(t.Context(), a.id)
			return err == nil && report.State == "RUNNING"
		})
		if after := a.running(); !slices.Equal(before, after) {
			t.Errorf("failover %d: %v became %v", n, before, after)
		}
	}
	finish()
	if err := c.Scale(t.Context(), 4); err != nil {
		t.Error(err)
	}
	if err := c.WaitWorkers(w.withTime(), 4); err != nil {
		t.Error(err)
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}

// The cluster says that it takes a worker's container back. The worker ends what it runs, and goes; no task runs again, and
// another worker takes its place.
func TestPreemptedWorkerIsDrained(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	a, c := w.submitWorkers(3)
	finish := a.begin(c, 60, "0.2")
	victim := a.worker(c)
	if !w.RM.Preempt(victim, true, patience) {
		t.Fatalf("there is no %s", victim)
	}
	a.await("the worker has gone, long before it is taken", func() bool { return !slices.Contains(a.running(), victim) })
	finish()
	a.await("another one is there", func() bool { return len(a.running()) == 4 })
	if err := c.WaitWorkers(w.withTime(), 3); err != nil {
		t.Error(err)
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}

// worker is the container of any worker.
func (a *app) worker(c *yarnd.Cluster) yarn.ContainerID {
	a.Helper()
	info, err := c.Session().Info(a.withTime())
	if err != nil {
		a.Fatal(err)
	}
	for _, box := range info.GetContainers() {
		if box.GetPool() == "worker" {
			id, err := yarn.ParseContainerID(box.GetId())
			if err != nil {
				a.Fatal(err)
			}
			return id
		}
	}
	a.Fatal("there is no worker")
	return yarn.ContainerID{}
}
