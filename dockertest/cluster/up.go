package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/ory/dockertest/v3/docker"
	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/dockerd"
	"github.com/yarnd/yarnd/dockertest/image"
	"github.com/yarnd/yarnd/dockertest/jars"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// healthTimeout bounds the wait for freshly started daemons on a small, busy machine.
const healthTimeout = 5 * time.Minute

// Up brings the cluster up, or repairs it, or finds that nothing is to be done, and returns when it is healthy. A
// cluster of the same name that was made from another description (another version, say) is replaced. Several
// processes may call it at once. log may be nil.
func Up(ctx context.Context, spec Spec, log *slog.Logger) (*Cluster, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	spec, err := spec.complete()
	if err != nil {
		return nil, err
	}
	dir, err := cache.Find()
	if err != nil {
		return nil, err
	}
	root, err := cache.Root()
	if err != nil {
		return nil, err
	}
	pool, err := dockerd.Ensure(ctx, dir, log)
	if err != nil {
		return nil, err
	}
	unlock, err := dir.Lock(ctx, "cluster-"+spec.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c := &Cluster{spec: spec, root: root, cache: dir, pool: pool, log: log}
	print, err := spec.fingerprint(root, dir)
	if err != nil {
		return nil, err
	}
	if c.fits(print) && c.readAddrs() == nil && c.Health(ctx) == nil {
		return c, nil
	}
	// One after the other: a cluster that starts takes all the processors there are, and several at a time take longer than
	// in turn, and slow down what runs beside them for as long.
	done, err := dir.Lock(ctx, "building")
	if err != nil {
		return nil, err
	}
	defer done()
	return c, c.build(ctx, print)
}

// fits says whether all containers run, were made for that fingerprint, and have their files.
func (c *Cluster) fits(fingerprint string) bool {
	boxes, err := containers(c.pool, c.spec.Name)
	if err != nil || !written(c.dir(), fingerprint) {
		return false
	}
	for _, h := range c.spec.Composition.Hosts {
		box, ok := boxes[c.Container(h.Name)]
		if !ok || box.State != "running" || box.Labels[labelFingerprint] != fingerprint {
			return false
		}
	}
	return len(boxes) == len(c.spec.Composition.Hosts)
}

// build does whatever is missing, from the image to the homes.
func (c *Cluster) build(ctx context.Context, fingerprint string) error {
	var base, lib string
	fetch, fetchCtx := errgroup.WithContext(ctx)
	fetch.Go(func() (err error) {
		base, err = image.Ensure(fetchCtx, c.pool, c.cache, c.log)
		return err
	})
	fetch.Go(func() (err error) {
		if c.spec.Composition.Kerberos != nil {
			if _, err := jars.ResolveOwn(fetchCtx, c.cache, c.spec.Hadoop, c.log); err != nil {
				return err
			}
		}
		if c.spec.kms(c.cache) != "" {
			if _, err := jars.ResolveKMS(fetchCtx, c.cache, c.spec.Hadoop, c.log); err != nil {
				return err
			}
		}
		lib, err = jars.Resolve(fetchCtx, c.cache, c.spec.Hadoop, c.log)
		return err
	})
	if err := fetch.Wait(); err != nil {
		return err
	}
	if err := c.discardOthers(fingerprint); err != nil {
		return err
	}
	if err := c.spec.write(c.dir(), fingerprint); err != nil {
		return err
	}
	if err := c.ensureNetwork(); err != nil {
		return err
	}
	boxes, err := containers(c.pool, c.spec.Name)
	if err != nil {
		return err
	}
	c.log.Info("starting hosts and daemons", "cluster", c.spec.Name, "hadoop", c.spec.Hadoop)
	for _, h := range c.spec.Composition.Hosts {
		if _, exists := boxes[c.Container(h.Name)]; exists {
			continue
		}
		if err := c.create(ctx, h, base, lib, fingerprint); err != nil {
			return err
		}
	}
	return c.Repair(ctx)
}

// Repair undoes every fault: it lets paused hosts and stopped processes go on, starts hosts and daemons that do not run,
// heals the network, empties small disks, takes nodes back into service and HDFS out of safe mode, and returns when the cluster is healthy.
// It does not create hosts that are missing: Up does.
func (c *Cluster) Repair(ctx context.Context) error {
	boxes, err := containers(c.pool, c.spec.Name)
	if err != nil {
		return err
	}
	hosts, hostsCtx := errgroup.WithContext(ctx)
	for _, h := range c.spec.Composition.Hosts {
		if boxes[c.Container(h.Name)].State == "paused" {
			if err := c.UnpauseHost(ctx, h.Name); err != nil {
				return err
			}
		}
	}
	if err := c.ensureRealm(ctx); err != nil {
		return err
	}
	for _, h := range c.spec.Composition.Hosts {
		hosts.Go(func() error {
			if err := c.StartHost(hostsCtx, h.Name); err != nil {
				return err
			}
			if err := c.healHost(hostsCtx, h); err != nil {
				return err
			}
			if _, err := c.Output(hostsCtx, h.Name, "", "sh", "-c", dropChain(watch)); err != nil {
				return err
			}
			if h.SmallDiskMB > 0 {
				if err := c.FreeDisk(hostsCtx, h.Name); err != nil {
					return err
				}
			}
			for _, d := range h.Daemons {
				if _, err := c.Exec(hostsCtx, Command{Host: h.Name, Argv: []string{"pkill", "-CONT", "-f", d.Pattern()}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := hosts.Wait(); err != nil {
		return err
	}
	if err := c.repairState(ctx); err != nil {
		return err
	}
	return c.awaitOrRevive(ctx)
}

// reviveAfter is how long daemons may take before those that have ended are started again. On a busy machine one can
// give up, because another that it needs is late.
const reviveAfter = time.Minute

// awaitOrRevive waits for health as a person would, who looks from time to time whether all daemons still run.
func (c *Cluster) awaitOrRevive(ctx context.Context) error {
	deadline := time.Now().Add(healthTimeout)
	for {
		err := c.AwaitHealth(ctx, min(reviveAfter, time.Until(deadline)))
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		for _, h := range c.spec.Composition.Hosts {
			for _, d := range h.Daemons {
				if err := c.StartDaemon(ctx, h.Name, d.Name); err != nil {
					return err
				}
			}
		}
	}
}

// repairState undoes what masters keep in mind.
func (c *Cluster) repairState(ctx context.Context) error {
	if on, err := c.inSafeMode(ctx); err == nil && on { // one that starts leaves it by itself
		if err := c.SafeMode(ctx, false); err != nil {
			return err
		}
	}
	if !c.sentAway(ctx) {
		return nil
	}
	if err := c.Recommission(ctx); err != nil {
		return err
	}
	for _, h := range c.spec.Composition.With(layout.NodeManager) { // one that was sent away has ended
		if err := c.StartDaemon(ctx, h.Name, layout.NodeManager.Name); err != nil {
			return err
		}
	}
	return nil
}

// discardOthers removes the cluster when any container is of another fingerprint or when the files that the containers
// mount have gone: a mount follows the folder that was, not the one of the same name that is.
func (c *Cluster) discardOthers(fingerprint string) error {
	boxes, err := containers(c.pool, c.spec.Name)
	if err != nil {
		return err
	}
	for _, box := range boxes {
		if box.Labels[labelFingerprint] != fingerprint || !written(c.dir(), fingerprint) {
			c.log.Info("replacing a cluster that was made from another description, version or checkout", "cluster", c.spec.Name)
			return remove(c.pool, c.cache, c.spec.Name)
		}
	}
	return nil
}

// recipe is to be counted up whenever create makes containers differently, so that older ones are replaced.
const recipe = 5

// create makes the container of one host, stopped.
func (c *Cluster) create(ctx context.Context, h layout.Host, base, lib, fingerprint string) error {
	mounts := []docker.HostMount{
		{Type: "bind", Source: c.dir("conf", h.Name), Target: layout.ConfDir, ReadOnly: true},
		{Type: "bind", Source: c.dir("bin"), Target: layout.BinDir, ReadOnly: true},
		{Type: "bind", Source: lib, Target: layout.LibDir, ReadOnly: true},
	}
	if c.spec.Composition.Kerberos != nil {
		mounts = append(mounts,
			docker.HostMount{Type: "bind", Source: c.dir("conf", h.Name, "krb5.conf"), Target: layout.Krb5Conf, ReadOnly: true},
			docker.HostMount{Type: "bind", Source: c.spec.own(c.cache), Target: filepath.Dir(layout.OwnDir), ReadOnly: true})
	}
	if kms := c.spec.kms(c.cache); kms != "" {
		mounts = append(mounts, docker.HostMount{Type: "bind", Source: kms, Target: layout.KMSDir, ReadOnly: true})
	}
	path := layout.BinDir + ":/opt/java/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if h.Edge {
		path = layout.SourceDir + "/bin:" + path
		mounts = append(mounts,
			docker.HostMount{Type: "bind", Source: c.root, Target: layout.SourceDir, ReadOnly: true},
			docker.HostMount{Type: "bind", Source: c.Exchange(), Target: layout.ExchangeDir})
	}
	tmpfs := map[string]string{}
	if h.SmallDiskMB > 0 {
		tmpfs[layout.SmallDisk] = fmt.Sprintf("size=%dm,mode=1777,exec", h.SmallDiskMB)
	}
	network := networkName(c.spec.Name)
	_, err := c.pool.Client.CreateContainer(docker.CreateContainerOptions{
		Context: ctx,
		Name:    c.Container(h.Name),
		Config: &docker.Config{
			Image: base, Hostname: c.spec.Composition.HostName(h),
			Entrypoint: []string{"tini", "--", "sleep", "infinity"},
			Env: []string{"PATH=" + path, "JAVA_HOME=/opt/java", "HADOOP_CONF_DIR=" + layout.ConfDir,
				"HADOOP_LOG_DIR=" + layout.LogDir, "LANG=C.UTF-8"},
			Labels: map[string]string{
				labelCluster: c.spec.Name, labelFingerprint: fingerprint,
				labelVersion: c.spec.Hadoop, labelComposition: c.spec.Composition.Name,
			},
		},
		HostConfig: &docker.HostConfig{
			NetworkMode: network, Mounts: mounts, Tmpfs: tmpfs, ExtraHosts: c.extraHosts(),
			// Root may cut a host off with iptables, and look into the environment of other accounts' processes.
			CapAdd: []string{"NET_ADMIN", "SYS_PTRACE"},
		},
		NetworkingConfig: &docker.NetworkingConfig{EndpointsConfig: map[string]*docker.EndpointConfig{
			network: {IPAMConfig: &docker.EndpointIPAMConfig{IPv4Address: c.addrs[h.Name].String()}},
		}},
	})
	if err != nil {
		return fmt.Errorf("create host %s: %w", h.Name, err)
	}
	return nil
}
