//go:build hadoop

package hdfs

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// openReal opens the file system of the cluster that HADOOP_CONF_DIR describes.
func openReal(t testing.TB, opts Options) FS {
	t.Helper()
	c, err := conf.Load(conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := Open(t.Context(), c, "", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.Close() })
	return fsys
}

func TestHDFS(t *testing.T) {
	fsys := openReal(t, Options{})
	root := fsys.Home() + "/hdfs-test-" + rand.Text()
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), root) })
	testFS(t, fsys, root, 1<<20)
	testAppend(t, fsys, root, 1<<20)
}

func BenchmarkHDFSRead(b *testing.B) {
	fsys := openReal(b, Options{})
	benchRead(b, fsys.(*remote), fsys.Home()+"/bench-"+rand.Text())
}
