package store

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/yarnd/yarnd/engine/graph"
)

func key(i uint32) Key { return Key{graph.TaskID{Job: 1, Index: i}, 1} }

func read(t *testing.T, b *Blob) []byte {
	t.Helper()
	data, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMemoryThenDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	s := New(Options{Memory: 100, Dir: dir})
	small, large := bytes.Repeat([]byte("s"), 60), bytes.Repeat([]byte("l"), 50)
	for i, data := range [][]byte{small, large} {
		if err := s.Put(key(uint32(i)), bytes.Clone(data)); err != nil {
			t.Fatal(err)
		}
		b, err := s.Open(key(uint32(i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(io.NewSectionReader(b, 0, b.Size()), data); err != nil {
			t.Error(err)
		}
		if n, err := b.ReadAt(make([]byte, 1), b.Size()); n != 0 || err != io.EOF {
			t.Errorf("past the end: %d, %v", n, err)
		}
		b.Close()
	}
	if got, want := s.Stats(), (Stats{2, 60, 50}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
	s.Close()
	s.Close()
	if got := s.Stats(); got != (Stats{}) {
		t.Errorf("after Close: %+v", got)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("files left: %v", files)
	}
	if err := s.Put(key(9), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("put after Close: %v", err)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	s := New(Options{Memory: 100})
	if err := s.Put(key(0), make([]byte, 60)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{41, 101} {
		err := s.Put(key(1), make([]byte, n))
		if full, ok := errors.AsType[*FullError](err); !ok || full.Used != 60 || full.Max != 100 {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := s.Put(key(0), nil); !errors.Is(err, ErrHeld) {
		t.Errorf("the same key: %v", err)
	}
	if err := s.Put(key(1), make([]byte, 40)); err != nil {
		t.Error(err)
	}
	if _, err := s.Open(key(2)); !errors.Is(err, ErrNotFound) {
		t.Errorf("open: %v", err)
	}
}

func TestDiskFailureLeavesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Memory: 1, Dir: file})
	if err := s.Put(key(0), make([]byte, 2)); err == nil {
		t.Fatal("kept below a file")
	}
	if got := s.Stats(); got != (Stats{}) {
		t.Errorf("%+v", got)
	}
}

func TestDeletedWhileOpen(t *testing.T) {
	for _, memory := range []uint64{100, 1} {
		s := New(Options{Memory: memory, Dir: t.TempDir()})
		if err := s.Put(key(0), []byte("first")); err != nil {
			t.Fatal(err)
		}
		b, err := s.Open(key(0))
		if err != nil {
			t.Fatal(err)
		}
		if !s.Delete(key(0)) || s.Delete(key(0)) {
			t.Error("Delete must tell what was held")
		}
		if err := s.Put(key(0), []byte("again!")); err != nil {
			t.Fatal(err)
		}
		if got := read(t, b); string(got) != "first" {
			t.Errorf("read %q", got)
		}
		if st := s.Stats(); st.Memory+st.Disk != 11 || st.Results != 1 {
			t.Errorf("%+v", st)
		}
		b.Close()
		b.Close()
		if st := s.Stats(); st.Memory+st.Disk != 6 {
			t.Errorf("%+v", st)
		}
	}
}

// TestCountsAgainstModel does random things from many goroutines and compares
// what is left with what must be.
func TestCountsAgainstModel(t *testing.T) {
	s := New(Options{Memory: 2000, Dir: t.TempDir()})
	var wg sync.WaitGroup
	var mu sync.Mutex
	want := map[Key]int{}
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			for range 300 {
				k := Key{graph.TaskID{Job: graph.JobID(g), Index: rnd.Uint32N(10)}, 1}
				if rnd.IntN(3) == 0 {
					s.Delete(k)
					mu.Lock()
					delete(want, k)
					mu.Unlock()
					continue
				}
				data := bytes.Repeat([]byte{byte(k.Task.Index)}, rnd.IntN(200))
				if err := s.Put(k, data); err == nil {
					mu.Lock()
					want[k] = len(data)
					mu.Unlock()
				} else if !errors.Is(err, ErrHeld) {
					t.Error(err)
				}
				if b, err := s.Open(k); err == nil {
					if got := read(t, b); len(bytes.Trim(got, string(rune(k.Task.Index)))) != 0 {
						t.Errorf("wrong bytes: %q", got)
					}
					b.Close()
				}
			}
		})
	}
	wg.Wait()
	total := uint64(0)
	for _, n := range want {
		total += uint64(n)
	}
	if st := s.Stats(); st.Results != len(want) || st.Memory+st.Disk != total || st.Memory > 2000 {
		t.Errorf("%+v, want %d results of %d bytes", st, len(want), total)
	}
	s.Close()
	if st := s.Stats(); st != (Stats{}) {
		t.Errorf("after Close: %+v", st)
	}
}
