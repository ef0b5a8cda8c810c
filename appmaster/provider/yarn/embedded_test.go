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
	c, err := minicluster.Start(t.Context(), minicluster.Options{Dir: t.TempDir(), Nodes: 3, Heartbeat: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("HADOOP_CONF_DIR", c.ConfDir())
	onCluster(t)
}
