package minicluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
)

// Options describe a cluster. The zero value is one node of 8 GiB and 8 vcores in a temporary directory.
type Options struct {
	// Dir is where everything lies; made if missing, kept by Close. "" makes a temporary one, which Close removes.
	Dir string
	// Nodes is how many NodeManagers there are. 0: 1.
	Nodes int
	// Capability of each node. Zero fields: 8192 MiB, 8 vcores. It need not exist: containers get what they take.
	Capability tracker.Resource
	// Host is what nodes are called, an address of this machine. "": 127.0.0.1. With DistinctHosts each has an address
	// of its own, 127.0.0.1, 127.0.0.2 and so on.
	Host          string
	DistinctHosts bool
	// Users have a home, beside this process's own user.
	Users []string
	// Heartbeat is the time between two heartbeats of a node. 0: 100 ms, where real nodes take a second.
	Heartbeat time.Duration
	// Cluster holds queues, limits and times. Its Max is the nodes' Capability when zero.
	Cluster core.Config
	// HA makes two ResourceManagers, of which one is active: see rm.RM's Failover.
	HA bool
	// ACLs lets nobody but its owner look into an application, or change it.
	ACLs bool
	// ClientTokens has the ResourceManager vouch for its clients to application masters.
	ClientTokens *rm.ClientTokens
	// Queue is how many opportunistic containers may wait on each node; Cluster.Opportunistic has the ResourceManager
	// offer them.
	Queue int
	// NoMemoryLimit lets containers take more memory than they asked for.
	NoMemoryLimit bool
	// Launcher runs the containers of all nodes, such as an nm.Func. nil: real processes.
	Launcher nm.Launcher
	// HDFS puts an HDFS of one DataNode over the directory, Cluster.HDFS, instead of using it as it is.
	HDFS bool
	// Network is where the nodes are; nil: all share this process's.
	Network Network
	// Site holds further properties for the configuration directory; it wins over ours.
	Site map[string]string
	// Log hears what goes on; nil discards.
	Log *slog.Logger
}

// Network puts each node into a network of its own, beside that of this process. Nodes are counted from 0.
type Network interface {
	// RMHost and HDFSHost are addresses of this process for the daemons that all reach.
	RMHost() string
	HDFSHost() string
	// Host is the address of a node.
	Host(node int) string
	// Enter has the calling thread be on a node; leave takes it back.
	Enter(node int) (leave func() error, err error)
}

// Cluster is a running cluster. RM and Nodes take misbehaviour; the slice does not change.
type Cluster struct {
	RM    *rm.RM
	Nodes []*nm.Node
	HDFS  *hdfstest.Cluster // nil without Options.HDFS

	dir       string
	temporary bool
	site      map[string]string
	processes *nm.Processes // nil where Options.Launcher runs the containers
	close     sync.Once
}

// Start starts a cluster and returns when all nodes are registered. When it fails nothing is left.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o.Nodes = cmp.Or(o.Nodes, 1)
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	o.Heartbeat = cmp.Or(o.Heartbeat, 100*time.Millisecond)
	o.Capability.MemoryMiB, o.Capability.VCores = cmp.Or(o.Capability.MemoryMiB, 8192), cmp.Or(o.Capability.VCores, 8)
	o.Cluster.Max.MemoryMiB = cmp.Or(o.Cluster.Max.MemoryMiB, o.Capability.MemoryMiB)
	o.Cluster.Max.VCores = cmp.Or(o.Cluster.Max.VCores, o.Capability.VCores)
	c := &Cluster{temporary: o.Dir == ""}
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o Options) (err error) {
	if c.dir, err = makeDir(o.Dir); err != nil {
		return err
	}
	var hosts struct{ rm, hdfs string }
	if o.Network != nil {
		hosts.rm, hosts.hdfs = o.Network.RMHost(), o.Network.HDFSHost()
	}
	if c.RM, err = rm.New(rm.Options{Cluster: o.Cluster, Host: hosts.rm, Pair: o.HA, ACLs: o.ACLs, ClientTokens: o.ClientTokens, Logger: o.Log}); err != nil {
		return err
	}
	if o.HDFS {
		if c.HDFS, err = hdfstest.Start(hdfstest.Options{Dir: c.dir, Host: hosts.hdfs, Logger: o.Log}); err != nil {
			return err
		}
	}
	launcher := o.Launcher
	if launcher == nil {
		if c.processes, err = nm.NewProcesses(); err != nil {
			return err
		}
		launcher = c.processes
	}
	for i := range o.Nodes {
		node, err := nm.New(c.nodeOptions(o, i, launcher))
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, node)
	}
	for _, node := range c.Nodes {
		if err := node.Ready(ctx); err != nil {
			return err
		}
	}
	for _, user := range append(o.Users, ipc.DefaultUser()) {
		if err := os.MkdirAll(c.Home(user), 0o755); err != nil {
			return err
		}
	}
	c.site = c.properties(o)
	return c.writeConf()
}

// makeDir returns an absolute directory, without symbolic links, that exists.
func makeDir(dir string) (string, error) {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "yarnd-minicluster-"); err != nil {
			return "", err
		}
		// Homes below it belong to users of their own on a real cluster: each directory has to be passable.
		if err := os.Chmod(dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "user"), 0o755); err != nil {
		return "", err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

func (c *Cluster) nodeOptions(o Options, i int, launcher nm.Launcher) nm.Options {
	host := o.Host
	if o.DistinctHosts {
		host = fmt.Sprintf("127.0.%d.%d", (i+1)/250, (i+1)%250)
	}
	n := nm.Options{
		RM: c.RM, Dir: filepath.Join(c.dir, "nodes", strconv.Itoa(i+1)), Host: host, Capability: o.Capability, Heartbeat: o.Heartbeat, Queue: o.Queue,
		CheckPmem: !o.NoMemoryLimit, MemoryInterval: max(5*o.Heartbeat, 100*time.Millisecond),
		RemoteLogDir: c.path("logs"), Launcher: launcher, Log: o.Log, Getenv: c.getenv,
	}
	if o.Network != nil {
		n.Host = o.Network.Host(i)
		n.Enter = func() (func() error, error) { return o.Network.Enter(i) }
	}
	if c.HDFS != nil {
		n.HDFS = c.HDFS.Locate
	}
	return n
}

// getenv is the environment of a node: this process's, but for the configuration, which
// is the cluster's own whatever else this process is a client of.
func (c *Cluster) getenv(name string) (string, bool) {
	if name == "HADOOP_CONF_DIR" {
		return c.ConfDir(), true
	}
	return os.LookupEnv(name)
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// Dir is where everything lies.
func (c *Cluster) Dir() string { return c.dir }

// ConfDir is what HADOOP_CONF_DIR has to be for the cluster's clients.
func (c *Cluster) ConfDir() string { return c.path("conf") }

// Conf is the configuration in ConfDir.
func (c *Cluster) Conf() *conf.Conf { return conf.FromMap(c.site) }

// Home is a user's home directory.
func (c *Cluster) Home(user string) string { return filepath.Join(c.dir, "user", user) }

// Close kills all containers, stops everything and waits. It may be called twice.
func (c *Cluster) Close() error {
	var err error
	c.close.Do(func() {
		var wg sync.WaitGroup
		errs := make([]error, len(c.Nodes))
		for i, node := range c.Nodes {
			wg.Go(func() { errs[i] = node.Close() })
		}
		wg.Wait()
		err = errors.Join(errs...)
		if c.processes != nil {
			err = errors.Join(err, c.processes.Close())
		}
		if c.RM != nil {
			err = errors.Join(err, c.RM.Close())
		}
		if c.HDFS != nil {
			err = errors.Join(err, c.HDFS.Close())
		}
		if c.temporary && c.dir != "" {
			err = errors.Join(err, os.RemoveAll(c.dir))
		}
	})
	return err
}
