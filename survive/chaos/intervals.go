package main

import (
	"fmt"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// intervals are YARN's properties on which depends how long what is measured here takes, with their defaults. Source:
// yarn-default.xml (3.4.2).
var intervals = []struct{ key, usual string }{
	{"yarn.resourcemanager.nodemanagers.heartbeat-interval-ms", "1000"},
	{"yarn.am.liveness-monitor.expiry-interval-ms", "600000"},
	{"yarn.nm.liveness-monitor.expiry-interval-ms", "600000"},
	{"yarn.resourcemanager.container.liveness-monitor.interval-ms", "600000"},
	{"yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms", "10000"},
	{"yarn.resourcemanager.am-rm-tokens.master-key-rolling-interval-secs", "86400"},
	{"yarn.nodemanager.sleep-delay-before-sigkill.ms", "250"},
}

// unusual says which intervals of a cluster are not YARN's defaults.
func unusual(c *conf.Conf) (all []string) {
	for _, i := range intervals {
		if v, set := c.Get(i.key); set && v != i.usual {
			all = append(all, fmt.Sprintf("%s is %s, not %s", i.key, v, i.usual))
		}
	}
	return all
}
