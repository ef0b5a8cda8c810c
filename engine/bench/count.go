package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/rawio"
)

// counter counts what goes over the TCP connections of this process, below TLS, and
// looks at what their handshakes agree on. It is safe for concurrent use.
type counter struct {
	sent, received atomic.Uint64 // bytes
	conns          atomic.Int64  // whose handshake was seen
	oldest         atomic.Uint32 // TLS version of all of them; 0 while there is none
	plain          atomic.Int64  // connections that began otherwise than with a handshake
	journal        *countedStore // of a scheduler that keeps one
}

// traffic is what a counter has counted, or the difference of two.
type traffic struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	Conns    int64  `json:"conns"`
	Plain    int64  `json:"plain"`
	TLS      uint16 `json:"tls"`
	Journal  uint64 `json:"journal"` // bytes that were written to it
	Flushes  uint64 `json:"flushes"` // of its files
}

func (c *counter) now() traffic {
	t := traffic{Sent: c.sent.Load(), Received: c.received.Load(), Conns: c.conns.Load(), Plain: c.plain.Load(), TLS: uint16(c.oldest.Load())}
	if j := c.journal; j != nil {
		t.Journal, t.Flushes = j.bytes.Load(), j.flushes.Load()
	}
	return t
}

// dial is an identity.DialFunc that counts.
func (c *counter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: rawio.NewConn(nc), c: c}, nil
}

// listen returns a listener on the loopback interface whose connections count.
func (c *counter) listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &countedListener{ln, c}, nil
}

type countedListener struct {
	net.Listener
	c *counter
}

func (l *countedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: rawio.NewConn(nc), c: l.c, server: true}, nil
}

// countedConn is a connection below TLS. TLS reads from one goroutine at a time and
// writes from one at a time.
type countedConn struct {
	net.Conn
	c      *counter
	server bool
	head   []byte // of what the server's side says, until its hello is there
	done   bool
}

// NetConn returns what is counted.
func (n *countedConn) NetConn() net.Conn { return n.Conn }

func (n *countedConn) Write(b []byte) (int, error) {
	k, err := n.Conn.Write(b)
	n.c.sent.Add(uint64(k))
	if n.server && !n.done {
		n.see(b[:k])
	}
	return k, err
}

func (n *countedConn) Read(b []byte) (int, error) {
	k, err := n.Conn.Read(b)
	n.c.received.Add(uint64(k))
	if !n.server && !n.done {
		n.see(b[:k])
	}
	return k, err
}

// see looks for the server's hello.
func (n *countedConn) see(b []byte) {
	n.head = append(n.head, b...)
	version, more := helloVersion(n.head)
	if more {
		return
	}
	n.done, n.head = true, nil
	if version == 0 {
		n.c.plain.Add(1)
		return
	}
	n.c.conns.Add(1)
	for {
		old := n.c.oldest.Load()
		if old != 0 && old <= uint32(version) || n.c.oldest.CompareAndSwap(old, uint32(version)) {
			return
		}
	}
}

// helloVersion reads the TLS version that a server chose out of the first bytes that
// it sends; more says that these are too few, 0 that they are no handshake. An alert
// counts as a handshake that has not come yet.
//
//	22 | 3 3 | length 2 |                                  record (RFC 8446, 5.1)
//	     2 | length 3 | 3 3 | random 32 | n | session n |
//	     cipher 2 | 0 | length 2 | extensions …            ServerHello (4.1.3)
//	                               43 | 2 | version        supported_versions (4.2.1)
func helloVersion(b []byte) (version uint16, more bool) {
	const (
		recordAlert, recordHandshake = 21, 22
		serverHello                  = 2
		supportedVersions            = 43
		sessionAt                    = 5 + 4 + 2 + 32
	)
	if len(b) < 6 {
		return 0, true
	}
	if b[0] == recordAlert {
		return 0, true
	}
	if b[0] != recordHandshake || b[5] != serverHello {
		return 0, false
	}
	if len(b) < 5+int(binary.BigEndian.Uint16(b[3:])) {
		return 0, true
	}
	b = b[:5+int(binary.BigEndian.Uint16(b[3:]))]
	if len(b) <= sessionAt {
		return 0, false
	}
	chosen := binary.BigEndian.Uint16(b[9:]) // until an extension says otherwise
	b = b[sessionAt:]
	if len(b) < 1+int(b[0])+5 {
		return chosen, false
	}
	b = b[1+int(b[0])+5:]
	for len(b) >= 4 {
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			break
		}
		if kind == supportedVersions && n == 2 {
			return binary.BigEndian.Uint16(b), false
		}
		b = b[n:]
	}
	return chosen, false
}

// tlsName names the oldest version of all connections of all roles.
func tlsName(all []traffic) string {
	oldest := uint16(0)
	for _, t := range all {
		if t.Plain > 0 {
			return "none"
		}
		if t.TLS != 0 && (oldest == 0 || t.TLS < oldest) {
			oldest = t.TLS
		}
	}
	if oldest == 0 {
		return "none"
	}
	return tls.VersionName(oldest)
}
