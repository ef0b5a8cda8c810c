package survive

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
)

// The application master is killed while a job runs, again and again. Nothing else ends:
// the containers are the same ones, each task runs once, and a client that holds futures
// and an open session goes on.
func TestMasterIsKilled(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	r := small(3)
	r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, 3
	a := w.submit(r)
	c := a.connect()
	before := a.running()
	if len(before) != 4 {
		t.Fatalf("%d containers before anything happened: %v", len(before), before)
	}
	marks := t.TempDir()
	task := engine.Command([]string{"sh", "-c", "echo x >>$0/$1; sleep 0.1", marks, "{}"})
	items := make([]string, 150)
	for i := range items {
		items[i] = fmt.Sprint(i)
	}
	job, err := c.Job(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	futures := task.Map(w.withTime(), c.Client, slices.Values(items), engine.InJob(job))

	if err := c.Scale(t.Context(), 2); err != nil { // which no attempt may forget
		t.Fatal(err)
	}
	a.await("one leaves", func() bool { return len(a.running()) == 3 })
	before = a.running()

	for n := range 3 {
		id, began := a.attempt(), time.Now()
		if err := a.killMaster(id); err != nil {
			t.Fatalf("kill %d: %v", n, err)
		}
		a.await("the next attempt serves", func() bool {
			info, err := c.Session().Info(w.withTime())
			if err != nil {
				t.Fatal(err)
			}
			return int32(info.GetAttempt()) > id.Attempt && info.GetScheduler() != nil && info.GetReport().GetWorkers() == 2
		})
		t.Logf("kill %d: served again after %v", n, time.Since(began).Round(time.Millisecond))
		if after := a.running(); !slices.Equal(before, after) {
			t.Errorf("kill %d: %v became %v", n, before, after)
		}
	}
	if _, err := futures.Gather(w.withTime()); err != nil {
		t.Error(err)
	}
	for _, item := range items {
		text, err := os.ReadFile(filepath.Join(marks, item))
		if err != nil || strings.Count(string(text), "x") != 1 {
			t.Errorf("task %s ran %q, %v", item, text, err)
		}
	}
	if after := a.running(); !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}

	// What a person does works with the containers of the first attempt.
	if err := c.Scale(t.Context(), 1); err != nil {
		t.Error(err)
	}
	a.await("a worker of the first attempt is stopped", func() bool { return len(a.running()) == 2 })
	for _, id := range a.running() {
		if !slices.Contains(before, id) {
			t.Errorf("%s is new", id)
		}
	}
	if err := c.Scale(t.Context(), 2); err != nil {
		t.Error(err)
	}
	if err := c.WaitWorkers(w.withTime(), 2); err != nil {
		t.Error(err)
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	if end := a.final(); end.Final != "SUCCEEDED" {
		t.Errorf("%+v", end)
	}
	a.gone()
}
