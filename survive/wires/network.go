package wires

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Network is the network. Its methods may be called by many goroutines.
type Network struct {
	home  int   // this process's namespace
	nodes []int // file descriptors of the namespaces

	mu   sync.Mutex
	cuts map[[2]string]*wireCut // by from and to
	lost uint64                 // packets, on wires that are whole again
}

// wireCut is a wire that is cut.
type wireCut struct {
	times int // whoever cuts once more has to heal once more
	count *counter
}

const (
	rmHost, hdfsHost = "10.77.0.1", "10.77.0.2"
	// Rules are looked at from the lowest number on: cuts come before the table of local addresses, which
	// otherwise is first.
	cutPriority, localPriority = 10, 100
)

// New makes the network in this process's network namespace, which has to be a private one.
func New(nodes int) (_ *Network, err error) {
	n := &Network{cuts: map[[2]string]*wireCut{}}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if n.home, err = namespace(); err != nil {
		return nil, err
	}
	if err := n.makeHome(); err != nil {
		return nil, fmt.Errorf("cannot set up a private network: %w", err)
	}
	for i := range nodes {
		if err := n.addNode(i); err != nil {
			return nil, fmt.Errorf("cannot set up the network of node %d: %w", i, err)
		}
	}
	return n, nil
}

// namespace opens the calling thread's network namespace.
func namespace() (int, error) {
	return unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

func (n *Network) makeHome() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	for _, host := range []string{rmHost, hdfsHost} {
		if err == nil {
			err = netlink.AddrAdd(lo, &netlink.Addr{IPNet: only(host)})
		}
	}
	if err == nil {
		err = os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	}
	for _, priority := range []int{localPriority, 0} {
		if err != nil {
			break
		}
		local := netlink.NewRule()
		local.Priority, local.Table, local.Family = priority, unix.RT_TABLE_LOCAL, unix.AF_INET
		if priority == localPriority {
			err = netlink.RuleAdd(local)
		} else {
			err = netlink.RuleDel(local)
		}
	}
	return err
}

// addNode makes a namespace and the wire to it.
func (n *Network) addNode(i int) error {
	made := make(chan error)
	var fd int
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, the namespace lives by fd
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			fd, err = namespace()
		}
		made <- err
	}()
	if err := <-made; err != nil {
		return err
	}
	n.nodes = append(n.nodes, fd)
	name := "node" + strconv.Itoa(i)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(fd)}); err != nil {
		return err
	}
	ours, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.AddrAdd(ours, &netlink.Addr{IPNet: wide(n.gate(i))}), netlink.LinkSetUp(ours)); err != nil {
		return err
	}
	inside := make(chan error)
	go func() {
		runtime.LockOSThread()
		inside <- n.setUpInside(i)
	}()
	return <-inside
}

// setUpInside is done by a thread that ends with it.
func (n *Network) setUpInside(i int) error {
	if err := unix.Setns(n.nodes[i], unix.CLONE_NEWNET); err != nil {
		return err
	}
	for name, addr := range map[string]string{"lo": "", "eth0": n.Host(i)} {
		link, err := netlink.LinkByName(name)
		if err == nil && addr != "" {
			err = netlink.AddrAdd(link, &netlink.Addr{IPNet: wide(addr)})
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return err
		}
	}
	return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(n.gate(i))})
}

func only(host string) *net.IPNet {
	return &net.IPNet{IP: net.ParseIP(host).To4(), Mask: net.CIDRMask(32, 32)}
}

func wide(host string) *net.IPNet {
	return &net.IPNet{IP: net.ParseIP(host).To4(), Mask: net.CIDRMask(24, 32)}
}

// RMHost, HDFSHost, Host, ContainerHost and Enter implement minicluster.Network.
func (n *Network) RMHost() string   { return rmHost }
func (n *Network) HDFSHost() string { return hdfsHost }

// gate is the address of this process that a node sees, but for RMHost and HDFSHost.
func (n *Network) gate(node int) string { return fmt.Sprintf("10.77.%d.1", node+1) }

// Host is that of a node's daemon and processes.
func (n *Network) Host(node int) string { return fmt.Sprintf("10.77.%d.2", node+1) }

// Enter has the calling thread, which its goroutine must have locked, be on a node.
func (n *Network) Enter(node int) (leave func() error, err error) {
	if err := unix.Setns(n.nodes[node], unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("cannot enter the network of node %d: %w", node, err)
	}
	return func() error { return unix.Setns(n.home, unix.CLONE_NEWNET) }, nil
}

// Cut has packets from one address to another vanish, or ends that. Who cuts twice has to heal twice.
func (n *Network) Cut(from, to string, cut bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	wire := [2]string{from, to}
	c := n.cuts[wire]
	switch {
	case cut && c != nil:
		c.times++
	case cut:
		if err := netlink.RuleAdd(blackhole(from, to)); err != nil {
			return fmt.Errorf("cannot cut %s off from %s: %w", from, to, err)
		}
		count, err := newCounter(from, to)
		if err != nil {
			return errors.Join(fmt.Errorf("cannot count what is lost from %s to %s: %w", from, to, err), netlink.RuleDel(blackhole(from, to)))
		}
		n.cuts[wire] = &wireCut{1, count}
	case c == nil:
		return fmt.Errorf("the wire from %s to %s is whole", from, to)
	case c.times > 1:
		c.times--
	default:
		lost, err := c.count.close()
		n.lost += lost
		delete(n.cuts, wire)
		if err = errors.Join(err, netlink.RuleDel(blackhole(from, to))); err != nil {
			return fmt.Errorf("cannot heal the wire from %s to %s: %w", from, to, err)
		}
	}
	return nil
}

// blackhole is the rule by which packets vanish.
func blackhole(from, to string) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Priority, rule.Family, rule.Type, rule.Src, rule.Dst = cutPriority, unix.AF_INET, unix.RTN_BLACKHOLE, only(from), only(to)
	return rule
}

// Lost is how many packets have vanished on wires that were cut and are whole again.
func (n *Network) Lost() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// Close lets go of the namespaces, which end with their last process. Nobody may use the network after it.
func (n *Network) Close() error {
	for _, c := range n.cuts {
		c.count.close() //nolint:errcheck // nobody asks any more
	}
	clear(n.cuts)
	for _, fd := range append(n.nodes, n.home) {
		if fd > 0 {
			unix.Close(fd)
		}
	}
	n.nodes, n.home = nil, 0
	return nil
}
