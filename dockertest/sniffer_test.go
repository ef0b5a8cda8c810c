//go:build hadoop

package dockertest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/dockertest"
)

// wordStart is what all words begin with that a sniffer knows. What follows has wordRest letters and is of one test alone.
const (
	wordStart = "word-on-the-wire-"
	wordRest  = 26
)

// newWord is a word that nobody has said yet, anywhere.
func newWord() string { return wordStart + strings.ToLower(rand.Text())[:wordRest] }

// sniffer looks at every packet of a cluster's network for words, until the test ends.
type sniffer struct {
	t    *testing.T
	fd   int
	from net.PacketConn // of marks, which go
	to   net.Addr       // to a port where nobody listens
	mu   sync.Mutex
	seen map[string]int // packets, by word
	all  int
}

// sniff begins to look at the network of a cluster, also at what its hosts say to one another.
func sniff(t *testing.T, c *dockertest.Cluster) *sniffer {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" { // nothing may be left out
			t.Fatal("only root can look at packets")
		}
		t.Skip("only root can look at packets")
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // deaf until it is bound
	ok(t, err)
	s := &sniffer{t: t, fd: fd, seen: map[string]int{}}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); <-done; unix.Close(fd) })
	bridge := bridgeOf(t, c.Addr("nn"))
	ok(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20))
	ok(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	ok(t, unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(bridge), Type: unix.PACKET_MR_PROMISC}))
	every := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	ok(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: bridge}))
	s.to = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.Addr("nn")), 9))
	s.from, err = net.ListenPacket("udp4", ":0")
	ok(t, err)
	t.Cleanup(func() { s.from.Close() })
	go func() {
		defer close(done)
		s.read(ctx)
	}()
	return s
}

// bridgeOf is the interface of this machine through which a cluster's hosts speak to one another.
func bridgeOf(t *testing.T, host string) int {
	t.Helper()
	addr := netip.MustParseAddr(host)
	all, err := net.Interfaces()
	ok(t, err)
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Contains(addr) {
				return i.Index
			}
		}
	}
	t.Fatalf("no interface of this machine has the network of %s", host)
	return 0
}

func (s *sniffer) read(ctx context.Context) {
	b := make([]byte, 1<<18)
	for ctx.Err() == nil {
		n, _, err := unix.Recvfrom(s.fd, b, 0)
		if err != nil {
			continue // its time was up
		}
		s.mu.Lock()
		s.all++
		for rest := b[:n]; ; {
			i := bytes.Index(rest, []byte(wordStart))
			if i < 0 {
				break
			}
			rest = rest[i:]
			s.seen[string(rest[:min(len(rest), len(wordStart)+wordRest)])]++
			rest = rest[len(wordStart):]
		}
		s.mu.Unlock()
	}
}

// mark says a word in clear, and waits until it was seen: so was everything that was sent before.
func (s *sniffer) mark(when string) {
	s.t.Helper()
	word := newWord()
	if _, err := s.from.WriteTo([]byte(word), s.to); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); s.count(word) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("what was said in clear %s was not seen in %d packets", when, s.packets())
		}
	}
}

func (s *sniffer) count(word string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[word]
}

func (s *sniffer) packets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// during runs something between two marks, and returns how many packets there were. None may have been missed.
func (s *sniffer) during(what func()) int {
	s.t.Helper()
	s.mark("before")
	before := s.packets()
	s.dropped()
	what()
	s.mark("afterwards")
	if n := s.dropped(); n > 0 {
		s.t.Fatalf("%d packets were missed", n)
	}
	return s.packets() - before
}

// dropped is how many packets the kernel had no room for since it was asked the last time.
func (s *sniffer) dropped() uint32 {
	s.t.Helper()
	stats, err := unix.GetsockoptTpacketStats(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	ok(s.t, err)
	return stats.Drops
}
