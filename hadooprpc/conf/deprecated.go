package conf

// deprecated maps old names to the keys that replaced them: those of the keys
// a client reads that still occur in site files. The sources are the tables in
// Hadoop's Configuration, HdfsConfiguration and YarnConfiguration.
var deprecated = map[string]string{
	"dfs.block.size":                                        "dfs.blocksize",
	"dfs.federation.nameservices":                           "dfs.nameservices",
	"dfs.http.address":                                      "dfs.namenode.http-address",
	"dfs.https.address":                                     "dfs.namenode.https-address",
	"dfs.permissions":                                       "dfs.permissions.enabled",
	"dfs.permissions.supergroup":                            "dfs.permissions.superusergroup",
	"dfs.socket.timeout":                                    "dfs.client.socket-timeout",
	"dfs.umaskmode":                                         "fs.permissions.umask-mode",
	"dfs.write.packet.size":                                 "dfs.client-write-packet-size",
	"dfs.encryption.key.provider.uri":                       "hadoop.security.key.provider.path",
	"fs.default.name":                                       "fs.defaultFS",
	"io.bytes.per.checksum":                                 "dfs.bytes-per-checksum",
	"topology.node.switch.mapping.impl":                     "net.topology.node.switch.mapping.impl",
	"topology.script.file.name":                             "net.topology.script.file.name",
	"yarn.client.max-nodemanagers-proxies":                  "yarn.client.max-cached-nodemanagers-proxies",
	"yarn.resourcemanager.system-metrics-publisher.enabled": "yarn.system-metrics-publisher.enabled",
	"yarn.resourcemanager.zk-acl":                           "hadoop.zk.acl",
	"yarn.resourcemanager.zk-address":                       "hadoop.zk.address",
	"yarn.resourcemanager.zk-auth":                          "hadoop.zk.auth",
	"yarn.resourcemanager.zk-num-retries":                   "hadoop.zk.num-retries",
	"yarn.resourcemanager.zk-retry-interval-ms":             "hadoop.zk.retry-interval-ms",
	"yarn.resourcemanager.zk-timeout-ms":                    "hadoop.zk.timeout-ms",
}

// successor returns the key under which a name is kept.
func successor(name string) string {
	if key, ok := deprecated[name]; ok {
		return key
	}
	return name
}
