package survive

import (
	"testing"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
)

// A task that asks for what only one pool has makes that pool grow, and runs there; others
// do not.
func TestPoolOfWhatIsAskedFor(t *testing.T) {
	const gpu = edgeclient.GPU
	w := newWorld(t, minicluster.Options{
		Nodes: 2, Cluster: core.Config{Types: []string{gpu}},
		Capability: tracker.Resource{MemoryMiB: 4096, VCores: 8, Others: map[string]int64{gpu: 1}},
	})
	r := small(1)
	r.Pools = []edgeclient.PoolRequest{{Name: "gpu", Adapt: edgeclient.Limits{Max: 2}, Named: map[string]int64{gpu: 1}}}
	a := w.submit(r)
	c := a.connect()
	workers := func(pool string) (n int32) {
		info, err := c.Session().Info(w.withTime())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range info.GetPools() {
			if p.GetName() == pool {
				n = p.GetRunning()
			}
		}
		return n
	}
	echo := engine.Command([]string{"echo", "-n", "{}"})
	if got, err := echo.Call(w.withTime(), c.Client, "plain"); err != nil || string(got.Stdout) != "plain" {
		t.Fatalf("%q, %v", got.Stdout, err)
	}
	if n := workers("gpu"); n != 0 {
		t.Errorf("a task that asks for nothing brought %d workers of the other pool", n)
	}
	if got, err := echo.Call(w.withTime(), c.Client, "fast", engine.Resource(gpu, 1)); err != nil || string(got.Stdout) != "fast" {
		t.Fatalf("%q, %v", got.Stdout, err)
	}
	if n := workers("gpu"); n < 1 || n > 2 {
		t.Errorf("%d workers of the pool that it needed", n)
	}
	if n := workers("worker"); n != 1 {
		t.Errorf("%d workers of the other", n)
	}
	if err := c.ScalePool(w.withTime(), "gpu", 2); err != nil {
		t.Error(err)
	}
	a.await("two with GPUs", func() bool { return workers("gpu") == 2 })
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}
