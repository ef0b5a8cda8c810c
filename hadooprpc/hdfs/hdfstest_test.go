package hdfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
)

// openFake opens an HDFS in this process.
func openFake(t *testing.T, opts Options) (*hdfstest.Cluster, FS) {
	t.Helper()
	c, err := hdfstest.Start(hdfstest.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	dir := t.TempDir()
	site := fmt.Sprintf("<configuration><property><name>fs.defaultFS</name><value>%s</value></property></configuration>", c.URL())
	must(t, os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(site), 0o644))
	t.Setenv("HADOOP_CONF_DIR", dir)
	site0, err := conf.Load(conf.Options{})
	must(t, err)
	fsys, err := Open(t.Context(), site0, "", opts)
	must(t, err)
	t.Cleanup(func() { fsys.Close() })
	return c, fsys
}

// The suite that real daemons pass.
func TestFake(t *testing.T) {
	_, fsys := openFake(t, Options{})
	testFS(t, fsys, "/suite", 1<<20)
	testAppend(t, fsys, "/suite", 1<<20)
}

// Each trouble is met as the cluster's own is, and ends with it.
func TestFakeTroubles(t *testing.T) {
	c, fsys := openFake(t, Options{Timeout: 2 * time.Second})
	ctx := t.Context()
	must(t, fsys.MkdirAll(ctx, "/d", 0o755))
	flush := func(name string) error {
		a, err := fsys.Append(ctx, name, CreateOptions{})
		if err != nil {
			return err
		}
		defer a.Close()
		if _, err := a.Write([]byte("x")); err != nil {
			return err
		}
		brief, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		return a.Flush(brief)
	}
	for i, tc := range []struct {
		trouble hdfstest.Trouble
		want    error
	}{
		{hdfstest.Trouble{NameNode: hdfstest.Refuses}, ErrUnreachable},
		{hdfstest.Trouble{NameNode: hdfstest.Hangs}, ErrUnreachable},
		{hdfstest.Trouble{SafeMode: true}, ErrSafeMode},
		{hdfstest.Trouble{Full: true}, ErrNoDataNode},
		{hdfstest.Trouble{DataNode: hdfstest.Refuses}, ErrNoDataNode},
		{hdfstest.Trouble{DataNode: hdfstest.Hangs}, context.DeadlineExceeded},
	} {
		must(t, c.SetTrouble(tc.trouble))
		wants(t, flush(fmt.Sprint("/d/troubled", i)), tc.want)
		if c.Met() == 0 && tc.trouble.NameNode != hdfstest.Refuses {
			t.Errorf("nothing has met %+v", tc.trouble)
		}
		must(t, c.SetTrouble(hdfstest.Trouble{}))
		must(t, flush(fmt.Sprint("/d/healed", i)))
	}
}
