package survive

import (
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// suspend stops all processes of a container, as if its node hung, and returns how to have them go on.
func (a *app) suspend(id yarn.ContainerID) (wake func()) {
	a.Helper()
	for _, node := range a.Nodes {
		if node.KillContainer(id, syscall.SIGSTOP) == nil {
			wake = func() { node.KillContainer(id, syscall.SIGCONT) } //nolint:errcheck // it may have been ended
			a.Cleanup(wake)
			return wake
		}
	}
	a.Fatalf("container %s is nowhere", id)
	return nil
}

// workers are the containers of workers, with their states.
func (a *app) workers(c *yarnd.Cluster) map[string]string {
	a.Helper()
	info, err := c.Session().Info(a.withTime())
	if err != nil {
		a.Fatal(err)
	}
	out := map[string]string{}
	for _, box := range info.GetContainers() {
		if box.GetPool() == "worker" && box.GetJoined() {
			out[box.GetId()] = box.GetState()
		}
	}
	return out
}

// A worker hangs; its node and the cluster say nothing of it. Its tasks run elsewhere, another worker takes its place, and
// when it comes back after all, one of them leaves.
func TestSilentWorkerIsReplaced(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	a, c := w.submitWorkers(2)
	victim := a.worker(c)
	began := time.Now()
	wake := a.suspend(victim)
	a.await("another worker is there", func() bool {
		states := a.workers(c)
		return len(states) == 3 && states[victim.String()] == "silent"
	})
	took := time.Since(began)
	t.Logf("another worker was there after %v", took.Round(time.Millisecond))
	if err := c.WaitWorkers(w.withTime(), 2); err != nil {
		t.Error(err)
	}
	wake()
	a.await("two are left", func() bool {
		left := a.workers(c)
		return len(left) == 2 && left[victim.String()] != "silent"
	})
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}
