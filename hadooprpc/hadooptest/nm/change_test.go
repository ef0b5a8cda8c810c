package nm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// What nmclient_hadoop_test.go does on a real cluster.
func TestLocalizeAndReinitialize(t *testing.T) {
	b := newBench(t)
	file := put1(t, t.TempDir(), "file", []byte("a file\n"))
	id, tok := cid(1), b.nmToken()
	launch := func(mark string) *pb.ContainerLaunchContext {
		l := command("test -s first && touch " + mark + " && exec sleep 300")
		l.LocalResources = []*pb.StringLocalResourceMap{resource(t, "first", file)}
		return l
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(b.WorkDir("alice", id), name))
		return err == nil
	}
	b.start(id, launch("one"))
	b.running(id, "one")
	if err := b.cl.Localize(b.ctx, b.ID(), tok, id, []*pb.StringLocalResourceMap{resource(t, "sub/second", file)}); err != nil {
		t.Fatal(err)
	}
	b.eventually("second file", func() bool {
		st, bad, err := b.cl.LocalizationStatuses(b.ctx, b.ID(), tok, id)
		if err != nil || len(bad) > 0 || len(st) != 1 {
			t.Fatal(st, bad, err)
		}
		for _, s := range st[0].GetLocalizationStatuses() {
			if s.GetResourceKey() == "sub/second" {
				return s.GetLocalizationState() == pb.LocalizationState_L_COMPLETED && exists("sub/second")
			}
		}
		return false
	})
	once := func(what string, f func() error) {
		t.Helper()
		b.eventually(what, func() bool {
			err := f()
			if err != nil && !strings.Contains(err.Error(), "isReInitializing=true") {
				t.Fatalf("%s: %v", what, err)
			}
			return err == nil
		})
	}
	again := func(mark, what string, f func() error) {
		t.Helper()
		os.Remove(filepath.Join(b.WorkDir("alice", id), mark))
		once(what, f)
		b.running(id, mark)
	}
	reinit := func(auto bool) func() error {
		return func() error { return b.cl.ReInitialize(b.ctx, b.ID(), tok, id, launch("two"), auto) }
	}
	again("two", "reinitialize", reinit(false))
	again("one", "rollback", func() error { return b.cl.Rollback(b.ctx, b.ID(), tok, id) })
	again("two", "second reinitialize", reinit(false))
	once("commit", func() error { return b.cl.Commit(b.ctx, b.ID(), tok, id) })
	if err := b.cl.Rollback(b.ctx, b.ID(), tok, id); err == nil || !strings.Contains(err.Error(), "Nothing to rollback to") {
		t.Errorf("%v", err)
	}
	again("two", "restart", func() error { return b.cl.Restart(b.ctx, b.ID(), tok, id) })
	again("two", "reinitialize with commit", reinit(true))
	if err := b.cl.Commit(b.ctx, b.ID(), tok, id); err == nil {
		t.Error("committed twice")
	}
	if err := b.cl.Restart(b.ctx, b.ID(), tok, cid(7)); err == nil || !strings.Contains(err.Error(), "does not exist!") {
		t.Errorf("%v", err)
	}
}

func TestResize(t *testing.T) {
	b := newBench(t)
	id, tok := cid(1), b.nmToken()
	b.up(id)
	grow := func(x *pb.ContainerTokenIdentifier) {
		x.Resource, x.Version = yarn.NewResource(256, 1, nil), proto.Int32(1)
	}
	for i := range 2 {
		res, err := b.cl.UpdateContainers(b.ctx, b.ID(), tok, b.container(id, grow).GetContainerToken())
		if err != nil || len(res.Succeeded) != 1-i || len(res.Failed) != i {
			t.Errorf("%+v, %v", res, err)
		}
	}
	if st := b.status(id); st.GetCapability().GetMemory() != 256 || st.GetState() != pb.ContainerState_C_RUNNING {
		t.Errorf("%v", st)
	}
}

func TestRetryContext(t *testing.T) {
	b := newBench(t)
	l := command("echo x >> <LOG_DIR>/tries; exit 4")
	l.ContainerRetryContext = &pb.ContainerRetryContext{
		RetryPolicy: pb.ContainerRetryPolicy_RETRY_ON_SPECIFIC_ERROR_CODES.Enum(), ErrorCodes: []int32{4}, MaxRetries: proto.Int32(2), RetryInterval: proto.Int32(1),
	}
	if c := b.runs(cid(1), l); c.Exit != 4 || b.log(cid(1), "tries") != "x\nx\nx\n" {
		t.Errorf("%+v %q", c, b.log(cid(1), "tries"))
	}
	l.ContainerRetryContext.ErrorCodes = []int32{5}
	if c := b.runs(cid(2), l); c.Exit != 4 || b.log(cid(2), "tries") != "x\n" {
		t.Errorf("%+v", c)
	}
}

func TestMemoryLimit(t *testing.T) {
	b := newBench(t, func(o *Options) { o.CheckPmem, o.MemoryInterval = true, 20*time.Millisecond })
	c := b.runs(cid(1), command("head -c 300000000 /dev/zero | tail -c 300000000 | sleep 60"))
	if c.Exit != yarn.ExitExceededPmem || !strings.Contains(c.Diagnostics, "B beyond the 'PHYSICAL' memory limit. Current usage: ") ||
		!strings.Contains(c.Diagnostics, " of 64 MB physical memory used; ") || !strings.Contains(c.Diagnostics, " of 134.4 MB virtual memory used. Killing container.\nDump of the process-tree for "+cid(1).String()) {
		t.Errorf("%d %q", c.Exit, c.Diagnostics)
	}
	v := newBench(t, func(o *Options) { o.CheckVmem, o.VmemRatio, o.MemoryInterval = true, 0.001, 20*time.Millisecond })
	if c := v.runs(cid(1), command("exec sleep 300")); c.Exit != yarn.ExitExceededVmem || !strings.Contains(c.Diagnostics, "'VIRTUAL'") {
		t.Errorf("%d %q", c.Exit, c.Diagnostics)
	}
}

func TestHuman(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KB", 208876339: "199.2 MB", 1 << 30: "1 GB", 2684354560: "2.5 GB"} {
		if got := human(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
