// Package cluster makes a layout.Composition true with Docker, keeps it true, and breaks it on purpose.
//
//	Up ─► engine ─► image, jars ─► network, containers ─► daemons ─► health ─► homes in HDFS
//
// Each step looks first and acts only on what is missing, so Up on a running cluster is a health check, on a damaged one
// a repair, and on nothing the whole way. A container runs tini and `sleep infinity`; each daemon is exec'd into it,
// so that any one of them can be killed and started again while the host lives on.
//
// A *Cluster is safe for concurrent use: it holds no state but names and addresses. What is running, Docker knows.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/dockerd"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// Labels of our containers and networks.
const (
	labelCluster     = "yarnd.cluster"
	labelFingerprint = "yarnd.fingerprint"
	labelVersion     = "yarnd.hadoop"
	labelComposition = "yarnd.composition"
)

// Cluster is a cluster that Up brought up or Find found.
type Cluster struct {
	spec  Spec
	root  string // of the repository
	cache cache.Dir
	pool  *dockertest.Pool
	log   *slog.Logger
	addrs map[string]netip.Addr // by short host name
}

// Name returns the cluster's name.
func (c *Cluster) Name() string { return c.spec.Name }

// Hadoop returns the version that runs.
func (c *Cluster) Hadoop() string { return c.spec.Hadoop }

// Composition returns the description that was brought up.
func (c *Cluster) Composition() layout.Composition { return c.spec.Composition }

// Container returns the name of the container that is the host with that short name.
func (c *Cluster) Container(host string) string { return containerName(c.spec.Name, host) }

// Exchange returns the folder of this machine that edge nodes see as layout.ExchangeDir.
func (c *Cluster) Exchange() string { return c.dir("exchange") }

// ConfDir returns the folder of this machine with the configuration that a host sees as layout.ConfDir.
func (c *Cluster) ConfDir(host string) string { return c.dir("conf", host) }

func (c *Cluster) dir(names ...string) string {
	return c.cache.Path(append([]string{"clusters", c.spec.Name}, names...)...)
}

func containerName(cluster, host string) string { return "yarnd-" + cluster + "-" + host }

func networkName(cluster string) string { return "yarnd-" + cluster }

// containers returns the cluster's containers, running or not, by container name.
func containers(pool *dockertest.Pool, name string) (map[string]docker.APIContainers, error) {
	list, err := pool.Client.ListContainers(docker.ListContainersOptions{
		All: true, Filters: map[string][]string{"label": {labelCluster + "=" + name}},
	})
	if err != nil {
		return nil, err
	}
	byName := map[string]docker.APIContainers{}
	for _, box := range list {
		for _, n := range box.Names {
			byName[filepath.Base(n)] = box // Docker says "/name"
		}
	}
	return byName, nil
}

// ErrNotUp says that a cluster has no containers.
var ErrNotUp = errors.New("the cluster is not up")

// Find returns a cluster that is up, healthy or not, or an error that wraps ErrNotUp. It needs no lock and changes
// nothing.
func Find(ctx context.Context, name string) (*Cluster, error) {
	dir, err := cache.Find()
	if err != nil {
		return nil, err
	}
	root, err := cache.Root()
	if err != nil {
		return nil, err
	}
	pool, err := dockerd.Connect()
	if err != nil {
		return nil, fmt.Errorf("%w: no Docker engine answers: %w", ErrNotUp, err)
	}
	boxes, err := containers(pool, name)
	if err != nil {
		return nil, err
	}
	for _, box := range boxes {
		composition, err := layout.ByName(box.Labels[labelComposition])
		if err != nil {
			return nil, err
		}
		c := &Cluster{
			spec: Spec{Name: name, Composition: composition, Hadoop: box.Labels[labelVersion]},
			root: root, cache: dir, pool: pool, log: slog.New(slog.DiscardHandler),
		}
		return c, c.readAddrs()
	}
	return nil, fmt.Errorf("%w: %s; try `make cluster-up CLUSTER=%s`", ErrNotUp, name, name)
}
