package edgeclient

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// resolver is who knows names: a *net.Resolver.
type resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// dnsPatience is how long all names together may take.
const dnsPatience = 10 * time.Second

// names looks whether servers are called what their addresses are. In principals Hadoop's Java clients put the name that a
// server's address has by reverse DNS for _HOST, servers their own, and we the one in the configuration: where these differ,
// some of them get no ticket. Source: SecurityUtil.getServerPrincipal (3.4.2).
func (d *doctor) names(y *yarnCluster) {
	const check = "names"
	hosts := serverHosts(y)
	if len(hosts) == 0 {
		return // what is missing is told where it is needed
	}
	ctx, cancel := context.WithTimeout(d.ctx, dnsPatience)
	defer cancel()
	wrong := misnamed(ctx, net.DefaultResolver, hosts)
	for _, w := range wrong {
		d.warn(check, w.what, w.next)
	}
	if len(wrong) == 0 {
		d.judge(check, nil, func() string {
			return strings.Join(hosts, ", ") + ": what the servers are called is what their addresses are"
		})
	}
}

// serverHosts are the hosts of the NameNodes and ResourceManagers, as the configuration has them.
func serverHosts(y *yarnCluster) []string {
	var addresses []string
	if u, err := url.Parse(y.conf.String("fs.defaultFS", "")); err == nil && u.Scheme == "hdfs" {
		addresses, _ = hdfs.NameNodes(y.conf, u.Host)
	}
	if found, err := yarn.AddressesFromConf(y.conf); err == nil {
		addresses = append(addresses, found.Client...)
	}
	var hosts []string
	for _, a := range addresses {
		if host, _, err := net.SplitHostPort(a); err == nil && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// misname is a server whose name is not its address's, and what to do.
type misname struct{ what, next string }

func misnamed(ctx context.Context, r resolver, hosts []string) (out []misname) {
	for _, host := range hosts {
		if net.ParseIP(host) != nil {
			out = append(out, misname{"the configuration has the address " + host + " where principals have names", "Put the host's full name there"})
			continue
		}
		addresses, err := r.LookupHost(ctx, host)
		if err != nil {
			out = append(out, misname{fmt.Sprintf("%s has no address: %v", host, err), "Look at /etc/hosts and /etc/resolv.conf, or correct the name in the configuration"})
			continue
		}
		for _, a := range addresses {
			names, err := r.LookupAddr(ctx, a)
			if len(names) > 0 && strings.EqualFold(strings.TrimSuffix(names[0], "."), host) { // Java takes the first
				continue
			}
			called := fmt.Sprintf("nothing (%v)", err)
			if len(names) > 0 {
				called = strings.TrimSuffix(names[0], ".")
			}
			out = append(out, misname{fmt.Sprintf("%s is %s, and that is called %s by reverse DNS", host, a, called),
				"Ask for a PTR record (or a line in /etc/hosts) with that name, or use the other name in the configuration: yarnd goes by the configuration, Hadoop's own programs by reverse DNS"})
		}
	}
	return out
}
