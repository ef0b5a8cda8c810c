package transfer

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

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
