package minicluster_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/yarn/yarntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o minicluster.Options) *minicluster.Cluster {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := minicluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// The contract that real daemons keep, over a directory and over HDFS.
func TestContract(t *testing.T) {
	t.Run("directory", func(t *testing.T) { contract(t, false) })
	t.Run("HDFS", func(t *testing.T) { contract(t, true) })
}

func contract(t *testing.T, hdfs bool) {
	c := start(t, minicluster.Options{Nodes: 3, Heartbeat: 50 * time.Millisecond, HDFS: hdfs})
	t.Setenv("HADOOP_CONF_DIR", c.ConfDir())
	site, err := conf.Load(conf.Options{}) // as any client reads it
	if err != nil {
		t.Fatal(err)
	}
	yarntest.Run(t, site)
}
