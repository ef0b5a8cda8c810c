//go:build chaos

package survive

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
)

// The scheduler hangs. Another takes over what it kept, and when the first goes on, it has been ended.
func TestSilentSchedulerIsReplaced(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	a, c := w.submitWorkers(2)
	finish := a.begin(c, 40, "0.1")
	finish()
	victim := a.schedulerOf()
	began := time.Now()
	a.suspend(victim)
	for deadline := began.Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		info, err := c.Session().Info(a.withTime())
		if err == nil && info.GetScheduler().GetContainer() != victim.String() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no other scheduler has come: %v", err)
		}
	}
	t.Logf("another scheduler was there after %v", time.Since(began).Round(time.Millisecond))
	if got, err := engine.Command([]string{"echo", "-n", "{}"}).Call(w.withTime(), c.Client, "on"); err != nil || string(got.Stdout) != "on" {
		t.Errorf("%+v, %v", got, err)
	}
	t.Logf("it gave a result after %v", time.Since(began).Round(time.Millisecond))
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}
