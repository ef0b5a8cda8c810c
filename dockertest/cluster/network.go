package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/ory/dockertest/v3/docker"
)

// Every cluster is a /24 of this prefix, and host i has the address firstHost+i in it. Addresses are fixed and every
// host's /etc/hosts has every other, so that names resolve forwards and backwards without Docker's name server, whose
// reverse answers ("container.network") Kerberos cannot use.
var prefix = netip.MustParsePrefix("172.29.0.0/16")

const firstHost = 10

// subnets yields the /24s to try, beginning with one that depends on the name.
func subnets(name string) []netip.Prefix {
	h := fnv.New32a()
	h.Write([]byte(name))
	base := prefix.Addr().As4()
	all := make([]netip.Prefix, 0, 256)
	for i := range 256 {
		base[2] = byte(h.Sum32() + uint32(i))
		all = append(all, netip.PrefixFrom(netip.AddrFrom4(base), 24))
	}
	return all
}

// ensureNetwork creates the network if there is none, and learns the addresses.
func (c *Cluster) ensureNetwork() error {
	err := c.readAddrs()
	if !errors.Is(err, ErrNotUp) {
		return err
	}
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, subnet := range subnets(c.spec.Name) {
		if overlaps(subnet, taken) {
			continue
		}
		_, err = c.pool.Client.CreateNetwork(docker.CreateNetworkOptions{
			Name: networkName(c.spec.Name), Driver: "bridge", CheckDuplicate: true,
			IPAM:   &docker.IPAMOptions{Config: []docker.IPAMConfig{{Subnet: subnet.String()}}},
			Labels: map[string]string{labelCluster: c.spec.Name},
		})
		if err == nil {
			return c.readAddrs()
		}
		if !strings.Contains(err.Error(), "overlap") { // another network has it: try the next
			return fmt.Errorf("create the network %s: %w", networkName(c.spec.Name), err)
		}
	}
	return fmt.Errorf("every /24 of %v is in use: remove a Docker network", prefix)
}

func overlaps(subnet netip.Prefix, addrs []net.Addr) bool {
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Overlaps(subnet) {
			return true
		}
	}
	return false
}

// readAddrs works out the hosts' addresses from the network's subnet. Without the network it returns ErrNotUp.
func (c *Cluster) readAddrs() error {
	networks, err := c.pool.NetworksByName(networkName(c.spec.Name))
	if err != nil {
		return err
	}
	if len(networks) == 0 || len(networks[0].Network.IPAM.Config) == 0 {
		return fmt.Errorf("%w: there is no network %s", ErrNotUp, networkName(c.spec.Name))
	}
	subnet, err := netip.ParsePrefix(networks[0].Network.IPAM.Config[0].Subnet)
	if err != nil {
		return err
	}
	c.addrs = map[string]netip.Addr{}
	bytes := subnet.Masked().Addr().As4()
	for i, h := range c.spec.Composition.Hosts {
		bytes[3] = byte(firstHost + i)
		c.addrs[h.Name] = netip.AddrFrom4(bytes)
	}
	return nil
}

// Addr returns the address of a host, by its short name.
func (c *Cluster) Addr(host string) string { return c.addrs[host].String() }

// extraHosts are the lines of every host's /etc/hosts, in Docker's form "name:address".
func (c *Cluster) extraHosts() []string {
	var lines []string
	for _, h := range c.spec.Composition.Hosts {
		addr := c.addrs[h.Name].String()
		full := c.spec.Composition.HostName(h)
		lines = append(lines, full+":"+addr) // the first name of an address is the one a reverse look-up gives
		if full != h.Name {
			lines = append(lines, h.Name+":"+addr)
		}
	}
	return lines
}

// HTTP returns a client for this machine to which the cluster's host names mean the cluster's hosts, so that pages and
// the redirects between them work as on a host inside.
func (c *Cluster) HTTP() *http.Client {
	// Nothing stays open behind the caller's back: these are a few small requests.
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: c.Dial,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, // #nosec G402 -- our own containers, by address
	}}
}

// Dial connects from this machine as net.Dialer's DialContext does, but the short and the full names of the cluster's hosts
// mean the cluster's hosts.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for _, h := range c.spec.Composition.Hosts {
		if host == h.Name || host == c.spec.Composition.HostName(h) {
			address = net.JoinHostPort(c.Addr(h.Name), port)
		}
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}
