package survive

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Without a journal nothing is written down. When the scheduler dies jobs are lost, and who
// waits for them is told so; workers stay, and the next job runs.
func TestWithoutJournal(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	r := small(2)
	r.NoJournal, r.Wait, r.WaitWorkers = true, edgeclient.WaitWorkers, 2
	a := w.submit(r)
	c := a.connect()
	echo := engine.Command([]string{"echo", "-n", "{}"})
	if _, err := echo.Call(w.withTime(), c.Client, "first"); err != nil {
		t.Fatal(err)
	}
	if dirs, _ := filepath.Glob(filepath.Join(w.Dir(), "user", "*", ".yarnd", a.id, "journal*")); len(dirs) > 0 {
		t.Errorf("written down: %v", dirs)
	}
	wait := engine.Command([]string{"sleep", "{}"}).Map(t.Context(), c.Client, slices.Values([]string{"1000"}))
	if _, err := wait.Submitted(w.withTime()); err != nil {
		t.Fatal(err)
	}
	scheduler := a.schedulerOf()
	others := func() []yarn.ContainerID {
		return slices.DeleteFunc(a.running(), func(id yarn.ContainerID) bool { return id == scheduler })
	}
	before := others()
	a.killContainer(scheduler)
	if _, err := wait.At(0).Result(w.withTime()); !errors.Is(err, engine.ErrLost) {
		t.Errorf("what had been submitted: %v", err)
	}
	// A client that comes new finds a cluster that works.
	c = a.connect()
	if got, err := echo.Call(w.withTime(), c.Client, "second"); err != nil || string(got.Stdout) != "second" {
		t.Errorf("%q, %v", got.Stdout, err)
	}
	for _, id := range before {
		if !slices.Contains(a.running(), id) {
			t.Errorf("%v went with the scheduler", id)
		}
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}
