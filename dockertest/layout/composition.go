package layout

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Composition is the description of one kind of cluster.
type Composition struct {
	// Name is what -c of dockertest/edge and CLUSTER of make take.
	Name string
	// Hosts are numbered from 0 in this order, which also fixes their addresses. Daemons start host by host, those of
	// one host in the host's order.
	Hosts []Host
	// Conf is laid over Base on every host.
	Conf Conf
	// Domain, if not empty, is appended to every host's name ("nm1.example.test"). Kerberos principals need one.
	Domain string
	// Kerberos, if not nil, is how everybody proves who they are: see Secured.
	Kerberos *Kerberos
}

// Host is one machine of a composition: one container.
type Host struct {
	// Name is the short name. Host names of node managers end in nm1, nm2, nm3.
	Name string
	// Daemons run on the host. A host without daemons is an edge node when Edge is set.
	Daemons []Daemon
	// Edge hosts have the clients' side only: the repository's bin on the PATH and no daemons.
	Edge bool
	// Conf is laid over the composition's on this host alone.
	Conf Conf
	// SmallDiskMB, if not 0, is the size of a file system of its own at SmallDisk, writable by everybody, which can be
	// filled. It is empty after a restart of the host.
	SmallDiskMB int
}

// Simple is the cluster that most tests use: no authentication beyond the caller's word, memory limits enforced by
// resident size, virtual memory not looked at.
func Simple() Composition {
	return Composition{
		Name: "simple",
		Hosts: []Host{
			{Name: "nn", Daemons: []Daemon{NameNode}},
			{Name: "rm", Daemons: []Daemon{ResourceManager}},
			{Name: "nm1", Daemons: []Daemon{DataNode, NodeManager}},
			{Name: "nm2", Daemons: []Daemon{DataNode, NodeManager}},
			{Name: "nm3", Daemons: []Daemon{DataNode, NodeManager}},
			{Name: "edge1", Edge: true},
			{Name: "edge2", Edge: true},
		},
	}
}

// SimpleVmem is Simple with Hadoop's default virtual memory check: a container is killed when the VmSize of its process
// tree passes 2.1 times the memory it was given.
func SimpleVmem() Composition {
	c := Simple()
	c.Name = "simple-vmem"
	c.Conf = Conf{YarnSite: {
		"yarn.nodemanager.vmem-check-enabled": "true",
		"yarn.nodemanager.vmem-pmem-ratio":    "2.1",
	}}
	return c
}

// Placing is Simple with what Hadoop has switched off by default for where containers go: opportunistic containers, of
// which each node manager keeps some waiting, and placement constraints, which the scheduler heeds.
func Placing() Composition {
	c := Simple()
	c.Name = "placing"
	c.Conf = Conf{YarnSite: {
		"yarn.resourcemanager.opportunistic-container-allocation.enabled": "true",
		"yarn.nodemanager.opportunistic-containers-max-queue-length":      "10",
		"yarn.resourcemanager.placement-constraints.handler":              "scheduler",
	}}
	return c
}

// Expiring is Simple with three copies of what is in HDFS, so that a node can be lost, and with one time after which
// ResourceManagers give up nodes and application masters that are silent.
func Expiring(name string, after time.Duration) Composition {
	c := Simple()
	c.Name = name
	millis := strconv.FormatInt(after.Milliseconds(), 10)
	c.Conf = Conf{
		HDFSSite: {"dfs.replication": "3"},
		YarnSite: {
			"yarn.nm.liveness-monitor.expiry-interval-ms": millis,
			"yarn.am.liveness-monitor.expiry-interval-ms": millis,
		},
	}
	return c
}

// All lists every composition. In patient a lost node is given up after ten minutes, Hadoop's default, in hasty after
// ten seconds.
func All() []Composition {
	return []Composition{
		Simple(), SimpleVmem(), Placing(), HA(), HANameNodes(), Expiring("patient", 10*time.Minute), Expiring("hasty", 10*time.Second),
		Secure(), SecureIntegrity(), SecureAuth(), SecureAES(), SecureHA(), SecureHANameNodes(), ShortLived(), SecureKMS(),
	}
}

// ByName returns the composition called name.
func ByName(name string) (Composition, error) {
	var known []string
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
		known = append(known, c.Name)
	}
	return Composition{}, fmt.Errorf("no composition is called %q; there are %q", name, known)
}

// HostName returns the full name of host h, as the other hosts resolve it.
func (c Composition) HostName(h Host) string {
	if c.Domain == "" {
		return h.Name
	}
	return h.Name + "." + c.Domain
}

// With returns the hosts on which d runs.
func (c Composition) With(d Daemon) []Host {
	return slices.DeleteFunc(slices.Clone(c.Hosts), func(h Host) bool {
		return !slices.ContainsFunc(h.Daemons, func(o Daemon) bool { return o.Name == d.Name })
	})
}

// Edges returns the edge nodes.
func (c Composition) Edges() []Host {
	return slices.DeleteFunc(slices.Clone(c.Hosts), func(h Host) bool { return !h.Edge })
}

// Host returns the host with the short name.
func (c Composition) Host(name string) (Host, error) {
	for _, h := range c.Hosts {
		if h.Name == name {
			return h, nil
		}
	}
	return Host{}, fmt.Errorf("composition %s has no host %q", c.Name, name)
}

// Daemons returns every kind of daemon in c once, by name.
func (c Composition) Daemons() map[string]Daemon {
	all := map[string]Daemon{}
	for _, h := range c.Hosts {
		for _, d := range h.Daemons {
			all[d.Name] = d
		}
	}
	return all
}

// HostConf returns the whole configuration of h: Base, what Kerberos adds, the composition's and the host's.
func (c Composition) HostConf(h Host) Conf {
	files := Base(c)
	layers := []Conf{c.Conf, h.Conf}
	if c.Kerberos != nil {
		layers = []Conf{securityConf(c, h), c.Conf, h.Conf}
	}
	for _, over := range layers {
		for file, properties := range over {
			if files[file] == nil {
				files[file] = Properties{}
			}
			maps.Copy(files[file], properties)
		}
	}
	return files
}
