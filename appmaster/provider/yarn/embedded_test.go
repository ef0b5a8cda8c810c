package yarn

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
)

// On an embedded cluster, over the same protocols as on a real one.
func TestEmbedded(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the suite waits for things that must not happen")
	}
	embedded(t, minicluster.Options{Nodes: 3, Heartbeat: 50 * time.Millisecond})
	onCluster(t)
}

// embedded starts a cluster for a test, whose configuration Hadoop's clients find.
func embedded(t *testing.T, o minicluster.Options) *minicluster.Cluster {
	t.Helper()
	o.Dir = t.TempDir()
	c, err := minicluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("HADOOP_CONF_DIR", c.ConfDir())
	return c
}
