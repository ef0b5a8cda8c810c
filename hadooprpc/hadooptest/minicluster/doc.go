// Package minicluster is a whole YARN cluster inside a process: a ResourceManager (package rm), NodeManagers (package
// nm), a directory for a file system, and the configuration directory with which any Hadoop client finds them.
//
//	c, err := minicluster.Start(ctx, minicluster.Options{Nodes: 3})
//	defer c.Close()
//	t.Setenv("HADOOP_CONF_DIR", c.ConfDir())
//
// Containers are real processes in real container directories. All sockets are on this machine's loopback; users are
// who they say they are. What the cluster does wrong when told to is in the packages of its parts: c.RM and c.Nodes.
//
//	<Dir>/conf           core-site.xml, yarn-site.xml
//	<Dir>/user/<name>    homes: fs.defaultFS is file:///, or with Options.HDFS an HDFS whose root is <Dir>
//	<Dir>/logs           aggregated logs
//	<Dir>/nodes/<n>      a NodeManager's local and log directories
//
// The same contract suite (hadooprpc/yarn/yarntest) passes here and on real daemons.
package minicluster
