package layout

// Daemon is one kind of Hadoop server process.
type Daemon struct {
	// Name identifies the daemon: in KillDaemon, in its log's name, and in the process table.
	Name string
	// Main is the Java class that is run, or the absolute path of a program.
	Main string
	// Options are its JVM's, after those that each has.
	Options []string `json:",omitempty"`
	// Args are its arguments.
	Args []string
	// User is the account it runs as. HDFS takes the NameNode's account for its superuser.
	User string
	// Prepare, if not empty, is a shell command run as User before each start. It must be idempotent. `hadoop-java` is on
	// its PATH.
	Prepare string
	// WebPort is the port of its web pages, 0 if it has none.
	WebPort int
	// HTTPSPort is that of a daemon of YARN where its pages are for TLS alone (Kerberos.HTTPS).
	HTTPSPort int `json:",omitempty"`
	// Port, of a daemon without pages, is one where it accepts connections, so that it can be seen to be there.
	Port int
	// Service, if not empty, is the first part of its principal where there is Kerberos.
	Service string
}

// The daemons of Hadoop itself; ZooKeeper, which ResourceManagers and NameNodes that are two need; and Kerberos' server.
var (
	NameNode = Daemon{
		Name: "namenode", Main: "org.apache.hadoop.hdfs.server.namenode.NameNode", User: "hdfs", WebPort: 9870, Service: "nn",
		Prepare: "[ -e /data/dfs/name/current/VERSION ] || " +
			"hadoop-java org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive",
	}
	DataNode = Daemon{
		Name: "datanode", Main: "org.apache.hadoop.hdfs.server.datanode.DataNode", User: "hdfs", WebPort: 9864, Service: "dn",
	}
	ResourceManager = Daemon{
		Name: "resourcemanager", Main: "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
		User: "yarn", WebPort: 8088, HTTPSPort: 8090, Service: "rm",
	}
	NodeManager = Daemon{
		Name: "nodemanager", Main: "org.apache.hadoop.yarn.server.nodemanager.NodeManager", User: "yarn", WebPort: 8042, HTTPSPort: 8044, Service: "nm",
	}
	ZooKeeper = Daemon{
		Name: "zookeeper", Main: "org.apache.zookeeper.server.ZooKeeperServerMain", User: "yarn",
		Args: []string{"2181", "/data/yarn/zookeeper", "1000"},
	}
	// JournalNode keeps what the active one of several NameNodes writes.
	JournalNode = Daemon{
		Name: "journalnode", Main: "org.apache.hadoop.hdfs.qjournal.server.JournalNode", User: "hdfs", WebPort: 8480, Service: "jn",
	}
	// FailoverController has the NameNode on its host be active when the other one is not; with Kerberos it is known by
	// that one's principal. Code 2 says that it has its
	// folder in ZooKeeper already.
	FailoverController = Daemon{
		Name: "zkfc", Main: failoverController, User: "hdfs", Port: 8019,
		Prepare: "hadoop-java " + failoverController + " -formatZK -nonInteractive || [ $? = 2 ]",
	}
	// KDC is MIT's, which gives out Kerberos tickets. It has a realm's database made before it starts.
	KDC = Daemon{
		Name: "kdc", Main: "/usr/sbin/krb5kdc", Args: []string{"-n"}, User: "root", Port: 88, Prepare: BinDir + "/kdc-prepare",
	}
)

const failoverController = "org.apache.hadoop.hdfs.tools.DFSZKFailoverController"

// Pattern is the regular expression by which pgrep -f and pkill -f find this daemon's process in its host's process
// table, and nothing else: it matches the JVM's flag, and not the command line of another pgrep that looks for it.
func (d Daemon) Pattern() string { return "[-]Dyarnd[.]daemon=" + d.Name }
