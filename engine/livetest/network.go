package livetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Network connects hosts that are names. Bytes that are on their way when two hosts are
// separated arrive when they are joined again, as TCP sends them again. It is safe for
// concurrent use.
type Network struct {
	mu        sync.Mutex
	rnd       *rand.Rand
	listeners map[string]*listener // by address
	links     map[*link]struct{}
	apart     map[string]bool // hosts that nobody reaches
	stopped   map[string]bool // hosts whose processes do nothing
	resumed   sync.Cond       // some of them do again; its lock is mu
	latency   map[string]time.Duration
	ports     int
}

// NewNetwork returns a network without hosts.
func NewNetwork(rnd *rand.Rand) *Network {
	n := &Network{
		rnd: rnd, listeners: map[string]*listener{}, links: map[*link]struct{}{},
		apart: map[string]bool{}, stopped: map[string]bool{}, latency: map[string]time.Duration{},
	}
	n.resumed.L = &n.mu
	return n
}

// link is a connection: its two ends share it.
type link struct {
	net   *Network
	hosts [2]string
	ends  [2]*conn
}

func (l *link) touches(host string) bool { return l.hosts[0] == host || l.hosts[1] == host }

// Listen returns a listener of a host, of a port of its own.
func (n *Network) Listen(host string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports++
	l := &listener{net: n, at: addr(fmt.Sprintf("%s:%d", host, n.ports)), queue: make(chan net.Conn, 64), closed: make(chan struct{})}
	n.listeners[l.at.String()] = l
	return l
}

// again is when somebody who connects to a host that is apart tries once more.
const again = 200 * time.Millisecond

// Dialer returns how a host connects to others.
func (n *Network) Dialer(host string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		to, _, _ := strings.Cut(address, ":")
		for wait := n.delay(host, to); ; wait = again {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			if !n.separated(host, to) {
				break
			}
		}
		n.await(host)
		return n.connect(host, to, address)
	}
}

func (n *Network) connect(host, to, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[address]
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: addr(address), Err: syscall.ECONNREFUSED}
	}
	n.ports++
	k := &link{net: n, hosts: [2]string{host, to}}
	k.ends[0], k.ends[1] = newConn(k, 0), newConn(k, 1)
	k.ends[0].local, k.ends[0].remote = addr(fmt.Sprintf("%s:%d", host, n.ports)), l.at
	k.ends[1].local, k.ends[1].remote = l.at, k.ends[0].local
	select {
	case l.queue <- k.ends[1]:
		n.links[k] = struct{}{}
		return k.ends[0], nil
	default:
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: l.at, Err: syscall.ECONNREFUSED}
	}
}

// delay is how long bytes take from one host to another.
func (n *Network) delay(a, b string) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return 50*time.Microsecond + n.latency[a] + n.latency[b] + time.Duration(n.rnd.IntN(200))*time.Microsecond
}

func (n *Network) separated(a, b string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.apart[a] || n.apart[b]
}

// runs reports whether the processes of a host do anything.
func (n *Network) runs(host string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.stopped[host]
}

// await waits until they do.
func (n *Network) await(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.stopped[host] {
		n.resumed.Wait()
	}
}

// Stop has a host's processes neither read nor write, until Continue, as SIGSTOP does:
// others connect to it and write to it, as far as its kernel has room. Nobody is told.
func (n *Network) Stop(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped[host] = true
}

// Continue ends Stop.
func (n *Network) Continue(host string) {
	n.mu.Lock()
	delete(n.stopped, host)
	n.resumed.Broadcast()
	n.mu.Unlock()
	n.stir(host)
}

// Separate has nobody reach a host, until Join. Nobody is told.
func (n *Network) Separate(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.apart[host] = true
}

// Join ends Separate.
func (n *Network) Join(host string) {
	n.mu.Lock()
	delete(n.apart, host)
	n.mu.Unlock()
	n.stir(host)
}

// stir has those look again who wait for something on a host's connections.
func (n *Network) stir(host string) {
	n.each(host, func(k *link) {
		for _, c := range k.ends {
			c.in.changed()
		}
	})
}

// Slow has bytes from and to a host take d longer.
func (n *Network) Slow(host string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency[host] = d
}

// Cut resets a host's connections. Both sides are told.
func (n *Network) Cut(host string) {
	n.each(host, func(k *link) {
		for _, c := range k.ends {
			c.in.end(syscall.ECONNRESET, true)
		}
	})
}

// Kill ends a host: its listeners are closed and its connections reset.
func (n *Network) Kill(host string) {
	n.mu.Lock()
	for _, l := range n.listeners {
		if strings.HasPrefix(l.at.String(), host+":") {
			l.closeLocked()
		}
	}
	n.mu.Unlock()
	n.Cut(host)
}

// each calls f for the connections of a host.
func (n *Network) each(host string, f func(*link)) {
	n.mu.Lock()
	var of []*link
	for k := range n.links {
		if k.touches(host) {
			of = append(of, k)
		}
	}
	n.mu.Unlock()
	for _, k := range of {
		f(k)
	}
}

// Open returns how many connections there are.
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.links)
}

// addr is "host:port".
type addr string

func (a addr) Network() string { return "memory" }
func (a addr) String() string  { return string(a) }

// listener is a net.Listener.
type listener struct {
	net    *Network
	at     addr
	queue  chan net.Conn
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "memory", Addr: l.at, Err: net.ErrClosed}
	}
}

func (l *listener) Addr() net.Addr { return l.at }

func (l *listener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.closeLocked()
	return nil
}

func (l *listener) closeLocked() {
	if l.net.listeners[l.at.String()] != l {
		return
	}
	delete(l.net.listeners, l.at.String())
	close(l.closed)
	for {
		select {
		case c := <-l.queue: // nobody takes it any more
			go c.Close()
		default:
			return
		}
	}
}
