package transfer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/identity"
)

func TestOnlyTheApplicationsRoles(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	k := w.put(1, []byte("secret"))
	other := newWorld(t, ServerOptions{})
	for name, p := range map[string]*Pool{
		"role not let in":     w.pool(t, identity.AppMaster, PoolOptions{}),
		"another application": other.pool(t, identity.Worker, PoolOptions{}),
	} {
		if got, err := p.Result(t.Context(), w.at, k.task, 2, 6); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if w.opened != 0 {
		t.Error("an object was opened for a stranger")
	}
}

func TestPlainAndForeignConnectionsAreDropped(t *testing.T) {
	w := newWorld(t, ServerOptions{Handshake: 50 * time.Millisecond})
	for name, bytes := range map[string]string{"silent": "", "plain": "GET / HTTP/1.1\r\n\r\n"} {
		nc, err := net.Dial("tcp", w.at.Address)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(nc, bytes)
		if _, err := io.Copy(io.Discard, nc); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
		nc.Close()
	}
	waitFor(t, func() bool { return w.server.Conns() == 0 })
}

// allIdle reports whether no connection of the server is at work.
func (w *world) allIdle() bool {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	for _, c := range w.server.conns {
		if c.idle.Load() == 0 {
			return false
		}
	}
	return true
}

// A server that is full refuses while all connections are at work, and gives one that is
// idle to somebody else. Its peer asks again on another.
func TestConnectionLimit(t *testing.T) {
	w := newWorld(t, ServerOptions{Conns: 1})
	k := w.put(1, []byte("x"))
	working, letGo := make(chan struct{}, 1), make(chan struct{})
	w.block = func(_ int, b []byte) ([]byte, error) {
		working <- struct{}{}
		<-letGo
		return b, nil
	}
	first, second := w.pool(t, identity.Worker, PoolOptions{}), w.pool(t, identity.Worker, PoolOptions{})
	get := func(p *Pool) error {
		_, err := p.Result(t.Context(), w.at, k.task, 2, 1)
		return err
	}
	done := make(chan error, 1)
	go func() { done <- get(first) }()
	<-working
	if err := get(second); err == nil {
		t.Fatal("a second connection got through")
	}
	close(letGo)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, p := range []*Pool{second, first} {
			waitFor(t, w.allIdle)
			if err := get(p); err != nil {
				t.Fatal(err)
			}
			<-working
		}
	}
	if n := w.server.Conns(); n > 1 {
		t.Errorf("%d connections", n)
	}
}

// Who does not say who it is takes nothing from those who did.
func TestStrangersTakeNoPlaces(t *testing.T) {
	w := newWorld(t, ServerOptions{Conns: 1})
	k := w.put(1, []byte("x"))
	p := w.pool(t, identity.Worker, PoolOptions{})
	get := func() {
		t.Helper()
		if _, err := p.Result(t.Context(), w.at, k.task, k.attempt, 1); err != nil {
			t.Fatal(err)
		}
	}
	get()
	waitFor(t, w.allIdle)
	for range 100 {
		c, err := net.Dial("tcp", w.at.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	waitFor(t, func() bool {
		w.server.mu.Lock()
		defer w.server.mu.Unlock()
		return len(w.server.strangers) == 100
	})
	if p.Idle() != 1 || w.server.Conns() != 1 {
		t.Errorf("the connection of one who is known was closed for theirs: %d idle, %d there", p.Idle(), w.server.Conns())
	}
	get()
	stranger, err := net.Dial("tcp", w.at.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	w.server.Close()
	stranger.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := stranger.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a server that is closed keeps strangers: %v", err)
	}
}

func TestConnectionsThatThePeerClosedAreReplaced(t *testing.T) {
	w := newWorld(t, ServerOptions{Idle: 10 * time.Millisecond})
	k := w.put(1, []byte("again"))
	d := w.bundle([]byte("bundle"))
	p := w.pool(t, identity.Worker, PoolOptions{})
	for range 3 {
		got, err := p.Result(t.Context(), w.at, k.task, k.attempt, 5)
		if err != nil || string(got) != "again" {
			t.Fatalf("%q, %v", got, err)
		}
		f, err := p.OpenBundle(t.Context(), w.at, d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); err != nil || string(got) != "bundle" {
			t.Fatalf("%q, %v", got, err)
		}
		f.Close()
		waitFor(t, func() bool { return w.server.Conns() == 0 })
		// The end of a connection for results is noticed at once, of others at the next use.
		waitFor(t, func() bool { return p.Idle() == 1 })
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	k := w.put(1, []byte("x"))
	p := w.pool(t, identity.Worker, PoolOptions{Idle: 10 * time.Millisecond})
	if _, err := p.Result(t.Context(), w.at, k.task, 2, 1); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return p.Idle() == 0 && w.server.Conns() == 0 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.peers) != 0 {
		t.Error("a peer without connections is kept")
	}
}

// stuck gives some bytes and then nothing until it is let go.
type stuck struct {
	io.Reader
	letGo chan struct{}
}

func (s stuck) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		<-s.letGo
	}
	return n, err
}

func TestWaitsEnd(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	const size = 2 * checksum.Block
	k := w.put(1, random(size))
	d := w.bundle(random(1 << 20))
	letGo := make(chan struct{})
	w.wrap = func(r io.Reader) io.Reader { return stuck{io.LimitReader(r, 300_000), letGo} }
	w.block = func(i int, b []byte) ([]byte, error) {
		if i == 1 {
			<-letGo
		}
		return b, nil
	}
	defer close(letGo)

	t.Run("context", func(t *testing.T) {
		p := w.pool(t, identity.Worker, PoolOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := p.Result(ctx, w.at, k.task, k.attempt, size)
		if e, ok := errors.AsType[*Error](err); !ok || !e.Abandoned() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("pool closed", func(t *testing.T) {
		p := w.pool(t, identity.Worker, PoolOptions{})
		f, err := p.OpenBundle(t.Context(), w.at, d)
		if err != nil {
			t.Fatal(err)
		}
		down := NewDownload(k.task, k.attempt, size, make(memory, size))
		fetched := make(chan error, 1)
		go func() { fetched <- p.Fetch(t.Context(), w.at, down) }()
		waitFor(t, func() bool { return down.Missing() == 1 })
		go p.Close()
		if _, err := io.Copy(io.Discard, f); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		f.Close()
		if err := <-fetched; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		if _, err := p.OpenBundle(t.Context(), w.at, d); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed pool opens: %v", err)
		}
		if _, err := p.Result(t.Context(), w.at, k.task, k.attempt, size); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed pool fetches: %v", err)
		}
	})
	t.Run("peer stalls", func(t *testing.T) {
		p := w.pool(t, identity.Worker, PoolOptions{Stall: 50 * time.Millisecond})
		_, err := p.Result(t.Context(), w.at, k.task, k.attempt, size)
		if e, ok := errors.AsType[*Error](err); !ok || e.Abandoned() || e.Missing() {
			t.Errorf("%v", err)
		}
	})
	t.Run("slot", func(t *testing.T) {
		p := w.pool(t, identity.Worker, PoolOptions{Conns: 1})
		f, err := p.OpenBundle(t.Context(), w.at, d)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := p.OpenBundle(ctx, w.at, d); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("bytes in flight", func(t *testing.T) {
		p := w.pool(t, identity.Worker, PoolOptions{InFlight: size})
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		down := NewDownload(k.task, k.attempt, size, make(memory, size))
		go func() { first <- p.Fetch(ctx, w.at, down) }()
		waitFor(t, func() bool { return down.Missing() == 1 })
		short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		if _, err := p.Result(short, w.at, k.task, k.attempt, size); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestUnknownRequestClosesTheConnection(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	config := w.identity(t, identity.Worker, "me").Client(identity.Worker, "c2")
	config.NextProtos = []string{Protocol}
	c, err := dial(t.Context(), nil, w.at.Address, config, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.nc.Close()
	c.nc.SetDeadline(time.Now().Add(5 * time.Second))
	c.nc.Write([]byte{99})
	st, n, err := readHeader(c.r)
	if err != nil || st != statusRefused || n == 0 {
		t.Errorf("status %d, %d bytes, %v", st, n, err)
	}
	if rest, err := io.ReadAll(c.r); uint64(len(rest)) != n {
		t.Errorf("%q, %v", rest, err)
	}
}
