package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type key struct {
	task    graph.TaskID
	attempt graph.Attempt
}

// source is a Source in memory that counts what is open.
type source struct {
	mu      sync.Mutex
	results map[key][]byte
	bundles map[graph.Digest][]byte
	wrap    func(io.Reader) io.Reader             // of every bundle
	block   func(i int, b []byte) ([]byte, error) // of every block of a result
	opened  int
	closed  int
}

func (s *source) OpenResult(t graph.TaskID, a graph.Attempt) (Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Index == 666 {
		return nil, errors.New("the disk is on fire")
	}
	data := s.results[key{t, a}]
	if data == nil {
		return nil, ErrNotFound
	}
	s.opened++
	return &result{Bytes(data), s}, nil
}

// result is an open result of a source.
type result struct {
	Bytes
	s *source
}

func (r *result) Block(i int) ([]byte, error) {
	b, err := r.Bytes.Block(i)
	if r.s.block != nil {
		return r.s.block(i, b)
	}
	return b, err
}

func (r *result) Close() error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.closed++
	return nil
}

func (s *source) OpenBundle(d graph.Digest) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(s.bundles[d])
}

func (s *source) open(data []byte) (io.ReadCloser, int64, error) {
	if data == nil {
		return nil, 0, ErrNotFound
	}
	s.opened++
	var r io.Reader = bytes.NewReader(data)
	if s.wrap != nil {
		r = s.wrap(r)
	}
	return closer{r, func() { s.mu.Lock(); s.closed++; s.mu.Unlock() }}, int64(len(data)), nil
}

type closer struct {
	io.Reader
	f func()
}

func (c closer) Close() error { c.f(); return nil }

// world is a server with its source, and identities of one application.
type world struct {
	*source
	ca     *identity.CA
	server *Server
	ln     net.Listener
	at     Peer
}

func newWorld(t *testing.T, o ServerOptions) *world {
	t.Helper()
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{source: &source{results: map[key][]byte{}, bundles: map[graph.Digest][]byte{}}, ca: ca}
	w.server = NewServer(w.source, o)
	w.ln, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.at = Peer{Role: identity.Worker, Name: "c2", Address: w.ln.Addr().String()}
	config := w.identity(t, identity.Worker, "c2").Server(identity.Worker, identity.Client)
	done := make(chan error, 1)
	go func() { done <- w.server.Accept(w.ln, config) }()
	t.Cleanup(func() {
		w.server.Close()
		w.server.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Accept ended with %v", err)
		}
		if w.opened != w.closed {
			t.Errorf("%d objects opened, %d closed", w.opened, w.closed)
		}
	})
	return w
}

func (w *world) identity(t *testing.T, role identity.Role, name string) *identity.Identity {
	t.Helper()
	id, err := w.ca.NewIdentity(identity.Subject{App: w.ca.App(), Role: role, Name: name}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) pool(t *testing.T, role identity.Role, o PoolOptions) *Pool {
	t.Helper()
	p := NewPool(w.identity(t, role, "me"), o)
	t.Cleanup(func() { p.Close(); p.Close() })
	return p
}

func (w *world) put(i uint32, data []byte) key {
	k := key{graph.TaskID{Job: 7, Index: i}, 2}
	w.results[k] = data
	return k
}

func (w *world) bundle(data []byte) graph.Digest {
	d := graph.Digest(sha256.Sum256(data))
	w.bundles[d] = data
	return d
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(rand.Uint32())}).Read(b)
	return b
}

func TestResultsOfAllSizes(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	p := w.pool(t, identity.Worker, PoolOptions{Conns: 2})
	for i, n := range []int{0, 1, 4096, piece - headerLen - markLen, piece - headerLen, piece, 3*piece + 17, checksum.Block - 1, checksum.Block, checksum.Block + 1, 4 * checksum.Block} {
		want := random(n)
		k := w.put(uint32(i), want)
		got, err := p.Result(t.Context(), w.at, k.task, k.attempt, uint64(n))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %d bytes, %v", n, len(got), err)
		}
	}
	if n := w.server.Conns(); n != 1 {
		t.Errorf("fetches in sequence used %d connections, want 1", n)
	}
}

func TestBundleAsStream(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	data := random(1 << 20)
	d := w.bundle(data)
	p := w.pool(t, identity.Client, PoolOptions{})
	f, err := p.OpenBundle(t.Context(), w.at, d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Size() != uint64(len(data)) {
		t.Errorf("size %d", f.Size())
	}
	if err := iotest.TestReader(f, data); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	p := w.pool(t, identity.Worker, PoolOptions{Conns: 3, InFlight: 100_000})
	var keys []key
	var want [][]byte
	for i := range 200 {
		want = append(want, random(rand.IntN(60_000)))
		keys = append(keys, w.put(uint32(i), want[i]))
	}
	var wg sync.WaitGroup
	for i, k := range keys {
		wg.Go(func() {
			got, err := p.Result(t.Context(), w.at, k.task, k.attempt, uint64(len(want[i])))
			if err != nil || !bytes.Equal(got, want[i]) {
				t.Errorf("result %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
	if n := w.server.Conns(); n > 3 {
		t.Errorf("%d connections to one peer, want at most 3", n)
	}
}

func TestErrorsSayWhom(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	k := w.put(1, []byte("hello"))
	w.put(666, []byte("x"))
	p := w.pool(t, identity.Worker, PoolOptions{MaxSize: 1 << 20})
	stranger := w.at
	stranger.Name = "c3"
	scheduler := w.at
	scheduler.Role = identity.Scheduler
	nobody := w.at
	nobody.Address = "127.0.0.1:1"
	for _, c := range []struct {
		name    string
		from    Peer
		task    graph.TaskID
		size    uint64
		missing bool
		text    string
	}{
		{"absent", w.at, graph.TaskID{Job: 7, Index: 9}, 1, true, "does not have it"},
		{"unreadable", w.at, graph.TaskID{Job: 7, Index: 666}, 1, true, "on fire"},
		{"other size", w.at, k.task, 6, false, "5 bytes there, not 6"},
		{"other name", stranger, k.task, 5, false, "refused"},
		{"other role", scheduler, k.task, 5, false, "refused"},
		{"nobody", nobody, k.task, 5, false, "refused"},
	} {
		_, err := p.Result(t.Context(), c.from, c.task, 2, c.size)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Missing() != c.missing || e.Abandoned() || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
		if ok && e.Peer != c.from {
			t.Errorf("%s: blames %v", c.name, e.Peer)
		}
	}
	if _, err := p.Result(t.Context(), w.at, graph.TaskID{Job: 7, Index: 9}, 2, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("an absent result is no ErrNotFound: %v", err)
	}
	if _, err := p.Result(t.Context(), w.at, k.task, 2, 1<<40); err == nil {
		t.Error("a result above the limit was taken")
	} else if _, ok := errors.AsType[*SizeError](err); !ok {
		t.Errorf("above the limit: %v", err)
	}
	// After all that the connections still work.
	if got, err := p.Result(t.Context(), w.at, k.task, 2, 5); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

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

func TestBundleThatEndsEarly(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	d := w.bundle(random(1 << 20))
	w.wrap = func(r io.Reader) io.Reader { return io.LimitReader(r, 300_000) }
	p := w.pool(t, identity.Worker, PoolOptions{})
	f, err := p.OpenBundle(t.Context(), w.at, d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	if e, ok := errors.AsType[*Error](err); !ok || e.Missing() || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if p.Idle() != 0 {
		t.Error("a broken connection is kept")
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

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatal("the condition did not come true in 10 s")
		}
		<-tick.C
	}
}

// taker is a source that takes input.
type taker struct{ *source }

func (taker) GiveInput(ctx context.Context, _ graph.TaskID, _ graph.Attempt, offset uint64, data []byte, last bool) (uint64, bool, error) {
	if len(data) == 0 {
		<-ctx.Done() // the server's end
		return 0, false, ErrNotFound
	}
	return offset + uint64(len(data)), last, nil
}

func (taker) SignalCommand(_ graph.TaskID, _ graph.Attempt, sig syscall.Signal) error {
	if sig != syscall.SIGINT {
		return ErrNotFound
	}
	return nil
}

// Clients give input and signals, others do not; what waits for room ends with the
// server.
func TestInput(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	w.server.mu.Lock()
	w.server.source = taker{w.source}
	w.server.mu.Unlock()
	task := graph.TaskID{Job: 7, Index: 1}
	p := w.pool(t, identity.Client, PoolOptions{})
	have, over, err := p.Input(t.Context(), w.at, task, 1, 10, make([]byte, MaxInput), true)
	if err != nil || have != 10+MaxInput || !over {
		t.Errorf("have %d, over %v, %v", have, over, err)
	}
	if err := p.Signal(t.Context(), w.at, task, 1, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if te, ok := errors.AsType[*Error](p.Signal(t.Context(), w.at, task, 1, syscall.SIGHUP)); !ok || !te.Missing() {
		t.Errorf("a signal for nobody: %v", te)
	}
	worker := w.pool(t, identity.Worker, PoolOptions{})
	if _, _, err := worker.Input(t.Context(), w.at, task, 1, 0, []byte("x"), false); err == nil || !strings.Contains(err.Error(), "only a client") {
		t.Errorf("a worker gives input: %v", err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, _, err := p.Input(t.Context(), w.at, task, 1, 0, nil, false)
		waiting <- err
	}()
	w.server.Close()
	if <-waiting == nil {
		t.Error("an answer of a closed server")
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(appendRequest(nil, resultOf(graph.TaskID{Job: 1, Index: 2}, 3, 4, 1<<32-1)))
	f.Add(appendRequest(nil, bundleOf(graph.Digest{1, 2, 3})))
	f.Add(appendRequest(nil, object{op: opRange, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, offset: 1 << 40, count: 5}))
	f.Add([]byte{})
	f.Add([]byte{3, 1})
	f.Add(appendRequest(nil, object{op: opOutput, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, stream: 2, offset: 1 << 40}))
	f.Add(appendRequest(nil, object{op: opInput, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, stream: 1, offset: 7, data: []byte("input")}))
	f.Add(appendRequest(nil, object{op: opSignal, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, stream: 2}))
	f.Add(binary.BigEndian.AppendUint32(append([]byte{opInput}, make([]byte, 21)...), MaxInput+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readRequest(bytes.NewReader(data))
		if err != nil {
			return
		}
		if again := appendRequest(nil, o); !bytes.HasPrefix(data, again) {
			t.Errorf("%x reads as %v, which is %x", data, o, again)
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	f.Add(appendHeader(nil, statusFound, 1<<40))
	f.Add(appendHeader(nil, statusMissing, maxReason+1))
	f.Add(appendHeader(nil, statusCount, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, n, err := readHeader(bytes.NewReader(data))
		if err != nil {
			return
		}
		if st >= statusCount || st != statusFound && n > maxReason {
			t.Errorf("status %d, length %d", st, n)
		}
		if !bytes.HasPrefix(data, appendHeader(nil, st, n)) {
			t.Error("not what was read")
		}
	})
}

func FuzzReadMark(f *testing.F) {
	f.Add(appendMark(nil, statusFound, 1<<31))
	f.Add(appendMark(nil, statusFailed, maxReason+1))
	f.Add(appendMark(nil, statusCount, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, n, err := readMark(bytes.NewReader(data))
		if err != nil {
			return
		}
		if st >= statusCount || st != statusFound && n > maxReason {
			t.Errorf("status %d, %d", st, n)
		}
		if !bytes.HasPrefix(data, appendMark(nil, st, n)) {
			t.Error("not what was read")
		}
	})
}

func BenchmarkResult(b *testing.B) {
	ca, _ := identity.NewCA(identity.NewSeed(), "local_1_0001")
	id := func(name string) *identity.Identity {
		i, err := ca.NewIdentity(identity.Subject{App: ca.App(), Role: identity.Worker, Name: name}, 0)
		if err != nil {
			b.Fatal(err)
		}
		return i
	}
	src := &source{results: map[key][]byte{}}
	s := NewServer(src, ServerOptions{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go s.Accept(ln, id("a").Server(identity.Worker))
	defer s.Close()
	p := NewPool(id("b"), PoolOptions{})
	defer p.Close()
	for _, n := range []int{1 << 10, 1 << 20, 64 << 20} {
		k := key{graph.TaskID{Job: 1, Index: uint32(n)}, 1}
		src.results[k] = make([]byte, n)
		b.Run(strconv.Itoa(n>>10)+"KiB", func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := p.Result(b.Context(), Peer{identity.Worker, "a", ln.Addr().String()}, k.task, 1, uint64(n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
