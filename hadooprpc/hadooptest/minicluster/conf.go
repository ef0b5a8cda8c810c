package minicluster

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// properties are what clients, application masters and Java's own tools read.
func (c *Cluster) properties(o Options) map[string]string {
	host, _, _ := strings.Cut(c.RM.ClientAddr(), ":")
	p := map[string]string{
		"fs.defaultFS":                             "file:///",
		"dfs.user.home.dir.prefix":                 c.path("user"),
		"hadoop.tmp.dir":                           c.path("tmp"),
		"yarn.resourcemanager.hostname":            host,
		"yarn.resourcemanager.address":             c.RM.ClientAddr(),
		"yarn.resourcemanager.scheduler.address":   c.RM.SchedulerAddr(),
		"yarn.resourcemanager.webapp.address":      c.RM.WebAddr(),
		"yarn.log-aggregation-enable":              "true",
		"yarn.nodemanager.remote-app-log-dir":      "file://" + c.path("logs"),
		"yarn.scheduler.minimum-allocation-mb":     strconv.FormatInt(max(o.Cluster.Min.MemoryMiB, 64), 10),
		"yarn.scheduler.maximum-allocation-mb":     strconv.FormatInt(o.Cluster.Max.MemoryMiB, 10),
		"yarn.scheduler.maximum-allocation-vcores": strconv.Itoa(int(o.Cluster.Max.VCores)),
		// As the nodes are: resident memory is limited, virtual memory is not.
		"yarn.nodemanager.resource.memory.enforced":                       "false",
		"yarn.nodemanager.pmem-check-enabled":                             strconv.FormatBool(!o.NoMemoryLimit),
		"yarn.nodemanager.vmem-check-enabled":                             "false",
		"yarn.timeline-service.enabled":                                   "false",
		"yarn.resourcemanager.opportunistic-container-allocation.enabled": strconv.FormatBool(o.Cluster.Opportunistic),
		"yarn.nodemanager.opportunistic-containers-max-queue-length":      strconv.Itoa(o.Queue),
	}
	if o.HA {
		maps.Copy(p, c.pair())
	}
	if c.HDFS != nil {
		maps.Copy(p, map[string]string{
			"fs.defaultFS": c.HDFS.URL(), "dfs.user.home.dir.prefix": "/user", "yarn.nodemanager.remote-app-log-dir": "/logs", "dfs.replication": "1",
		})
	}
	maps.Copy(p, o.Site)
	return p
}

// pair are the properties of two ResourceManagers, rm1 and rm2.
func (c *Cluster) pair() map[string]string {
	const prefix = "yarn.resourcemanager."
	p := map[string]string{prefix + "ha.enabled": "true", prefix + "cluster-id": "embedded", prefix + "ha.rm-ids": "rm1,rm2"}
	for key, addrs := range map[string][]string{
		"address": c.RM.ClientAddrs(), "scheduler.address": c.RM.SchedulerAddrs(), "webapp.address": c.RM.WebAddrs(),
	} {
		for i, addr := range addrs {
			p[fmt.Sprintf("%s%s.rm%d", prefix, key, i+1)] = addr
		}
	}
	return p
}

// writeConf writes the site files. Those of core are in one, all others in the other: Hadoop's classes read both.
func (c *Cluster) writeConf() error {
	if err := os.MkdirAll(c.ConfDir(), 0o755); err != nil {
		return err
	}
	core, other := map[string]string{}, map[string]string{}
	for k, v := range c.site {
		switch prefix, _, _ := strings.Cut(k, "."); prefix {
		case "fs", "hadoop", "io", "ipc", "dfs":
			core[k] = v
		default:
			other[k] = v
		}
	}
	for name, props := range map[string]map[string]string{"core-site.xml": core, "yarn-site.xml": other} {
		if err := os.WriteFile(filepath.Join(c.ConfDir(), name), siteXML(props), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func siteXML(props map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\"?>\n<configuration>\n")
	for _, k := range slices.Sorted(maps.Keys(props)) {
		fmt.Fprintf(&b, "  <property><name>%s</name><value>%s</value></property>\n", escape(k), escape(props[k]))
	}
	b.WriteString("</configuration>\n")
	return b.Bytes()
}

func escape(s string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(s)) // a bytes.Buffer takes everything
	return b.String()
}
