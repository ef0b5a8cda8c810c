package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/transfer"
)

// shelved is a bundle store on a host of its own, with a shelf that all of them share.
func shelved(t *testing.T, p *memstore.Process) *bundleStore {
	t.Helper()
	s, err := openBundles(t.TempDir(), 1<<20, 1<<20)
	if err == nil {
		s.shelf, err = openShelf(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func content(t *testing.T, s *bundleStore, d graph.Digest) []byte {
	t.Helper()
	f, size, err := s.open(d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil || int64(len(data)) != size {
		t.Fatalf("%d bytes of %d, %v", len(data), size, err)
	}
	return data
}

// A bundle that was acknowledged is there for a scheduler on another host, and comes once,
// however many ask for it at a time.
func TestShelf(t *testing.T) {
	disk := memstore.New(1, false)
	data := bytes.Repeat([]byte("bundle"), 20_000)
	d := graph.Digest(sha256.Sum256(data))
	first := shelved(t, disk.Process(nil))
	if _, complete, err := first.put(d, int64(len(data)), 0, data); err != nil || !complete {
		t.Fatal(complete, err)
	}

	opens := 0
	var mu sync.Mutex
	second := shelved(t, disk.Process(func(_ context.Context, c memstore.Call) memstore.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if c.Op == "open" {
			opens++
		}
		return memstore.Verdict{}
	}))
	if !second.has(d) || second.here(d) {
		t.Fatal("it is not on the shelf, or here without being asked for")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := content(t, second, d); !bytes.Equal(got, data) {
				t.Errorf("%d bytes that are others", len(got))
			}
		})
	}
	wg.Wait()
	if opens != 1 || second.bytes != int64(len(data)) {
		t.Errorf("fetched %d times, %d bytes are counted", opens, second.bytes)
	}
}

// One that a scheduler had begun to put there when it died is not there, and is put anew.
func TestShelfHalfFull(t *testing.T) {
	disk := memstore.New(1, false)
	data := bytes.Repeat([]byte("bundle"), 20_000)
	d := graph.Digest(sha256.Sum256(data))
	writes := 0
	var dying *memstore.Process
	dying = disk.Process(func(_ context.Context, c memstore.Call) memstore.Verdict {
		if c.Op == "write" {
			if writes++; writes == 2 {
				dying.Kill()
			}
		}
		return memstore.Verdict{}
	})
	if _, complete, err := shelved(t, dying).put(d, int64(len(data)), 0, data); complete || err == nil {
		t.Fatal("it is acknowledged, and not on the shelf")
	}
	next := shelved(t, disk.Process(nil))
	if next.has(d) {
		t.Fatal("half of it counts")
	}
	if _, _, err := next.open(d); !errors.Is(err, transfer.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	if _, complete, err := next.put(d, int64(len(data)), 0, data); err != nil || !complete {
		t.Fatal(complete, err)
	}
	if got := content(t, shelved(t, disk.Process(nil)), d); !bytes.Equal(got, data) {
		t.Error("it is another")
	}
}

// One that is damaged there is an error, and nothing of it stays.
func TestShelfDamaged(t *testing.T) {
	disk := memstore.New(1, false)
	d := graph.Digest(sha256.Sum256([]byte("bundle")))
	disk.Put(d.String(), []byte("bungle"))
	disk.Put(d.String()+wholeSuffix, nil)
	s := shelved(t, disk.Process(nil))
	if _, _, err := s.open(d); err == nil {
		t.Error("it was opened")
	}
	if left, err := os.ReadDir(filepath.Join(s.dir)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
