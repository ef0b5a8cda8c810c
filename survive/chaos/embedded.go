package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/survive/wires"
)

const (
	// memory of each container, and of each node: a node has one container, so that a wire between
	// two nodes is one between two processes.
	memory = 256
	// apart are nodes for applications beside the one that is hurt, and for what is replaced before
	// YARN has noticed.
	apart = 7
	// disk of each node in bytes: room for the program, which is unpacked there, and for results.
	disk = 160 << 20
	// maxAttempts is how often an application master may die.
	maxAttempts = 1000
)

// embedded is a cluster in this process, with an HDFS.
type embedded struct {
	*minicluster.Cluster
	w     *world
	wires *wires.Network // nil: there are none to cut
	disks bool           // each node has one of its own
	lost  [][2]string    // the ways that are cut
	trap  trap
}

func newEmbedded(ctx context.Context, w *world) (place, error) {
	e := &embedded{w: w}
	nodes := w.o.workers + 2 + apart
	o := minicluster.Options{
		Dir: e.dir(), Nodes: nodes, HA: true, HDFS: true, Heartbeat: time.Second, NoMemoryLimit: true,
		Capability: tracker.Resource{MemoryMiB: memory, VCores: 1}, Cluster: core.Config{MaxAttempts: maxAttempts},
	}
	var err error
	if !w.o.open {
		if e.wires, err = wires.New(nodes); err != nil {
			return nil, err
		}
		o.Network = e.wires
		for i := range nodes {
			if err := wires.Disk(e.disk(i), disk); err != nil {
				return nil, err
			}
		}
		e.disks = true
	}
	if e.Cluster, err = minicluster.Start(ctx, o); err != nil {
		return nil, err
	}
	e.setTraps()
	return e, w.environment(map[string]string{"HADOOP_CONF_DIR": e.ConfDir()})
}

func (e *embedded) dir() string { return filepath.Join(e.w.dir, "cluster") }

// disk is where a node's disk is.
func (e *embedded) disk(node int) string { return nodeDir(e.dir(), node) }

func (e *embedded) close() error {
	err := e.Close()
	for i := range e.Nodes {
		if e.disks && e.w.o.keep {
			err = errors.Join(err, os.CopyFS(nodeDir(e.w.dir, i)+"-logs", os.DirFS(filepath.Join(e.disk(i), "logs"))))
		}
		if e.disks {
			err = errors.Join(err, wires.Unmount(e.disk(i)))
		}
	}
	if e.wires != nil {
		err = errors.Join(err, e.wires.Close())
	}
	return err
}

func (e *embedded) boxes(app string) (all []box) {
	for i, node := range e.Nodes {
		// The numbers of containers do not tell which are masters: after a failover the first new one has the number 1 as well.
		commands := node.Commands()
		for _, c := range node.Containers() {
			if c.State != tracker.Running || app != "" && c.ID.Attempt.App.String() != app {
				continue
			}
			command, runs := commands[c.ID]
			all = append(all, box{c.ID.String(), i, runs && strings.Contains(strings.Join(command, " "), " appmaster ")})
		}
	}
	return all
}

func (e *embedded) signal(id string, s syscall.Signal) bool {
	parsed, err := yarn.ParseContainerID(id)
	return err == nil && slices.ContainsFunc(e.Nodes, func(n *nm.Node) bool { return n.KillContainer(parsed, s) == nil })
}

func (e *embedded) hasWires() bool { return e.wires != nil }

func (e *embedded) host(node int) string { return e.wires.Host(node) }

func (e *embedded) rm(context.Context) string { return e.wires.RMHost() }

func (e *embedded) cut(_ context.Context, from, to string) error {
	e.lost = append(e.lost, [2]string{from, to})
	return e.wires.Cut(from, to, true)
}

func (e *embedded) heal(context.Context) (lost int, err error) {
	before := e.wires.Lost()
	for _, way := range e.lost {
		err = errors.Join(err, e.wires.Cut(way[0], way[1], false))
	}
	e.lost = nil
	return int(e.wires.Lost() - before), err
}

func (e *embedded) failOver(_ context.Context, gap time.Duration) (time.Duration, error) {
	began := time.Now()
	err := e.RM.Failover(gap)
	return time.Since(began), err
}

func (e *embedded) crash(_ context.Context, node int) error {
	e.Nodes[node].Crash(true)
	return nil
}

func (e *embedded) restart(_ context.Context, node int) error { return e.Nodes[node].Restart() }

func (e *embedded) deafen(_ context.Context, node int, on bool) error {
	e.RM.Cut(e.Nodes[node].ID(), on)
	return nil
}

func (e *embedded) power(_ context.Context, node int, on bool) error {
	if on {
		return e.Nodes[node].Restart()
	}
	e.Nodes[node].Crash(false)
	return nil
}

var outages = []hdfstest.Trouble{
	{NameNode: hdfstest.Refuses},
	{NameNode: hdfstest.Hangs},
	{DataNode: hdfstest.Refuses},
	{DataNode: hdfstest.Hangs},
	{NameNode: hdfstest.Refuses, DataNode: hdfstest.Refuses},
	{NameNode: hdfstest.Hangs, DataNode: hdfstest.Hangs},
	{SafeMode: true},
}

func (e *embedded) outages() int { return len(outages) }

func (e *embedded) outage(_ context.Context, which int) (outage, error) {
	t := hdfstest.Trouble{Full: true}
	if which != fullHDFS {
		t = outages[which]
	}
	return trouble{e}, e.HDFS.SetTrouble(t)
}

// trouble is that of an embedded HDFS.
type trouble struct{ e *embedded }

// met looks at who has met it: this process is a client, too, which says nothing. Where all are at one address it counts.
func (t trouble) met(context.Context) bool {
	by := t.e.HDFS.MetBy()
	if t.e.wires == nil {
		return len(by) > 0
	}
	hit := by[""] > 0 // a NodeManager that localizes
	for i := range t.e.Nodes {
		hit = hit || by[t.e.host(i)] > 0
	}
	return hit
}

func (t trouble) end(context.Context) error { return t.e.HDFS.SetTrouble(hdfstest.Trouble{}) }

func (e *embedded) hasDisk(int) bool { return e.disks }

func (e *embedded) fill(_ context.Context, node int) error { return fill(e.filler(node)) }

func (e *embedded) free(_ context.Context, node int) error { return os.Remove(e.filler(node)) }

func (e *embedded) filler(node int) string { return filepath.Join(e.disk(node), "filler") }

// settled waits until nodes have told the ResourceManager of all that they run for the application, which is done with a
// heartbeat. What it has not heard of ends with the application master: that is a fault of its own, while containers are launched.
func (e *embedded) settled(ctx context.Context) error {
	client := yarn.NewClient(yarn.Options{Addresses: e.RM.ClientAddrs(), IPC: ipc.Options{User: e.w.edge.User()}})
	defer client.Close()
	why := "nobody was asked"
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); sleep(ctx, 50*time.Millisecond) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if why = e.untold(ctx, client); why == "" {
			return nil
		}
	}
	return fmt.Errorf("not as it should be for the ResourceManager after %v: %s", patience, why)
}

// untold says what the ResourceManager does not know of what runs.
func (e *embedded) untold(ctx context.Context, client *yarn.Client) string {
	for _, b := range e.boxes(e.w.id) {
		id, err := yarn.ParseContainerID(b.ID)
		if err != nil {
			return err.Error()
		}
		report, err := client.Container(ctx, id)
		if err != nil {
			return b.ID + ": " + err.Error()
		}
		if s := report.GetContainerState(); s != pb.ContainerState_C_RUNNING {
			return b.ID + " is " + s.String()
		}
	}
	return ""
}

func (e *embedded) markFile() string { return filepath.Join(e.w.dir, "marks") }

func (e *embedded) marks(context.Context) ([][]byte, error) {
	text, err := os.ReadFile(e.markFile())
	return [][]byte{text}, err
}

func (e *embedded) remains(_ context.Context, app string) (remains, error) {
	r := remains{Containers: len(e.boxes(app)), Processes: processes(cmp.Or(app, "application_"), e.Dir())}
	staged, err := os.ReadDir(filepath.Join(e.Home(e.w.edge.User()), ".yarnd"))
	for _, entry := range staged {
		if isStaged(entry.Name(), app) {
			r.found("staged: " + entry.Name())
		}
	}
	for i := range e.Nodes {
		dirs, _ := filepath.Glob(filepath.Join(e.disk(i), "local", "usercache", "*", "appcache", cmp.Or(app, "*")))
		for _, dir := range dirs {
			r.found("on a node: " + dir)
		}
	}
	return r, err
}

// processes counts those of this machine that run in the directories of an application's containers, below dir.
func processes(app, dir string) (n int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(cwd, dir) && strings.Contains(cwd, app) {
			n++
		}
	}
	return n
}
