//go:build hadoop

package dockertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// openHDFS is the cluster's HDFS, from this machine.
func openHDFS(t *testing.T, c *dockertest.Cluster, nameNode string) hdfs.FS {
	t.Helper()
	fsys, err := hdfs.Open(t.Context(), conf.FromMap(nil), "hdfs://"+c.Addr(nameNode)+":8020", hdfs.Options{User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.Close() })
	return fsys
}

// An appender's DataNode dies: the next Flush says so, another file is at once written by DataNodes that live, although
// the NameNode does not know yet who does; and all that was flushed is there after Recover.
func TestAppenderLosesDataNode(t *testing.T) {
	c := dockertest.Exclusive(t, "simple")
	fsys := openHDFS(t, c, "nn")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	const dir = "/user/alice/append-test"
	if err := fsys.MkdirAll(ctx, dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), dir) })
	for _, replicas := range []int{1, 2} {
		opts := hdfs.CreateOptions{Replication: replicas}
		name := fmt.Sprintf("%s/%d", dir, replicas)
		a, err := fsys.Append(ctx, name, opts)
		if err != nil {
			t.Fatal(err)
		}
		flushed := strings.Repeat("flushed ", 10_000)
		if err := write(ctx, a, flushed); err != nil {
			t.Fatal(err)
		}
		blocks, err := fsys.Locations(ctx, name)
		if err != nil || len(blocks) != 1 || len(blocks[0].Hosts) != replicas {
			t.Fatalf("%+v, %v", blocks, err)
		}
		host := blocks[0].Hosts[0]
		if err := c.KillDaemon(ctx, host, "datanode"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		failure := write(ctx, a, "lost")
		if e := (*hdfs.Error)(nil); !errors.As(failure, &e) || errors.Is(failure, hdfs.ErrFenced) {
			t.Errorf("without %s: %v", host, failure)
		}
		t.Logf("%d replicas: Flush failed after %v: %v", replicas, time.Since(start), failure)
		if err := a.Close(); !errors.Is(err, failure) {
			t.Errorf("Close: %v", err)
		}
		start = time.Now()
		for i := range 4 { // so that the dead one is chosen at least once
			next, err := fsys.Append(ctx, fmt.Sprintf("%s-%d", name, i), opts)
			if err == nil {
				err = errors.Join(write(ctx, next, "on"), next.Close())
			}
			if err != nil {
				t.Errorf("another file without %s: %v", host, err)
			}
		}
		t.Logf("4 more files after %v", time.Since(start))
		if replicas == 1 { // nobody else has the bytes
			if err := c.StartDaemon(ctx, host, "datanode"); err != nil {
				t.Fatal(err)
			}
		}
		start = time.Now()
		if err := fsys.Recover(ctx, name); err != nil {
			t.Fatal(err)
		}
		t.Logf("recovered after %v", time.Since(start))
		got, err := hdfs.ReadFile(ctx, fsys, name, 1<<20)
		if err != nil || !strings.HasPrefix(flushed+"lost", string(got)) || len(got) < len(flushed) {
			t.Errorf("%d bytes of %d flushed, %v", len(got), len(flushed), err)
		}
		if err := c.Repair(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func write(ctx context.Context, a hdfs.Appender, text string) error {
	if _, err := a.Write([]byte(text)); err != nil {
		return err
	}
	return a.Flush(ctx)
}

// The NameNode restarts while a file is written, and is asked to recover it before DataNodes may have reported.
func TestRecoverAfterNameNodeRestart(t *testing.T) {
	c := dockertest.Exclusive(t, "simple")
	fsys := openHDFS(t, c, "nn")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const name = "/user/alice/append-restart"
	a, err := fsys.Append(ctx, name, hdfs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), name) })
	if err := write(ctx, a, "first "); err != nil {
		t.Fatal(err)
	}
	if err := c.KillDaemon(ctx, "nn", "namenode"); err != nil {
		t.Fatal(err)
	}
	// The DataNodes take bytes without it.
	if err := write(ctx, a, "second"); err != nil {
		t.Errorf("Flush without the NameNode: %v", err)
	}
	done := make(chan error)
	go func() { done <- fsys.Recover(ctx, name) }() // waits for it
	if err := c.StartDaemon(ctx, "nn", "namenode"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, err := hdfs.ReadFile(ctx, fsys, name, 100); err != nil || string(got) != "first second" {
		t.Errorf("%q, %v", got, err)
	}
	if err := errors.Join(write(ctx, a, "third"), a.Close()); !errors.Is(err, hdfs.ErrFenced) {
		t.Errorf("the old writer: %v", err)
	}
	infos, err := fsys.ReadDir(ctx, "/user/alice")
	if err != nil || !slices.ContainsFunc(infos, func(i hdfs.FileInfo) bool { return i.Path == name && i.Length == 12 }) {
		t.Errorf("%+v, %v", infos, err)
	}
}
