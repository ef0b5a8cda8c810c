//go:build hadoop && chaos

package dockertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/cluster"
	"github.com/yarnd/yarnd/dockertest/layout"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// faultTimeout bounds one fault, from healthy to healed.
const faultTimeout = 2 * time.Minute

// Each fault really happens, and is undone by what undoes it.
func TestFaults(t *testing.T) {
	c := dockertest.Exclusive(t, "ha")
	for _, fault := range []struct {
		name string
		try  func(*testing.T, context.Context, *dockertest.Cluster)
	}{
		{"Failover", tryFailover},
		{"NodeManagerRestart", tryNodeManagerRestart},
		{"Cut", tryCut},
		{"Isolate", tryIsolate},
		{"PauseDaemon", tryPauseDaemon},
		{"SafeMode", trySafeMode},
		{"NameNodeRestart", tryNameNodeRestart},
		{"Decommission", tryDecommission},
		{"DiskFull", tryDiskFull},
	} {
		t.Run(fault.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), faultTimeout)
			defer cancel()
			fault.try(t, ctx, c)
		})
	}
}

// The same of NameNodes that are two.
func TestFaultsOfTwoNameNodes(t *testing.T) {
	c := dockertest.Exclusive(t, "ha-nn")
	ctx, cancel := context.WithTimeout(t.Context(), 3*faultTimeout)
	defer cancel()
	first, err := c.ActiveNN(ctx)
	must(t, err)
	second, gap, err := c.FailoverNN(ctx)
	must(t, err)
	must(t, c.AwaitHealth(ctx, faultTimeout))
	third, err := c.SwitchNN(ctx)
	must(t, err)
	if second == first || third != first {
		t.Errorf("active are %s, then %s, then %s", first, second, third)
	}
	t.Logf("%s took over from %s after %v", second, first, gap)
	must(t, c.SafeMode(ctx, true))
	must(t, c.Repair(ctx))
	const dir = "/user/alice/safe-mode-test"
	alice := c.Edge("alice")
	alice.Must(t, "sh", "-c", "hadoop-java org.apache.hadoop.fs.FsShell -mkdir "+dir+" && hadoop-java org.apache.hadoop.fs.FsShell -rmdir "+dir)
	for _, host := range []string{first, second} {
		must(t, c.KillDaemon(ctx, host, layout.NameNode.Name))
	}
	if host, err := c.ActiveNN(ctx); err == nil {
		t.Errorf("both are killed, and %s is active", host)
	}
	must(t, c.Repair(ctx))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await looks until what is wanted is so.
func await(t *testing.T, ctx context.Context, what string, look func() (bool, error)) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		is, err := look()
		if err == nil && is {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: it did not become so (last: %v)", what, err)
		}
	}
}

func awaitNode(t *testing.T, ctx context.Context, c *dockertest.Cluster, host, state string) {
	t.Helper()
	await(t, ctx, host+" "+state, func() (bool, error) {
		now, err := c.NodeState(ctx, host)
		return now == state, err
	})
}

func tryFailover(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	old, err := c.ActiveRM(ctx)
	must(t, err)
	active, gap, err := c.Failover(ctx)
	must(t, err)
	if active == old {
		t.Errorf("%s is active before and after", old)
	}
	t.Logf("%s took over from %s after %v", active, old, gap)
	must(t, c.AwaitHealth(ctx, faultTimeout))
}

// A container's process outlives its NodeManager, which takes it up again.
func tryNodeManagerRestart(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	c.RunCommand(t, "alice", 128, "exec sleep 4242")
	var host, pid string
	await(t, ctx, "the container's process", func() (bool, error) {
		for _, h := range c.Composition().With(layout.NodeManager) {
			out, err := c.Output(ctx, h.Name, "", "pgrep", "-x", "-f", "sleep 4242")
			if err == nil {
				host, pid = h.Name, out
				return true, nil
			}
		}
		return false, nil
	})
	must(t, c.KillDaemon(ctx, host, "nodemanager"))
	must(t, c.StartDaemon(ctx, host, "nodemanager"))
	// No longer than that: nobody registers in the container, so the ResourceManager ends it soon.
	await(t, ctx, "the container known to the new NodeManager", func() (bool, error) {
		code, err := c.Exec(ctx, cluster.Command{Host: host, Argv: []string{"grep", "-q", "Recovering container_", layout.LogDir + "/nodemanager.log"}})
		return code == 0, err
	})
	if out, err := c.Output(ctx, host, "", "pgrep", "-x", "-f", "sleep 4242"); err != nil || out != pid {
		t.Errorf("the process was %q and is %q, %v", pid, out, err)
	}
	_, err := c.Exec(ctx, cluster.Command{Host: host, Argv: []string{"pkill", "-x", "-f", "sleep 4242"}})
	must(t, err)
	must(t, c.AwaitHealth(ctx, faultTimeout))
}

// reaches says whether a packet from one host gets to another.
func reaches(t *testing.T, ctx context.Context, c *dockertest.Cluster, from, to string) bool {
	t.Helper()
	const listen = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 4242)); s.settimeout(2); s.recv(9)"
	const send = "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor i in range(40): s.sendto(b'x', ('%s', 4242)); time.sleep(0.05)"
	heard := make(chan int, 1)
	go func() {
		code, err := c.Exec(ctx, cluster.Command{Host: to, Argv: []string{"python3", "-c", listen}})
		if err != nil {
			code = -1
		}
		heard <- code
	}()
	// An error of the sender is a packet that was not sent: iptables tells it.
	_, _ = c.Output(ctx, from, "", "python3", "-c", fmt.Sprintf(send, c.Addr(to)))
	code := <-heard
	if code < 0 {
		t.Fatalf("no listener on %s", to)
	}
	return code == 0
}

func tryCut(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	must(t, c.Cut(ctx, "edge1", "edge2"))
	if reaches(t, ctx, c, "edge1", "edge2") || !reaches(t, ctx, c, "edge2", "edge1") || !reaches(t, ctx, c, "edge1", "nn") {
		t.Error("cut one way, packets should pass the other way and elsewhere alone")
	}
	must(t, c.Partition(ctx, "edge1", "edge2"))
	if reaches(t, ctx, c, "edge2", "edge1") {
		t.Error("packets pass a partition")
	}
	must(t, c.Heal(ctx))
	must(t, c.Heal(ctx))
	if !reaches(t, ctx, c, "edge1", "edge2") || !reaches(t, ctx, c, "edge2", "edge1") {
		t.Error("healed, and packets do not pass")
	}
}

func tryIsolate(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	must(t, c.Isolate(ctx, "edge2"))
	if reaches(t, ctx, c, "edge2", "nn") || reaches(t, ctx, c, "rm1", "edge2") {
		t.Error("packets pass")
	}
	must(t, c.Heal(ctx))
	if !reaches(t, ctx, c, "edge2", "nn") {
		t.Error("healed, and packets do not pass")
	}
}

func tryPauseDaemon(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	must(t, c.PauseDaemon(ctx, "nm2", "nodemanager"))
	look, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(look, http.MethodGet, c.Web("nm2", layout.NodeManager)+"/jmx", nil)
	must(t, err)
	if res, err := c.HTTP().Do(req); err == nil {
		res.Body.Close()
		t.Error("a paused NodeManager answers")
	}
	if running, err := c.Running(ctx, "nm2", "nodemanager"); err != nil || !running {
		t.Errorf("it is paused and its process has gone (%v)", err)
	}
	must(t, c.ResumeDaemon(ctx, "nm2", "nodemanager"))
	must(t, c.AwaitHealth(ctx, faultTimeout))
}

func trySafeMode(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	fsys := openHDFS(t, c, "nn")
	const dir = "/user/alice/safe-mode-test"
	must(t, c.SafeMode(ctx, true))
	if err := fsys.Mkdir(ctx, dir, 0o700); !errors.Is(err, hdfs.ErrSafeMode) {
		t.Errorf("in safe mode: %v", err)
	}
	must(t, c.SafeMode(ctx, false))
	must(t, fsys.Mkdir(ctx, dir, 0o700))
	must(t, fsys.Remove(ctx, dir))
}

func tryNameNodeRestart(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	fsys := openHDFS(t, c, "nn")
	must(t, c.KillDaemon(ctx, "nn", "namenode"))
	if _, err := fsys.Stat(ctx, "/"); !errors.Is(err, hdfs.ErrUnreachable) {
		t.Errorf("without a NameNode: %v", err)
	}
	must(t, c.StartDaemon(ctx, "nn", "namenode"))
	must(t, c.AwaitHealth(ctx, faultTimeout))
	_, err := fsys.Stat(ctx, "/user/alice")
	must(t, err)
}

func tryDecommission(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	must(t, c.Decommission(ctx, "nm3", 0))
	awaitNode(t, ctx, c, "nm3", "DECOMMISSIONED")
	await(t, ctx, "the end of its NodeManager", func() (bool, error) {
		running, err := c.Running(ctx, "nm3", "nodemanager")
		return !running, err
	})
	must(t, c.Repair(ctx))
	awaitNode(t, ctx, c, "nm3", "RUNNING")
}

func tryDiskFull(t *testing.T, ctx context.Context, c *dockertest.Cluster) {
	write := func() error {
		_, err := c.Output(ctx, "nm3", "yarn", "sh", "-c", "head -c 1M /dev/zero >> "+layout.SmallDisk+"/probe")
		return err
	}
	must(t, write())
	must(t, c.FillDisk(ctx, "nm3", 0))
	if err := write(); err == nil || !strings.Contains(err.Error(), "No space left") {
		t.Errorf("on a full disk: %v", err)
	}
	must(t, c.FreeDisk(ctx, "nm3"))
	must(t, write())
	if _, err := c.Output(ctx, "nm3", "", "rm", layout.SmallDisk+"/probe"); err != nil {
		t.Error(err)
	}
}
