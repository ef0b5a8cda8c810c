//go:build hadoop

package dockertest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// The DataNode that a file is read from dies, or is stopped; and one has other bytes than were written. The
// reader goes on with another one, and says which replica is bad.
func TestReaderLosesReplicas(t *testing.T) {
	c := dockertest.Exclusive(t, "simple")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var last atomic.Pointer[string] // the DataNode that was connected to last
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, port, _ := net.SplitHostPort(addr); port != "8020" {
			last.Store(&host)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	fsys, err := hdfs.Open(ctx, conf.FromMap(nil), "hdfs://"+c.Addr("nn")+":8020", hdfs.Options{User: "alice", Dial: dial})
	ok(t, err)
	defer fsys.Close()
	const name, blockSize = "/user/alice/read-test", 5<<20 + 512 // a size that no other block has
	data := make([]byte, 3*blockSize+1000)
	rand.NewChaCha8([32]byte{7}).Read(data)
	_, err = hdfs.Upload(ctx, fsys, name, bytes.NewReader(data), hdfs.UploadOptions{
		CreateOptions: hdfs.CreateOptions{Replication: 3, BlockSize: blockSize, Overwrite: true}})
	ok(t, err)
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), name) })
	holders := func() (hosts []string) {
		blocks, err := fsys.Locations(ctx, name)
		ok(t, err)
		for i, b := range blocks {
			for _, h := range b.Hosts {
				hosts = append(hosts, fmt.Sprint(i, " ", h))
			}
		}
		return hosts
	}
	for until := time.Now().Add(time.Minute); len(holders()) < 12; time.Sleep(100 * time.Millisecond) { // the other replicas are reported a little later
		if time.Now().After(until) {
			t.Fatalf("only %v", holders())
		}
	}
	hostAt := func(addr string) string {
		for _, h := range c.Composition().Hosts {
			if c.Addr(h.Name) == addr {
				return h.Name
			}
		}
		t.Fatalf("no host is at %s", addr)
		return ""
	}

	for what, do := range map[string]struct {
		hurt, heal func(context.Context, string) error
	}{
		"killed": {func(ctx context.Context, h string) error { return c.KillDaemon(ctx, h, "datanode") },
			func(ctx context.Context, h string) error { return c.StartDaemon(ctx, h, "datanode") }},
		"stopped": {func(ctx context.Context, h string) error { return c.PauseDaemon(ctx, h, "datanode") },
			func(ctx context.Context, h string) error { return c.ResumeDaemon(ctx, h, "datanode") }},
	} {
		t.Run(what, func(t *testing.T) {
			f, err := fsys.Open(ctx, name)
			ok(t, err)
			defer f.Close()
			got := make([]byte, len(data))
			_, err = io.ReadFull(f, got[:1<<20])
			ok(t, err)
			host := hostAt(*last.Load())
			ok(t, do.hurt(ctx, host))
			start := time.Now()
			_, err = io.ReadFull(f, got[1<<20:])
			took := time.Since(start)
			ok(t, do.heal(ctx, host)) // it may be a while until it serves again: the next one has a third replica
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("without %s: %v, or other bytes", host, err)
			}
			if took > 20*time.Second {
				t.Errorf("without %s it took %v", host, took)
			}
			t.Logf("without %s the rest took %v", host, took.Round(time.Millisecond))
		})
	}
	ok(t, c.Repair(ctx))

	t.Run("damaged", func(t *testing.T) {
		before := holders()
		_, host, _ := strings.Cut(before[0], " ")
		bad := fmt.Sprint("0 ", host)
		_, err := c.Output(ctx, host, "root", "sh", "-c", fmt.Sprintf("for f in $(find /data/dfs/data -name 'blk_*' -size %dc); do printf 'not what was written' | dd of=$f bs=1 seek=3000000 conv=notrunc; done", blockSize))
		ok(t, err)
		for until := time.Now().Add(2 * time.Minute); slices.Contains(holders(), bad); { // which replica is read first is chance
			got, err := hdfs.ReadFile(ctx, fsys, name, 1<<30)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d of %d bytes, %v, or other bytes", len(got), len(data), err)
			}
			if time.Now().After(until) {
				t.Fatalf("the NameNode goes on naming %s: %v", host, holders())
			}
		}
		t.Logf("before: %v, after: %v", before, holders())
	})
}
