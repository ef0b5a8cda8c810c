package layout

// Daemon is one kind of Hadoop server process.
type Daemon struct {
	// Name identifies the daemon: in KillDaemon, in its log's name, and in the process table.
	Name string
	// Main is the Java class that is run.
	Main string
	// Args are its arguments.
	Args []string
	// User is the account it runs as. HDFS takes the NameNode's account for its superuser.
	User string
	// Prepare, if not empty, is a shell command run as User before each start. It must be idempotent. `hadoop-java` is on
	// its PATH.
	Prepare string
	// WebPort is the port of its web pages.
	WebPort int
}

// The daemons of Hadoop itself, and ZooKeeper, which ResourceManagers that are two need.
var (
	NameNode = Daemon{
		Name: "namenode", Main: "org.apache.hadoop.hdfs.server.namenode.NameNode", User: "hdfs", WebPort: 9870,
		Prepare: "[ -e /data/dfs/name/current/VERSION ] || " +
			"hadoop-java org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive",
	}
	DataNode = Daemon{
		Name: "datanode", Main: "org.apache.hadoop.hdfs.server.datanode.DataNode", User: "hdfs", WebPort: 9864,
	}
	ResourceManager = Daemon{
		Name: "resourcemanager", Main: "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
		User: "yarn", WebPort: 8088,
	}
	NodeManager = Daemon{
		Name: "nodemanager", Main: "org.apache.hadoop.yarn.server.nodemanager.NodeManager", User: "yarn", WebPort: 8042,
	}
	ZooKeeper = Daemon{
		Name: "zookeeper", Main: "org.apache.zookeeper.server.ZooKeeperServerMain", User: "yarn",
		Args: []string{"2181", "/data/yarn/zookeeper", "1000"},
	}
)

// Pattern is the regular expression by which pgrep -f and pkill -f find this daemon's process in its host's process
// table, and nothing else: it matches the JVM's flag, and not the command line of another pgrep that looks for it.
func (d Daemon) Pattern() string { return "[-]Dyarnd[.]daemon=" + d.Name }
