package survive

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
)

// A named job of a client that never comes back ends after what submit says, with what was
// published; one that is in use does not.
func TestResultsAreNotKeptForEver(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	r := small(1)
	r.KeepResults, r.Wait, r.WaitWorkers = 3*time.Second, edgeclient.WaitWorkers, 1
	a := w.submit(r)
	echo := engine.Command([]string{"echo", "-n", "{}"})
	leave := a.connect()
	stay := a.connect()
	for name, c := range map[string]*engine.Client{"left": leave.Client, "used": stay.Client} {
		job, err := c.Job(w.withTime(), name)
		if err != nil {
			t.Fatal(err)
		}
		f := echo.Submit(w.withTime(), c, name, engine.InJob(job))
		if err := engine.Publish(w.withTime(), c, "result of "+name, f); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Result(w.withTime()); err != nil {
			t.Fatal(err)
		}
	}
	leave.Close()
	var names []string
	for {
		jobs, err := stay.Jobs(w.withTime())
		if err != nil {
			t.Fatal(err)
		}
		names = names[:0]
		for _, j := range jobs {
			if j.Name != "" {
				names = append(names, j.Name)
			}
			if j.Kept > r.KeepResults {
				t.Errorf("%q is kept for %v", j.Name, j.Kept)
			}
		}
		if !slices.Contains(names, "left") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !slices.Equal(names, []string{"used"}) {
		t.Errorf("there are %q", names)
	}
	published, err := stay.Names(w.withTime())
	if err != nil || len(published) != 1 || published[0].Name != "result of used" {
		t.Errorf("published are %v, %v", published, err)
	}
	events, _, err := stay.Events(w.withTime(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(events, func(e engine.Event) bool {
		return e.Kind == "job.closed" && strings.Contains(e.Object, "left") && strings.Contains(e.Text, "nobody has used its results for 3s")
	}) {
		t.Errorf("events %v", events)
	}
	if err := stay.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}
