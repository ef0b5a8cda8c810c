package survive

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// schedulerOf is the container in which the application's scheduler runs.
func (a *app) schedulerOf() yarn.ContainerID {
	a.Helper()
	c := a.connect()
	info, err := c.Session().Info(a.withTime())
	if err != nil {
		a.Fatal(err)
	}
	id, err := yarn.ParseContainerID(info.GetScheduler().GetContainer())
	if err != nil {
		a.Fatal(err)
	}
	return id
}

func (a *app) killContainer(id yarn.ContainerID) {
	a.Helper()
	for _, node := range a.Nodes {
		if node.KillContainer(id, syscall.SIGKILL) == nil {
			return
		}
	}
	a.Fatalf("container %s is nowhere", id)
}

// The scheduler is killed while jobs run, again and again. Whoever waits for results sees
// nothing but delay; what was told stays as it was told; what runs goes on, once.
func TestSchedulerIsKilled(t *testing.T) {
	const workers, kills = 3, 5
	w := newWorld(t, minicluster.Options{Nodes: 2})
	r := small(workers)
	r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, workers
	a := w.submit(r)
	c := a.connect()
	marks := t.TempDir()
	// Each result is another every time that it is computed.
	task := engine.Command([]string{"sh", "-c", "echo x >>$0/$1; sleep 0.2; cat /proc/sys/kernel/random/uuid", marks, "{}"})
	items := make([]string, 150)
	for i := range items {
		items[i] = fmt.Sprint(i)
	}
	job, err := c.Job(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	sleep := engine.Command([]string{"sh", "-c", "sleep 0.1; echo {}"})
	unnamed := sleep.Map(w.withTime(), c.Client, slices.Values(items[:50]))
	futures := task.Map(w.withTime(), c.Client, slices.Values(items), engine.InJob(job))
	if _, err := futures.Submitted(w.withTime()); err != nil {
		t.Fatal(err)
	}
	early := map[int]string{}
	for n := range kills { // more often than Restarts says, which counts crashes
		for i := range 10 {
			at := 10*n + i
			out, err := futures.At(at).Result(w.withTime())
			if err != nil {
				t.Fatal(err)
			}
			early[at] = string(out.Stdout)
		}
		id, began := a.schedulerOf(), time.Now()
		a.killContainer(id)
		a.await("another scheduler serves", func() bool {
			info, err := c.Session().Info(w.withTime())
			return err == nil && info.GetScheduler() != nil && info.GetScheduler().GetContainer() != id.String()
		})
		t.Logf("kill %d: another scheduler after %v", n, time.Since(began).Round(time.Millisecond))
	}
	all, err := futures.Gather(w.withTime())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unnamed.Gather(w.withTime()); err != nil {
		t.Error(err)
	}
	for at, said := range early {
		if got := string(all[at].Stdout); got != said {
			t.Errorf("task %d: first %q, then %q", at, said, got)
		}
	}
	// Another client sees the same.
	if err := engine.Publish(t.Context(), c.Client, "first", futures.At(0)); err != nil {
		t.Fatal(err)
	}
	again, err := engine.Lookup[engine.CommandResult](t.Context(), a.connect().Client, "first")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := again.Result(w.withTime()); err != nil || string(out.Stdout) != early[0] {
		t.Errorf("another client has %q, %v; want %q", out.Stdout, err, early[0])
	}
	twice := 0
	for _, item := range items {
		text, err := os.ReadFile(filepath.Join(marks, item))
		if err != nil {
			t.Error(err)
		}
		twice += strings.Count(string(text), "x") - 1
	}
	// What ran goes on and what has ended stays. But that a task was given out is written down after it was: of what was given
	// out in the last moment the next scheduler may not know, and gives it out again. That is one task for each slot, of
	// which there are three, and kill.
	t.Logf("%d of %d runs were in vain", twice, len(items))
	if most := workers * kills; twice > most {
		t.Errorf("%d of %d tasks ran twice, more than can have been given out in the last moments of %d schedulers", twice, len(items), kills)
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	if end := a.final(); end.Final != "SUCCEEDED" {
		t.Errorf("%+v", end)
	}
	a.gone()
}
