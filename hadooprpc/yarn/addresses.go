package yarn

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Config is where settings come from; *conf.Conf is one.
type Config interface {
	// Get returns a setting's value, and whether there is one.
	Get(key string) (string, bool)
}

// Addresses are those of a ResourceManager. With HA each list has one entry per ResourceManager, in the order of
// yarn.resourcemanager.ha.rm-ids.
type Addresses struct {
	// Client is for NewClient, Scheduler for NewAMClient, Web has the host:port of the web pages.
	Client, Scheduler, Web []string
	// HTTPS tells that the web pages speak HTTPS.
	HTTPS bool
	// ClusterID is yarn.resourcemanager.cluster-id, "" without HA as a rule.
	ClusterID string
	HA        bool
}

// WebScheme is what URLs of web pages begin with.
func (a Addresses) WebScheme() string {
	if a.HTTPS {
		return "https://"
	}
	return "http://"
}

// ErrNoResourceManager tells that the configuration names no ResourceManager.
var ErrNoResourceManager = errors.New("the configuration names no ResourceManager: neither yarn.resourcemanager.hostname nor yarn.resourcemanager.address is set; is HADOOP_CONF_DIR the folder with yarn-site.xml?")

// Ports of yarn-default.xml.
const (
	portClient    = "8032"
	portScheduler = "8030"
	portWeb       = "8088"
	portWebHTTPS  = "8090"
)

const rmPrefix = "yarn.resourcemanager."

// AddressesFromConf finds the ResourceManager's addresses as Java does: yarn.resourcemanager.address and its
// siblings, else yarn.resourcemanager.hostname with the default port; with HA the same keys with ".<rm id>" behind.
// Unlike Java it does not fall back to 0.0.0.0, which only hides a missing configuration.
//
// Source: YarnConfiguration, HAUtil, yarn-default.xml (3.4.2).
func AddressesFromConf(c Config) (Addresses, error) {
	var a Addresses
	a.ClusterID, _ = c.Get(rmPrefix + "cluster-id")
	a.HTTPS = HTTPS(c)
	ha, _ := c.Get(rmPrefix + "ha.enabled")
	a.HA = strings.EqualFold(strings.TrimSpace(ha), "true")

	suffixes := []string{""}
	if a.HA {
		if suffixes = haSuffixes(c); len(suffixes) == 0 {
			return Addresses{}, errors.New("yarn.resourcemanager.ha.enabled is true, but yarn.resourcemanager.ha.rm-ids lists nobody")
		}
	}
	web, webPort := "webapp.address", portWeb
	if a.HTTPS {
		web, webPort = "webapp.https.address", portWebHTTPS
	}
	var errs []error
	for _, suffix := range suffixes {
		for _, s := range []struct {
			list      *[]string
			key, port string
		}{{&a.Client, "address", portClient}, {&a.Scheduler, "scheduler.address", portScheduler}, {&a.Web, web, webPort}} {
			addr, err := rmAddress(c, s.key, suffix, s.port)
			*s.list = append(*s.list, addr)
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		if !a.HA && errors.Is(err, ErrNoResourceManager) {
			return Addresses{}, ErrNoResourceManager
		}
		return Addresses{}, err
	}
	return a, nil
}

func haSuffixes(c Config) []string {
	ids, _ := c.Get(rmPrefix + "ha.rm-ids")
	var out []string
	for id := range strings.SplitSeq(ids, ",") {
		if id = strings.TrimSpace(id); id != "" {
			out = append(out, "."+id)
		}
	}
	return out
}

// rmAddress is the address under a key, else the hostname with the default port.
func rmAddress(c Config, key, suffix, port string) (string, error) {
	full := rmPrefix + key + suffix
	if v, ok := c.Get(full); ok && v != "" {
		// The value that a default file puts together from an unset host name is no answer.
		host, p, err := net.SplitHostPort(v)
		switch {
		case err != nil && !strings.Contains(v, ":"):
			return net.JoinHostPort(v, port), nil // Java adds the default port, too
		case err != nil || p == "":
			return "", fmt.Errorf("%s: %q is no host:port", full, v)
		case host != "" && host != "0.0.0.0" && !strings.Contains(host, "${"):
			return v, nil
		}
	}
	host, _ := c.Get(rmPrefix + "hostname" + suffix)
	if host = strings.TrimSpace(host); host == "" || host == "0.0.0.0" {
		if suffix != "" {
			return "", fmt.Errorf("%w (for ResourceManager %q neither %s nor %shostname%s is set)", ErrNoResourceManager, suffix[1:], full, rmPrefix, suffix)
		}
		return "", ErrNoResourceManager
	}
	return net.JoinHostPort(host, port), nil
}

// HTTPS tells that YARN's web servers speak that, and nothing else. Source: YarnConfiguration.useHttps.
func HTTPS(c Config) bool {
	policy, _ := c.Get("yarn.http.policy")
	return strings.EqualFold(policy, "HTTPS_ONLY")
}
