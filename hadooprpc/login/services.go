package login

import (
	"net"
	"slices"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// ResourceManager is the service of the ResourceManagers' client addresses.
func ResourceManager(c *conf.Conf, addrs []string) Service {
	s := Service{Key: "yarn.resourcemanager.principal", Kind: token.KindRM, What: "the ResourceManager"}
	if !ipc.Secure(c) {
		return s // nobody asks, and names need not be resolved
	}
	var each []string
	for _, a := range addrs {
		all := TokenServices(c, []string{a})
		each = append(each, all[0])
		s.Names = append(s.Names, all...)
	}
	// With several of them YARN's client names them all in one.
	s.Names = append([]string{strings.Join(each, ",")}, s.Names...)
	return s
}

// NameNodePort is a NameNode's where its address has none.
const NameNodePort = "8020"

// NameNode is the service of an authority's NameNodes, the host or the nameservice of an hdfs:// URL, at their addresses.
// Source: HAUtilClient.buildTokenServiceForLogicalUri.
func NameNode(c *conf.Conf, authority string, addrs []string) Service {
	s := Service{Key: "dfs.namenode.kerberos.principal", Kind: token.KindHDFS, What: "hdfs://" + authority}
	if service := NameService(c, authority); service != "" && len(c.Strings("dfs.ha.namenodes."+service)) > 0 {
		s.Names = []string{"ha-hdfs:" + service} // as it is written there: Java compares byte by byte
	} else if ipc.Secure(c) { // elsewhere nobody asks, and names need not be resolved
		s.Names = TokenServices(c, addrs)
	}
	return s
}

// NameService is an authority as dfs.nameservices writes it, or "" where it is none of these.
func NameService(c *conf.Conf, authority string) string {
	for _, s := range c.Strings("dfs.nameservices") {
		if strings.EqualFold(s, authority) {
			return s
		}
	}
	return ""
}

// TokenServices are the names that addresses may have in tokens, the one that a token is given first: "10.0.0.1:8020", or
// the address as it is, in lower case, where it cannot be resolved or hadoop.security.token.service.use_ip is off.
// Source: SecurityUtil.buildTokenService.
func TokenServices(c *conf.Conf, addrs []string) []string {
	var out []string
	add := func(s string) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	useIP, err := c.Bool("hadoop.security.token.service.use_ip", true)
	for _, a := range addrs {
		if !useIP && err == nil {
			add(strings.ToLower(a))
		}
		if host, port, err := net.SplitHostPort(a); err == nil {
			ips, _ := net.LookupHost(host)
			for _, ip := range ips {
				add(net.JoinHostPort(ip, port))
			}
		}
		add(strings.ToLower(a))
	}
	return out
}
