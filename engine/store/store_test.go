package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/engine/graph"
)

func TestMain(m *testing.M) {
	if run := os.Getenv("YARND_STORE_CHILD"); run != "" {
		children[run]()
		return
	}
	goleak.VerifyTestMain(m)
}

func key(i uint32) Key { return Key{graph.TaskID{Job: 1, Index: i}, 1} }

func read(t *testing.T, b *Blob) []byte {
	t.Helper()
	data, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// pattern is n bytes that differ from block to block and from result to result.
func pattern(n int, seed byte) []byte {
	all := noise()
	return bytes.Clone(all[int(seed)*13 : int(seed)*13+n])
}

var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 4*checksum.Block)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

func mustPut(t *testing.T, s *Store, i uint32, data []byte) {
	t.Helper()
	if err := s.Put(key(i), data); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t *testing.T, s *Store, i uint32) *Blob {
	t.Helper()
	b, err := s.Open(key(i))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

func TestWhatHasNoRoomInMemoryGoesToDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	s := New(Options{Memory: 64 << 10, Dir: dir})
	s.manual = true
	small, large := pattern(60<<10, 1), pattern(2*checksum.Block+5, 2)
	for i, data := range [][]byte{small, large} {
		mustPut(t, s, uint32(i), data)
		b := mustOpen(t, s, uint32(i))
		if len(data) > checksum.Block {
			if !bytes.Equal(read(t, b), data) {
				t.Error("other bytes")
			}
		} else if err := iotest.TestReader(io.NewSectionReader(b, 0, b.Size()), data); err != nil {
			t.Error(err)
		}
		if n, err := b.ReadAt(make([]byte, 1), b.Size()); n != 0 || err != io.EOF {
			t.Errorf("past the end: %d, %v", n, err)
		}
		b.Close()
	}
	want := Stats{Results: 2, Memory: 60 << 10, Disk: uint64(len(large)), Spilled: uint64(len(large))}
	if got := s.Stats(); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
	s.Close()
	s.Close()
	if got := s.Stats(); got.Results != 0 || got.Memory != 0 || got.Disk != 0 || s.memory.mapped != 0 {
		t.Errorf("after Close: %+v, %d bytes mapped", got, s.memory.mapped)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("files left: %v", files)
	}
	if err := s.Put(key(9), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("put after Close: %v", err)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		o    Options
		disk uint64
	}{{Options{Memory: 100 << 10}, 0}, {Options{Memory: 100 << 10, Dir: dir, Disk: 10}, 10}} {
		s := New(c.o)
		s.manual = true
		mustPut(t, s, 0, make([]byte, 60<<10))
		for _, n := range []int{41 << 10, 101 << 10} {
			err := s.Put(key(1), make([]byte, n))
			if full, ok := errors.AsType[*FullError](err); !ok || full.Used != 60<<10 || full.Memory != 100<<10 || full.Disk != c.disk {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		// One of unknown size is refused when it has become too large.
		w, err := s.Create(key(1), Unknown)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 200<<10)); !isFull(err) {
			t.Error(err)
		}
		if err := w.Commit(); !isFull(err) {
			t.Error(err)
		}
		if err := s.Put(key(0), nil); !errors.Is(err, ErrHeld) {
			t.Errorf("the same key: %v", err)
		}
		mustPut(t, s, 1, make([]byte, 40<<10))
		if _, err := s.Open(key(2)); !errors.Is(err, ErrNotFound) {
			t.Errorf("open: %v", err)
		}
		if st := s.Stats(); st.Memory != 100<<10 || st.Disk != 0 || st.Results != 2 {
			t.Errorf("%+v", st)
		}
		s.Close()
	}
}

func isFull(err error) bool {
	_, ok := errors.AsType[*FullError](err)
	return ok
}

func TestDiskFailureLeavesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Memory: 1, Dir: file})
	defer s.Close()
	err := s.Put(key(0), make([]byte, 2))
	if de, ok := errors.AsType[*DiskError](err); !ok || de.Key != key(0) {
		t.Fatalf("kept below a file: %v", err)
	}
	if got := s.Stats(); got.Results != 0 || got.Disk != 0 || got.Memory != 0 {
		t.Errorf("%+v", got)
	}
}

// A task may have more inputs on disk than a process may have files.
func TestManyOpenOnDiskAreFewFiles(t *testing.T) {
	d := &fakeDisk{files: map[string]*fakeFile{}}
	s := New(Options{Memory: 1, Dir: "files"})
	s.disk = fakeFolder{d}
	const n = 2*maxFiles + 10
	var blobs []*Blob
	for i := range uint32(n) {
		if err := s.Put(key(i), fmt.Appendf(nil, "result %d", i)); err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, mustOpen(t, s, i))
	}
	for i, b := range blobs {
		got := make([]byte, b.Size())
		for range 2 {
			if _, err := b.ReadAt(got, 0); err != nil || string(got) != fmt.Sprintf("result %d", i) {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
	if d.open != maxFiles {
		t.Errorf("%d files are open, want %d", d.open, maxFiles)
	}
	for i, b := range blobs {
		s.Delete(key(uint32(i)))
		b.Close()
	}
	if d.open != 0 || len(d.files) != 0 || s.files.Load() != 0 {
		t.Errorf("left: %d open, %d files", d.open, len(d.files))
	}
	s.Close()
}

func TestDeletedWhileOpen(t *testing.T) {
	for _, memory := range []uint64{100 << 10, 1} {
		s := New(Options{Memory: memory, Dir: t.TempDir()})
		s.manual = true
		mustPut(t, s, 0, []byte("first"))
		b := mustOpen(t, s, 0)
		if !s.Delete(key(0)) || s.Delete(key(0)) {
			t.Error("Delete must tell what was held")
		}
		mustPut(t, s, 0, []byte("again!"))
		if got := read(t, b); string(got) != "first" {
			t.Errorf("read %q", got)
		}
		before := s.Stats()
		b.Close()
		b.Close()
		if _, err := b.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}
		after := s.Stats()
		if before.Memory+before.Disk <= after.Memory+after.Disk || after.Results != 1 {
			t.Errorf("%+v, then %+v", before, after)
		}
		s.Close()
	}
}

// Results leave memory in the order of their last use, those that are open stay, and
// what is read often comes back.
func TestColdLeaveAndHotComeBack(t *testing.T) {
	s := New(Options{Memory: 8 << 20, Dir: t.TempDir()})
	defer s.Close()
	s.manual = true
	data := func(i uint32) []byte { return pattern(1<<20-100, byte(i)) }
	for i := range uint32(8) {
		mustPut(t, s, i, data(i))
	}
	opened := mustOpen(t, s, 1)
	mustOpen(t, s, 0).Close()
	for s.move() {
	}
	inMemory := func(i uint32) bool { return s.held[key(i)].memory != nil }
	for i, want := range []bool{true, true, false, false, true, true, true, true} {
		if inMemory(uint32(i)) != want {
			t.Errorf("result %d in memory: %v", i, !want)
		}
	}
	opened.Close()
	s.Delete(key(7))
	s.Delete(key(6))
	for range wantBack {
		b := mustOpen(t, s, 3)
		if !bytes.Equal(read(t, b), data(3)) {
			t.Error("result 3 reads otherwise from disk")
		}
		b.Close()
	}
	for s.move() {
	}
	if !inMemory(3) || inMemory(2) || s.Stats().Back != 1<<20-100 {
		t.Errorf("3 is read often, 2 is not: %v %v %+v", inMemory(3), inMemory(2), s.Stats())
	}
	for i := range uint32(6) {
		b := mustOpen(t, s, i)
		if !bytes.Equal(read(t, b), data(i)) {
			t.Errorf("result %d is another", i)
		}
		b.Close()
	}
}

// The mover works by itself, and what is stored meanwhile is never more than the
// budget.
func TestPressureIsRelievedInTheBackground(t *testing.T) {
	s := New(Options{Memory: 4 << 20, Dir: t.TempDir(), Failed: func(err error) { t.Error(err) }})
	defer s.Close()
	for i := range uint32(64) {
		mustPut(t, s, i, pattern(300<<10, byte(i)))
		if m := s.Stats().Memory; m > 4<<20 {
			t.Fatalf("%d bytes in memory", m)
		}
	}
	eventually(t, "memory is below the high mark", func() bool { return s.Stats().Memory <= 4<<20/8*7 })
	for i := range uint32(64) {
		b := mustOpen(t, s, i)
		if !bytes.Equal(read(t, b), pattern(300<<10, byte(i))) {
			t.Errorf("result %d is another", i)
		}
		b.Close()
	}
}

func BenchmarkPutOpenDelete(b *testing.B) {
	for _, n := range []int{8 << 10, 64 << 10, 1 << 20, 16 << 20} {
		data := make([]byte, n)
		b.Run(size(n), func(b *testing.B) {
			s := New(Options{Memory: 64 << 20})
			defer s.Close()
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Put(key(1), data); err != nil {
					b.Fatal(err)
				}
				o, _ := s.Open(key(1))
				o.Close()
				s.Delete(key(1))
			}
		})
	}
}
