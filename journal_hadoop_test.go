//go:build hadoop

package yarnd

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// clusterFS is the file system of the cluster that HADOOP_CONF_DIR describes, and a directory
// of the test's own.
func clusterFS(t *testing.T) (hdfs.FS, string) {
	t.Helper()
	c, err := conf.Load(conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := hdfs.Open(t.Context(), c, "", hdfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root := fsys.Home() + "/journal-test-" + rand.Text()
	t.Cleanup(func() {
		if err := fsys.RemoveAll(context.Background(), root); err != nil {
			t.Error(err)
		}
		fsys.Close()
	})
	return fsys, root
}

func TestJournalStoreHDFS(t *testing.T) {
	fsys, root := clusterFS(t)
	testJournalStore(t, fsys, root)
}

// TestJournalLatencyHDFS prints how long a record waits until it is safe, and how fast many are.
func TestJournalLatencyHDFS(t *testing.T) {
	fsys, root := clusterFS(t)
	s, err := newHDFSJournal(t.Context(), fsys, root)
	if err != nil {
		t.Fatal(err)
	}
	j, told, _ := openJournal(t, s, 1)
	rec := bytes.Repeat([]byte("x"), 200)
	settle := func() {
		for pos := range told {
			if pos == j.Appended() {
				return
			}
		}
	}
	var waits []time.Duration
	for range 300 {
		began := time.Now()
		j.Append(rec)
		j.Commit()
		settle()
		waits = append(waits, time.Since(began))
	}
	slices.Sort(waits)
	t.Logf("one record of 200 bytes until it is safe: p50 %v, p99 %v", waits[len(waits)/2], waits[len(waits)*99/100])
	began := time.Now()
	for i := range 500_000 {
		j.Append(rec)
		if i%1000 == 0 {
			j.Commit()
		}
	}
	j.Commit()
	settle()
	took := time.Since(began)
	t.Logf("500,000 records: %.0f a second, %.0f MB/s", 500_000/took.Seconds(), 100/took.Seconds())
	if err := j.Close(t.Context()); err != nil {
		t.Error(err)
	}
	began = time.Now()
	want := slices.Repeat([]string{string(rec)}, 500_300)
	openJournal(t, s, 2, want...)
	t.Logf("%d records are read in %v", len(want), time.Since(began))
}
