package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/identity"
)

// proxy passes connections on to a server and does to them what it is told. It sees
// TLS records only, so what it damages never gets through the TLS layer.
type proxy struct {
	ln     net.Listener
	to     string
	accept atomic.Int64
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[net.Conn]bool
	// fault is asked for each connection: after how many bytes of the server which thing
	// happens.
	fault func(conn int) (after int64, what faultKind)
}

type faultKind int

const (
	none    faultKind = iota
	cut               // the connection ends
	corrupt           // a byte is another
	slow              // bytes come in small pieces
	half              // the server's side ends in order, within a record
)

func newProxy(t *testing.T, to string, fault func(int) (int64, faultKind)) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: to, conns: map[net.Conn]bool{}, fault: fault}
	p.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			n := int(p.accept.Add(1)) - 1
			p.wg.Go(func() { p.pass(nc, n) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		for nc := range p.conns {
			nc.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) track(ncs ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range ncs {
		p.conns[nc] = true
	}
}

func (p *proxy) pass(down net.Conn, n int) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		down.Close()
		return
	}
	p.track(down, up)
	defer down.Close()
	defer up.Close()
	p.wg.Go(func() {
		io.Copy(up, down)
		up.Close()
	})
	after, what := p.fault(n)
	buf := make([]byte, 32<<10)
	for seen := int64(0); ; {
		m, err := up.Read(buf)
		b := buf[:m]
		if what != none && seen <= after && after < seen+int64(m) {
			at := after - seen
			switch what {
			case cut:
				down.Write(b[:at])
				down.(*net.TCPConn).SetLinger(0)
				return
			case half:
				down.Write(b[:at])
				return
			case corrupt:
				b[at] ^= 1
			}
		}
		seen += int64(m)
		for len(b) > 0 {
			k := len(b)
			if what == slow && seen > after && seen < after+300_000 {
				k = min(k, 1+rand.IntN(700))
			}
			if _, err := down.Write(b[:k]); err != nil {
				return
			}
			b = b[k:]
		}
		if err != nil {
			return
		}
	}
}

// handshakeBytes is roughly what a server sends before its first answer.
const handshakeBytes = 1500

// TestFaultsAtEveryOffset breaks a connection at offsets of every kind: within the
// handshake, in headers and marks, at the edges of blocks, records and ranges. What came
// is not asked for again, and what arrives in the end is the result.
func TestFaultsAtEveryOffset(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	const size = 4*checksum.Block + 777
	want := random(size)
	k := w.put(1, want)
	var given atomic.Int64
	w.block = func(_ int, b []byte) ([]byte, error) { given.Add(1); return b, nil }
	record := int64(16<<10 + 22)
	offsets := []int64{0, 5, 700, handshakeBytes}
	for _, b := range []int64{0, 1, 4} {
		edge := b * checksum.Block * (record) / (16 << 10) // with what TLS adds
		offsets = append(offsets, handshakeBytes+edge-100_000, handshakeBytes+edge-headerLen, handshakeBytes+edge+headerLen, handshakeBytes+edge+record)
	}
	for what, name := range map[faultKind]string{cut: "cut", half: "half", corrupt: "corrupt", slow: "slow"} {
		t.Run(name, func(t *testing.T) {
			for i, off := range offsets {
				if what != cut && i%3 != int(what)%3 {
					continue
				}
				for _, conns := range [][]int{{1}, {4}, {1, 4}}[i%3] {
					p := w.pool(t, identity.Worker, PoolOptions{Conns: conns, Stall: 5 * time.Second})
					px := newProxy(t, w.at.Address, func(n int) (int64, faultKind) {
						if n == 0 {
							return off, what
						}
						return 0, none
					})
					at := w.at
					at.Address = px.ln.Addr().String()
					got := make(memory, size)
					d := NewDownload(k.task, k.attempt, size, got)
					tries, before := 0, given.Load()
					for err := p.Fetch(t.Context(), at, d); err != nil; err = p.Fetch(t.Context(), at, d) {
						if e, ok := errors.AsType[*Error](err); !ok || e.Missing() || e.Abandoned() {
							t.Fatalf("offset %d: %v", off, err)
						}
						if tries++; tries > 2 {
							t.Fatalf("offset %d: %v, for the third time", off, err)
						}
						waitFor(t, func() bool { return conns > 1 || w.server.Conns() == 0 })
						before = given.Load() + int64(d.Missing())
					}
					if !bytes.Equal(got, want) {
						t.Fatalf("offset %d, %d connections: other bytes", off, conns)
					}
					// What had arrived was not given again.
					if n := given.Load(); conns == 1 && tries > 0 && n != before {
						t.Errorf("offset %d: %d blocks came more than were missing", off, n-before)
					}
					p.Close()
				}
			}
		})
	}
}

// TestAnotherHolderGoesOn: the first peer goes away in the middle, and the second gives
// the rest.
func TestAnotherHolderGoesOn(t *testing.T) {
	first, second := newWorld(t, ServerOptions{}), newWorld(t, ServerOptions{})
	const size = 9 * checksum.Block
	want := random(size)
	k := first.put(1, want)
	second.results[k] = want
	var gone, given atomic.Int64
	first.block = func(i int, b []byte) ([]byte, error) {
		if i >= 3 {
			gone.Add(1)
			return nil, errors.New("gone")
		}
		return b, nil
	}
	second.block = func(_ int, b []byte) ([]byte, error) { given.Add(1); return b, nil }
	got := make(memory, size)
	d := NewDownload(k.task, k.attempt, size, got)
	p := first.pool(t, identity.Worker, PoolOptions{Conns: 1})
	err := p.Fetch(t.Context(), first.at, d)
	if e, ok := errors.AsType[*Error](err); !ok || !e.Missing() || d.Missing() != 6 {
		t.Fatalf("%v, %d blocks missing", err, d.Missing())
	}
	if err := second.pool(t, identity.Worker, PoolOptions{}).Fetch(t.Context(), second.at, d); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || given.Load() != 6 {
		t.Errorf("the second gave %d blocks", given.Load())
	}
	if p.Idle() != 1 {
		t.Errorf("a block that cannot be read costs the connection: %d are idle", p.Idle())
	}
}

// TestDamageIsFound: a peer's block does not have its checksum, once or for ever. The
// first is mended, the second is an error that says so, and what is whole is kept.
func TestDamageIsFound(t *testing.T) {
	for _, times := range []int64{1, 1000} {
		w := newWorld(t, ServerOptions{})
		const size = 6*checksum.Block - 9
		want := random(size)
		k := w.put(1, want)
		var left atomic.Int64
		left.Store(times)
		w.block = func(i int, b []byte) ([]byte, error) {
			if i == 2 && left.Add(-1) >= 0 {
				b = bytes.Clone(b)
				b[rand.IntN(len(b))] ^= 1 << rand.IntN(8)
			}
			return b, nil
		}
		p := w.pool(t, identity.Worker, PoolOptions{})
		got := make(memory, size)
		d := NewDownload(k.task, k.attempt, size, got)
		err := p.Fetch(t.Context(), w.at, d)
		if times == 1 {
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("damaged once: %v", err)
			}
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || !e.Damaged() || !e.Missing() || e.Peer != w.at {
			t.Errorf("damaged: %v", err)
		}
		left.Store(0)
		if err := p.Fetch(t.Context(), w.at, d); err != nil || !bytes.Equal(got, want) {
			t.Errorf("after that: %v", err)
		}
	}
}

// failing is a Sink that fails at one of its calls.
type failing struct {
	memory
	block, filled int // numbers of the blocks at which they fail; -1: none
	err           error
	taken         atomic.Int64 // blocks given out and not taken back
}

func (f *failing) Block(i int) ([]byte, error) {
	if i == f.block {
		return nil, f.err
	}
	f.taken.Add(1)
	return f.memory.Block(i)
}

func (f *failing) Filled(i int, b []byte, sum uint32) error {
	f.taken.Add(-1)
	if i == f.filled {
		return f.err
	}
	return f.memory.Filled(i, b, sum)
}

func (f *failing) Drop(i int, b []byte) { f.taken.Add(-1) }

// A Sink that fails ends its fetch with its own error, and nobody else's: small fetches
// go on over the same connections.
func TestSinkFailures(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	const size = 12 * checksum.Block
	k := w.put(1, random(size))
	small := w.put(2, random(20_000))
	p := w.pool(t, identity.Worker, PoolOptions{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := p.Result(t.Context(), w.at, small.task, small.attempt, 20_000); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, c := range [][2]int{{0, -1}, {5, -1}, {11, -1}, {-1, 0}, {-1, 7}} {
		sink := &failing{memory: make(memory, size), block: c[0], filled: c[1], err: fmt.Errorf("disk full at %v", c)}
		if err := p.Fetch(t.Context(), w.at, NewDownload(k.task, k.attempt, size, sink)); !errors.Is(err, sink.err) {
			t.Errorf("%v: %v", c, err)
		}
		if n := sink.taken.Load(); n != 0 {
			t.Errorf("%v: %d blocks were not given back", c, n)
		}
	}
	close(stop)
	wg.Wait()
}

// Fetches that are given up at any time give their memory back at once, and harm no
// other.
func TestGivenUp(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	var keys []key
	sizes := []int{100, 30_000, 400_000, 3 * checksum.Block}
	for i, n := range sizes {
		keys = append(keys, w.put(uint32(i), random(n)))
	}
	p := w.pool(t, identity.Worker, PoolOptions{Conns: 2})
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(g, 1))
			for range 60 {
				i := rnd.IntN(len(keys))
				ctx, cancel := contextFor(t, rnd)
				sink := &failing{memory: make(memory, sizes[i]), block: -1, filled: -1}
				err := p.Fetch(ctx, w.at, NewDownload(keys[i].task, keys[i].attempt, uint64(sizes[i]), sink))
				if sink.taken.Load() != 0 {
					t.Error("memory is in use after the fetch")
				}
				if err == nil && !bytes.Equal(sink.memory, w.results[keys[i]]) {
					t.Error("other bytes")
				}
				if e, ok := errors.AsType[*Error](err); err != nil && (!ok || !e.Abandoned()) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// contextFor is a context that ends soon, or not.
func contextFor(t *testing.T, rnd *rand.Rand) (context.Context, context.CancelFunc) {
	if rnd.IntN(2) == 0 {
		return context.WithCancel(t.Context())
	}
	return context.WithTimeout(t.Context(), time.Duration(rnd.IntN(3_000))*time.Microsecond)
}
