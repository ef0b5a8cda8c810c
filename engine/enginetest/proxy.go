package enginetest

import (
	"context"
	"io"
	"net"
	"sync"
)

// Proxy stands between a client and the scheduler, and breaks connections when told.
type Proxy struct {
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex
	to    string
	deaf  bool // accepts and closes at once
	conns map[net.Conn]bool
}

// StartProxy starts a proxy to an address. It ends with the test.
func StartProxy(t TB, to string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ln: ln, to: to, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() { ln.Close(); p.Cut(); p.wg.Wait() })
	return p
}

func (p *Proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		to, deaf := p.to, p.deaf
		p.mu.Unlock()
		if deaf {
			in.Close()
			continue
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			p.wg.Go(func() {
				_, _ = io.Copy(pair[0], pair[1]) // one side or the other is gone
				pair[0].Close()
				pair[1].Close()
			})
		}
	}
}

// Cut breaks all connections as a network would: without a word, and with what is on
// the way lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tc, ok := c.(*net.TCPConn); ok {
			_ = tc.SetLinger(0) // it is closed in any case
		}
		c.Close()
	}
	clear(p.conns)
}

// Deaf makes the proxy close new connections at once, or take them again.
func (p *Proxy) Deaf(deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = deaf
}

// Redirect sends new connections to another address.
func (p *Proxy) Redirect(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to
}

// Endpoint is for Options.Scheduler.
func (p *Proxy) Endpoint(context.Context) (string, uint64, error) {
	return p.ln.Addr().String(), 0, nil
}
