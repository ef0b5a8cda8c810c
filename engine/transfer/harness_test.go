package transfer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

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
