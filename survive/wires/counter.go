package wires

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// counter counts the packets from one address to another that this namespace is given to pass on, and those that it
// cannot send itself. While the wire between them is cut these are those that vanish.
type counter struct {
	tap    int    // a packet socket; nobody reads from it: the kernel counts what it offers
	fromUs bool   // there is no tap: what this namespace sends has no route
	unsent uint64 // packets without a route, when it began
}

func newCounter(from, to string) (*counter, error) {
	c := &counter{}
	var err error
	if c.fromUs, err = ours(from); err != nil {
		return nil, err
	}
	if c.fromUs {
		c.unsent, err = withoutRoute()
		return c, err
	}
	if c.tap, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil { // of no protocol: it hears nothing yet
		return nil, err
	}
	filter, err := between(from, to)
	if err == nil {
		err = unix.SetsockoptSockFprog(c.tap, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	}
	if err == nil {
		err = unix.Bind(c.tap, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP)})
	}
	if err != nil {
		unix.Close(c.tap)
		return nil, err
	}
	return c, nil
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 } // on little-endian machines, which all are that yarnd runs on

// between is a filter for packets from one address to another, as SOCK_DGRAM shows them: they begin with the header of IP.
func between(from, to string) ([]unix.SockFilter, error) {
	addr := func(host string) uint32 {
		b := net.ParseIP(host).To4()
		return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: addr(from), SkipTrue: 3},
		bpf.LoadAbsolute{Off: 16, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: addr(to), SkipTrue: 1},
		bpf.RetConstant{Val: 1},
		bpf.RetConstant{Val: 0},
	})
	var filter []unix.SockFilter
	for _, i := range program {
		filter = append(filter, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	return filter, err
}

// close ends it and returns the count.
func (c *counter) close() (uint64, error) {
	if c.fromUs {
		now, err := withoutRoute()
		return now - c.unsent, err
	}
	defer unix.Close(c.tap)
	stats, err := unix.GetsockoptTpacketStats(c.tap, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, err
	}
	return uint64(stats.Packets), nil
}

// ours tells whether an address is one of this namespace.
func ours(host string) (bool, error) {
	all, err := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(net.ParseIP(host)) {
			return true, nil
		}
	}
	return false, err
}

// withoutRoute is how many packets of this namespace's own had no way to go. Source: SNMP's ipOutNoRoutes.
func withoutRoute() (uint64, error) {
	text, err := os.ReadFile("/proc/thread-self/net/snmp")
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "Ip:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, name := range names {
			if name == "OutNoRoutes" && i < len(f) {
				var n uint64
				_, err := fmt.Sscan(f[i], &n)
				return n, err
			}
		}
	}
	return 0, fmt.Errorf("the kernel does not say how many packets had no route: %q", text)
}
