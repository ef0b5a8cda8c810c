// Package conf reads Hadoop's site configuration the way Hadoop's own
// Configuration class does, so that an address, a limit or a principal means
// here what it means to the daemons.
//
// # Where files come from
//
// The directories are those that Hadoop's scripts use: HADOOP_CONF_DIR and
// YARN_CONF_DIR when set, else $HADOOP_HOME/etc/hadoop, else /etc/hadoop/conf.
// From them core-site.xml, hdfs-site.xml, yarn-site.xml and mapred-site.xml are
// loaded in that order over a built-in table of the defaults that a client
// needs (the *-default.xml files live inside Hadoop's jars, which an edge node
// need not have in a known place). yarn-site.xml is looked for in
// YARN_CONF_DIR first, the others in HADOOP_CONF_DIR first.
//
// # What a key means
//
//		defaults ← core-site ← hdfs-site ← yarn-site ← mapred-site ← overrides
//		           └─ each file in document order, xi:include in place ─┘
//
//	  - A later property replaces an earlier one, unless the earlier was marked
//	    <final>true</final>. Overrides (-D on a command line) replace even those,
//	    as Configuration.set does.
//	  - A deprecated name sets and reads the key that replaced it.
//	  - Values are expanded when read: ${other.key}, ${env.NAME},
//	    ${env.NAME-default} and ${env.NAME:-default}, and the few Java system
//	    properties that site files use (user.name, user.home, java.io.tmpdir).
//	    At most 20 replacements are made for one value; a value that needs more
//	    is refused when the configuration is loaded. An unknown ${name} stays.
//	  - An element <value></value> without text sets nothing, as in Java.
//
// # What is refused
//
// Site files can come from places with less trust than the process that reads
// them. A DOCTYPE is refused (no entities, internal or external), includes are
// local files only, nested at most [maxIncludeDepth] deep and never in a
// cycle, and files, values and their number have limits. Errors name the file
// and the line.
package conf
