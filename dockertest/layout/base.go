package layout

import (
	"cmp"
	"strconv"
)

// Where things are inside every container.
const (
	ConfDir = "/etc/hadoop/conf" // HADOOP_CONF_DIR, read-only
	LibDir  = "/opt/hadoop/lib"  // the jars, read-only
	BinDir  = "/opt/hadoop/bin"  // our launchers: daemon, hadoop-java, edge-signal; read-only
	LogDir  = "/var/log/hadoop"  // one file per daemon
	// SourceDir is the repository, read-only, on edge nodes only. Its bin is on the PATH. The repository and not its bin
	// is mounted, so that `rm -rf bin` does not leave a mount of a folder that is no more.
	SourceDir = "/opt/yarnd/src"
	// ExchangeDir is writable by everybody, on edge nodes only, and a folder of the host: for large files.
	ExchangeDir = "/exchange"
	// SmallDisk is where a host's small file system is, if it has one.
	SmallDisk = "/small"
	// ExcludeFile lists, in ConfDir, the nodes that the ResourceManager is to decommission. It is no site file: it is empty at first and
	// changes while the cluster runs.
	ExcludeFile = "yarn.exclude"
)

// NodeMemoryMB and NodeVcores are what each NodeManager offers.
const (
	NodeMemoryMB = 6144
	NodeVcores   = 32
)

// Base is the configuration that all compositions share. Whatever it does not name has Hadoop's default, node
// manager heartbeats of one second among them, so that timings are those of a real cluster.
func Base(c Composition) Conf {
	return Conf{
		CoreSite:          coreSite(c),
		HDFSSite:          hdfsSite(),
		YarnSite:          yarnSite(c),
		MapredSite:        mapredSite(),
		CapacityScheduler: capacityScheduler(),
	}
}

// first is the full name of the first host with d, or "" in a composition without.
func first(c Composition, d Daemon) string {
	for _, h := range c.With(d) {
		return c.HostName(h)
	}
	return ""
}

func coreSite(c Composition) Properties {
	return Properties{
		"fs.defaultFS":   "hdfs://" + cmp.Or(first(c, NameNode), "localhost") + ":8020",
		"hadoop.tmp.dir": "/data/tmp/${user.name}",
	}
}

func hdfsSite() Properties {
	return Properties{
		"dfs.replication":                   "1", // so that locality is a fact, not a likelihood
		"dfs.namenode.name.dir":             "file:///data/dfs/name",
		"dfs.datanode.data.dir":             "file:///data/dfs/data",
		"dfs.namenode.rpc-bind-host":        "0.0.0.0",
		"dfs.namenode.safemode.extension":   "0",
		"dfs.permissions.enabled":           "true",
		"dfs.datanode.du.reserved":          "0",
		"dfs.namenode.resource.du.reserved": "1048576",
		// A stopped DataNode counts as dead after 2 × 15 s + 10 × 3 s, not after ten and a half minutes.
		"dfs.namenode.heartbeat.recheck-interval": "15000",
		// By default a DataNode with more than twice the average of connections is given no replicas: of three, one on whose host
		// some ten files are being written is enough for a file of three replicas to have two.
		"dfs.namenode.redundancy.considerLoad": "false",
	}
}

func yarnSite(c Composition) Properties {
	return Properties{
		"yarn.resourcemanager.hostname":            cmp.Or(first(c, ResourceManager), "localhost"),
		"yarn.resourcemanager.am.max-attempts":     "20",
		"yarn.webapp.ui2.enable":                   "false",
		"yarn.log-aggregation-enable":              "true",
		"yarn.nodemanager.remote-app-log-dir":      "/tmp/logs",
		"yarn.application.classpath":               ConfDir + "," + LibDir + "/*",
		"yarn.nodemanager.aux-services":            "mapreduce_shuffle",
		"yarn.nodemanager.address":                 "0.0.0.0:45454", // fixed: a restarted node is the same node
		"yarn.nodemanager.local-dirs":              "/data/yarn/local",
		"yarn.nodemanager.log-dirs":                "/data/yarn/logs",
		"yarn.nodemanager.resource.memory-mb":      strconv.Itoa(NodeMemoryMB),
		"yarn.nodemanager.resource.cpu-vcores":     strconv.Itoa(NodeVcores),
		"yarn.scheduler.minimum-allocation-mb":     "64",
		"yarn.scheduler.maximum-allocation-mb":     "4096",
		"yarn.scheduler.maximum-allocation-vcores": "8",
		// Without cgroups "enforced" switches both memory checks off: it must be false for a limit to kill.
		"yarn.nodemanager.resource.memory.enforced":                                     "false",
		"yarn.nodemanager.pmem-check-enabled":                                           "true",
		"yarn.nodemanager.vmem-check-enabled":                                           "false",
		"yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
		// A node or application master that falls silent is lost after 30 s, not after ten minutes.
		"yarn.nm.liveness-monitor.expiry-interval-ms": "30000",
		"yarn.am.liveness-monitor.expiry-interval-ms": "30000",
	}
}

func mapredSite() Properties {
	const heap = "-Xmx384m --add-opens=java.base/java.lang=ALL-UNNAMED" // 3.3 does not know what Java 17 wants
	return Properties{
		"mapreduce.framework.name":           "yarn",
		"mapreduce.application.classpath":    ConfDir + "," + LibDir + "/*",
		"yarn.app.mapreduce.am.resource.mb":  "768",
		"yarn.app.mapreduce.am.command-opts": heap,
		"yarn.app.mapreduce.am.staging-dir":  "/user",
		"mapreduce.map.memory.mb":            "768",
		"mapreduce.map.java.opts":            heap,
		"mapreduce.reduce.memory.mb":         "768",
		"mapreduce.reduce.java.opts":         heap,
	}
}

// capacityScheduler has two queues, default and etl. Either may take the whole cluster while the other is idle, and
// one user may take a whole queue.
func capacityScheduler() Properties {
	const root = "yarn.scheduler.capacity.root."
	p := Properties{
		"yarn.scheduler.capacity.resource-calculator":         "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
		"yarn.scheduler.capacity.maximum-am-resource-percent": "0.8",
		root + "queues": "default,etl",
	}
	for queue, share := range map[string]string{"default": "60", "etl": "40"} {
		p[root+queue+".capacity"] = share
		p[root+queue+".maximum-capacity"] = "100"
		p[root+queue+".user-limit-factor"] = "10"
		p[root+queue+".state"] = "RUNNING"
	}
	return p
}
