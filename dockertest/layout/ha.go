package layout

import "fmt"

// HA is the cluster in which things fail: two ResourceManagers, of which either goes on where the other was (ZooKeeper
// has their state), NodeManagers whose containers outlive them, preemption between the queues, nodes that can be
// decommissioned, and on nm3 a small disk for containers. Keys of the application master's tokens roll every minute.
func HA() Composition {
	rm := ResourceManager
	rm.Prepare = awaitZooKeeper
	return Composition{
		Name: "ha",
		Hosts: []Host{
			{Name: "nn", Daemons: []Daemon{NameNode}},
			{Name: "zk", Daemons: []Daemon{ZooKeeper}},
			{Name: "rm1", Daemons: []Daemon{rm}},
			{Name: "rm2", Daemons: []Daemon{rm}},
			{Name: "nm1", Daemons: []Daemon{DataNode, NodeManager}},
			{Name: "nm2", Daemons: []Daemon{DataNode, NodeManager}},
			{Name: "nm3", Daemons: []Daemon{DataNode, NodeManager}, SmallDiskMB: 384, Conf: Conf{YarnSite: {
				"yarn.nodemanager.local-dirs": SmallDisk + "/local",
			}}},
			{Name: "edge1", Edge: true},
			{Name: "edge2", Edge: true},
		},
		Conf: Conf{
			CoreSite: {"hadoop.zk.address": "zk:2181"},
			YarnSite: haYarnSite(),
		},
	}
}

// SecureHA is HA with Kerberos and everything encrypted. ZooKeeper believes everybody.
func SecureHA() Composition {
	return withFullRMNames(Secured(HA(), "secure-ha", Realm("privacy")))
}

// withFullRMNames gives c's ResourceManagers the names that their principals have.
func withFullRMNames(c Composition) Composition {
	for _, h := range c.With(ResourceManager) {
		c.Conf[YarnSite]["yarn.resourcemanager.hostname."+h.Name] = c.HostName(h)
	}
	return c
}

// awaitZooKeeper returns when ZooKeeper listens: a ResourceManager that does not find it ends.
var awaitZooKeeper = awaitPort("zk", 2181, 120)

// awaitPort is a shell command that returns when somebody listens there, or fails after so many seconds.
func awaitPort(host string, port, seconds int) string {
	return fmt.Sprintf(`timeout %d sh -c 'until python3 -c "import socket; socket.create_connection((\"%s\", %d), 1)" 2>/dev/null; do sleep 0.2; done'`, seconds, host, port)
}

func haYarnSite() Properties {
	const rm, preemption = "yarn.resourcemanager.", "yarn.resourcemanager.monitor.capacity.preemption."
	return Properties{
		rm + "ha.enabled":       "true",
		rm + "cluster-id":       "yarnd",
		rm + "ha.rm-ids":        "rm1,rm2",
		rm + "hostname.rm1":     "rm1",
		rm + "hostname.rm2":     "rm2",
		rm + "recovery.enabled": "true",
		rm + "store.class":      "org.apache.hadoop.yarn.server.resourcemanager.recovery.ZKRMStateStore",
		// How long a ResourceManager that has just become active waits for NodeManagers before it gives out containers.
		rm + "work-preserving-recovery.scheduling-wait-ms": "2000",
		rm + "connect.retry-interval.ms":                   "1000",
		rm + "nodes.exclude-path":                          ConfDir + "/" + ExcludeFile,
		// Nothing here needs a node that is lost, and a NodeManager that was killed is to be back before: on a busy machine
		// the next one may take more than half a minute.
		"yarn.nm.liveness-monitor.expiry-interval-ms": "600000", // Hadoop's default
		// With 60 s, three times the expiry, it refuses to start.
		"yarn.am.liveness-monitor.expiry-interval-ms":        "20000",
		rm + "am-rm-tokens.master-key-rolling-interval-secs": "61",

		// An application master may be killed again and again.
		rm + "am.max-attempts": "1000",

		"yarn.client.failover-sleep-base-ms":   "200",
		"yarn.client.failover-sleep-max-ms":    "1000",
		"yarn.nodemanager.recovery.enabled":    "true",
		"yarn.nodemanager.recovery.supervised": "true", // it is killed to be started again: its containers stay
		"yarn.nodemanager.recovery.dir":        "/data/yarn/recovery",

		rm + "scheduler.monitor.enable":           "true",
		preemption + "monitoring_interval":        "1000",
		preemption + "max_wait_before_kill":       "5000",
		preemption + "total_preemption_per_round": "1.0",
		preemption + "natural_termination_factor": "1.0",
	}
}
