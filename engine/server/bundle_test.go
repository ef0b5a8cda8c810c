package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
)

func putBundle(d graph.Digest, size, offset int, data []byte) *wire.Request {
	return &wire.Request{Body: &wire.Request_PutBundle{PutBundle: &wire.PutBundle{Digest: d[:], Size: uint64(size), Offset: uint64(offset), Data: data}}}
}

// upload sends a bundle as a client does: ask, then pieces from where the scheduler
// is.
func (c *client) upload(data []byte, piece int) graph.Digest {
	c.t.Helper()
	d := graph.Digest(sha256.Sum256(data))
	state := c.call(putBundle(d, len(data), 0, nil)).GetBundle()
	for !state.Complete {
		at := int(state.Have)
		state = c.call(putBundle(d, len(data), at, data[at:min(len(data), at+piece)])).GetBundle()
	}
	return d
}

func TestBundle(t *testing.T) {
	dir := t.TempDir()
	c := start(t, Options{Dir: dir, Bundle: graph.Digest{1}})
	cl := c.client("alice", "")
	data := bytes.Repeat([]byte("bundle"), 1<<18)
	d := cl.upload(data, 100_000)
	if state := cl.call(putBundle(d, len(data), 0, nil)).GetBundle(); !state.Complete || state.Have != uint64(len(data)) {
		t.Errorf("asked again: %v", state)
	}
	if state := cl.call(putBundle(graph.Digest{1}, 5, 0, nil)).GetBundle(); !state.Complete {
		t.Error("the workers' own binary is asked for")
	}

	pool, from := c.pool()
	f, err := pool.OpenBundle(t.Context(), from, d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	f.Close()
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("fetched %d bytes: %v", len(got), err)
	}
	if _, err := pool.OpenBundle(t.Context(), from, graph.Digest{9}); !errors.Is(err, transfer.ErrNotFound) {
		t.Errorf("an unknown bundle: %v", err)
	}
	job := cl.call(openJob("")).GetJob().Job
	cl.call(classes(job, &graph.Class{Name: "f", Kind: graph.KindGo, Bundle: d}))

	info, err := os.Stat(filepath.Join(dir, "bundles", d.String()))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file %v: %v", info, err)
	}
	// The next process has it, unless somebody has changed it, and no halves.
	if err := c.srv.Close(); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "bundles", graph.Digest{5}.String()+partSuffix)
	if err := os.WriteFile(half, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openBundles(dir, 1<<20, 1<<30)
	if err != nil || !again.has(d) || again.bytes != int64(len(data)) {
		t.Errorf("next process: %v, %d bytes", err, again.bytes)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Error("half a bundle is left")
	}
	if err := os.WriteFile(filepath.Join(dir, "bundles", d.String()), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err = openBundles(dir, 1<<20, 1<<30); err != nil || again.has(d) {
		t.Errorf("a changed bundle is trusted: %v", err)
	}
}

func TestBundleRefused(t *testing.T) {
	dir := t.TempDir()
	c := start(t, Options{Dir: dir, MaxBundle: 1000, MaxBundles: 1500})
	cl := c.client("alice", "")
	a, b := bytes.Repeat([]byte("a"), 900), bytes.Repeat([]byte("b"), 900)
	cl.refused(putBundle(graph.Digest{}, 10, 0, []byte("x")), wire.Invalid)
	cl.refused(putBundle(graph.Digest{2}, 1001, 0, []byte("x")), wire.TooLarge)
	cl.refused(putBundle(graph.Digest{2}, 1<<62, 0, []byte("x")), wire.TooLarge)
	cl.refused(putBundle(graph.Digest{2}, 10, 11, []byte("x")), wire.TooLarge)
	cl.refused(putBundle(graph.Digest{2}, 2, 0, []byte("xyz")), wire.Invalid)
	// What is not what its digest says is thrown away, and may come again.
	cl.refused(putBundle(sha256.Sum256(a), 900, 0, b), wire.Invalid)
	cl.upload(a, 500)
	cl.refused(putBundle(sha256.Sum256(b), 900, 0, b), wire.Unavailable)
	files, err := os.ReadDir(filepath.Join(dir, "bundles"))
	if err != nil || len(files) != 1 {
		t.Errorf("files %v: %v", files, err)
	}

	none := start(t, Options{}).client("alice", "")
	none.refused(putBundle(graph.Digest{2}, 1, 0, []byte("x")), wire.Unavailable)
}

// Clients that went away in the middle do not keep others out for ever.
func TestIdleUploadsMakeRoom(t *testing.T) {
	dir := t.TempDir()
	s, err := openBundles(dir, 100, 1700)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for i := range maxUploads {
		if have, _, err := s.put(graph.Digest{byte(i + 1)}, 100, 0, []byte("half")); have != 4 || err != nil {
			t.Fatal(have, err)
		}
	}
	data := []byte("the next program")
	d := graph.Digest(sha256.Sum256(data))
	if _, _, err := s.put(d, int64(len(data)), 0, data); !errors.Is(err, wire.Unavailable) {
		t.Errorf("while the others may come back: %v", err)
	}
	s.idle = 0
	if _, complete, err := s.put(d, int64(len(data)), 0, data); !complete || err != nil {
		t.Errorf("after that: %v, %v", complete, err)
	}
	// One that does come back begins again.
	if have, _, err := s.put(graph.Digest{1}, 100, 4, []byte("rest")); have != 0 || err != nil {
		t.Errorf("back: has %d, %v", have, err)
	}
	if files, err := os.ReadDir(filepath.Join(dir, "bundles")); err != nil || len(files) != 2 || s.bytes != int64(len(data))+100 {
		t.Errorf("%d files, %d bytes: %v", len(files), s.bytes, err)
	}
}

// Two clients that send the same bundle at once help each other.
func TestBundleTwice(t *testing.T) {
	c := start(t, Options{Dir: t.TempDir()})
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<15)
	var wg sync.WaitGroup
	for _, user := range []string{"alice", "bob", "carol"} {
		cl := c.client(user, "")
		wg.Go(func() { cl.upload(data, 4096) })
	}
	wg.Wait()
	if !c.srv.bundles.has(sha256.Sum256(data)) || c.srv.bundles.bytes != int64(len(data)) {
		t.Error("it is not complete, or counted twice")
	}
}
