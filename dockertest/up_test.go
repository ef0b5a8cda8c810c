//go:build hadoop

package dockertest_test

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/cluster"
)

// processes returns the process id of every daemon.
func processes(t *testing.T, c *dockertest.Cluster) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, h := range c.Composition().Hosts {
		for _, d := range h.Daemons {
			pid, err := c.Output(t.Context(), h.Name, "", "pgrep", "-f", d.Pattern())
			if err != nil {
				t.Fatal(err)
			}
			all[h.Name+" "+d.Name] = pid
		}
	}
	return all
}

func TestUpAgainChangesNothing(t *testing.T) {
	c := dockertest.Running(t, "simple")
	before := processes(t, c)
	start := time.Now()
	if _, err := cluster.Up(t.Context(), cluster.Spec{Name: c.Name(), Composition: c.Composition()}, nil); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("up on a running cluster took %v", took)
	if took > 2*time.Second {
		t.Errorf("up on a running cluster took %v", took)
	}
	for name, pid := range processes(t, c) {
		if pid != before[name] {
			t.Errorf("%s was process %q and is %q", name, before[name], pid)
		}
	}
}

func TestUpRepairs(t *testing.T) {
	for _, broken := range []struct {
		name string
		do   func(*testing.T, *dockertest.Cluster) error
	}{
		{"a killed node manager", func(t *testing.T, c *dockertest.Cluster) error {
			return c.KillDaemon(t.Context(), "nm3", "nodemanager")
		}},
		{"a stopped host", func(t *testing.T, c *dockertest.Cluster) error { return c.StopHost(t.Context(), "nm2") }},
		{"a paused edge node and a dead NameNode", func(t *testing.T, c *dockertest.Cluster) error {
			if err := c.PauseHost(t.Context(), "edge2"); err != nil {
				return err
			}
			return c.StopDaemon(t.Context(), "nn", "namenode")
		}},
	} {
		t.Run(broken.name, func(t *testing.T) {
			c := dockertest.Exclusive(t, "simple")
			if err := broken.do(t, c); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := cluster.Up(t.Context(), cluster.Spec{Name: c.Name(), Composition: c.Composition()}, nil); err != nil {
				t.Fatal(err)
			}
			t.Logf("repaired in %v", time.Since(start))
			if err := c.Health(t.Context()); err != nil {
				t.Error(err)
			}
			if r := c.Edge("alice").On("edge2").FS(t, "-ls", "/user/alice"); r.Code != 0 {
				t.Error(r)
			}
		})
	}
}
