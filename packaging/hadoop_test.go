//go:build hadoop

package packaging

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// TestCacheHDFS runs the cache on the cluster that HADOOP_CONF_DIR describes,
// and shows what a second submission of a large file costs.
func TestCacheHDFS(t *testing.T) {
	c, err := conf.Load(conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := hdfs.Open(t.Context(), c, "", hdfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	root := fsys.Home() + "/cache-test-" + rand.Text()
	defer fsys.RemoveAll(context.Background(), root)
	testCache(t, fsys, root)

	t.Run("Large", func(t *testing.T) {
		const size = 60 << 20
		data := make([]byte, size)
		rand.Read(data)
		file := write(t, t.TempDir()+"/bundle", data)
		opts := CacheOptions{Dir: root + "/large", Index: t.TempDir() + "/index"}
		cache, err := OpenCache(t.Context(), fsys, opts)
		if err != nil {
			t.Fatal(err)
		}
		put := func() (Resource, time.Duration) {
			t.Helper()
			start := time.Now()
			r, err := cache.Put(t.Context(), Spec{Source: file, Name: "yarnd"})
			if err != nil {
				t.Fatal(err)
			}
			return r, time.Since(start)
		}
		first, took := put()
		second, again := put()
		if !first.Uploaded || second.Uploaded || first.URL != second.URL || first.ModTimeMs != second.ModTimeMs {
			t.Errorf("%+v, then %+v", first, second)
		}
		if err := cache.Verify(t.Context(), second); err != nil {
			t.Error(err)
		}
		t.Logf("%d MiB: first %v (%.0f MB/s), second %v", size>>20, took, size/1e6/took.Seconds(), again)
	})
}
