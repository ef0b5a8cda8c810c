package layout

import (
	"maps"
	"time"
)

// NameService is what HDFS is called in a composition with two NameNodes. It has a capital, which Java's clients heed.
const NameService = "NS1"

// HANameNodes is HA with two NameNodes in one nameservice, of which either goes on where the other was: a JournalNode has
// what they write, and beside each a failover controller looks whether it answers, and has ZooKeeper say who is active.
func HANameNodes() Composition {
	c := HA()
	c.Name = "ha-nn"
	zk := c.Hosts[1]
	zk.Daemons = append(zk.Daemons, JournalNode)
	first, second, controller := NameNode, NameNode, FailoverController
	// The second one's files are made from the first one's, or the other way round where only the first one's are lost. Who
	// was interrupted has no image.
	first.Prepare = unlessImage + awaitPort("zk", 8485, 300) + " && if " + awaitPort("nn2", 8020, 1) + "; then " + bootstrap +
		"; else hadoop-java " + first.Main + " -format -force -nonInteractive; fi; }"
	second.Prepare = unlessImage + awaitPort("nn1", 8020, 600) + " && " + bootstrap + "; }"
	controller.Prepare = awaitZooKeeper + " && { " + controller.Prepare + "; }"
	c.Hosts = append([]Host{
		{Name: "nn1", Daemons: []Daemon{first, controller}},
		{Name: "nn2", Daemons: []Daemon{second, controller}},
		zk,
	}, c.Hosts[2:]...)
	maps.Copy(c.Conf[CoreSite], Properties{
		"fs.defaultFS":        "hdfs://" + NameService,
		"ha.zookeeper.quorum": "zk:2181",
		// A NameNode that is stopped is given up after that, and not after 45 s.
		"ha.health-monitor.rpc-timeout.ms": "10000",
	})
	c.Conf[HDFSSite] = haHDFSSite(c)
	return c
}

// RenewedEvery is how long delegation tokens of SecureHANameNodes last unless they are renewed.
const RenewedEvery = 2 * time.Minute

// SecureHANameNodes is HANameNodes with Kerberos and everything encrypted: NameNodes and ResourceManagers are two.
// ZooKeeper believes everybody. Delegation tokens of HDFS last for a week, but must be renewed every other minute: a
// ResourceManager, or an application with a keytab, does so while NameNodes come and go.
func SecureHANameNodes() Composition {
	c := withFullRMNames(Secured(HANameNodes(), "secure-ha-nn", Realm("privacy")))
	c.Conf[HDFSSite] = haHDFSSite(c) // with the names that principals have
	c.Conf[HDFSSite]["dfs.namenode.delegation.token.renew-interval"] = millis(RenewedEvery)
	return c
}

const unlessImage = "ls /data/dfs/name/current/fsimage_*[0-9] >/dev/null 2>&1 || { "

var bootstrap = "hadoop-java " + NameNode.Main + " -bootstrapStandby -force -nonInteractive"

// haHDFSSite is hdfs-site.xml of c, whose NameNodes are two; a NameNode's id is its host's short name.
func haHDFSSite(c Composition) Properties {
	const dfs, nn = "dfs.", "dfs.namenode."
	p := Properties{
		dfs + "nameservices":                                  NameService,
		dfs + "ha.namenodes." + NameService:                   "nn1,nn2",
		dfs + "client.failover.proxy.provider." + NameService: "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
		dfs + "journalnode.edits.dir":                         "/data/dfs/journal",
		dfs + "ha.automatic-failover.enabled":                 "true",
		// A NameNode that starts is in safe mode until it has read what the other one wrote, which it does when that one
		// begins another file: every five seconds, and not every two minutes.
		dfs + "ha.log-roll.period":   "5",
		dfs + "ha.tail-edits.period": "2",
		// The JournalNode takes nothing any more from who was active before.
		dfs + "ha.fencing.methods": "shell(/bin/true)",
		nn + "shared.edits.dir":    "qjournal://" + first(c, JournalNode) + ":8485/" + NameService,
	}
	for _, h := range c.With(NameNode) {
		p[nn+"rpc-address."+NameService+"."+h.Name] = c.HostName(h) + ":8020"
		p[nn+"http-address."+NameService+"."+h.Name] = c.HostName(h) + ":9870"
	}
	return p
}
