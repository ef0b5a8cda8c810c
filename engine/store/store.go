package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/yarnd/yarnd/engine/graph"
)

// DefaultMemory is the budget of Options.Memory when it is 0.
const DefaultMemory = 64 << 20

var (
	// ErrNotFound says that the store does not hold the result.
	ErrNotFound = errors.New("result not held")
	// ErrHeld says that the key is taken.
	ErrHeld = errors.New("result held already")
	// ErrClosed says that the store is closed.
	ErrClosed = errors.New("result store closed")
)

// FullError says that a result does not fit.
type FullError struct {
	Size uint64 // bytes of the result
	Used uint64 // bytes of memory that others take
	Max  uint64 // bytes of memory that there are
}

// Error says what does not fit, and what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("a result of %d bytes does not fit: results take %d of the worker's %d bytes; use workers with more memory, or release results earlier", e.Size, e.Used, e.Max)
}

// Key names a result.
type Key struct {
	Task    graph.TaskID
	Attempt graph.Attempt
}

// String returns "job/index#attempt".
func (k Key) String() string { return fmt.Sprintf("%s#%d", k.Task, k.Attempt) }

// Options say where results may lie. The zero value has the defaults.
type Options struct {
	Memory uint64 // bytes of results in memory; 0 is DefaultMemory
	// Dir is where results go that memory has no room for; it is made when first
	// needed. "" means nowhere: they are refused.
	Dir string
}

// Stats are a store's counts.
type Stats struct {
	Results int    // held
	Memory  uint64 // bytes in memory, those of dying results included
	Disk    uint64 // bytes in files, likewise
}

// Store holds results. It is safe for concurrent use.
type Store struct {
	opts Options

	mu     sync.Mutex
	held   map[Key]*entry
	stats  Stats
	files  uint64 // made so far: the next one's name
	closed bool
}

// entry is a result. Its bytes are in data or, when path is set, in that file.
type entry struct {
	data []byte
	path string
	size int64

	// under Store.mu
	open int  // blobs
	dead bool // deleted
}

// New returns an empty store.
func New(o Options) *Store {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	return &Store{opts: o, held: map[Key]*entry{}}
}

// Put keeps data, which the store takes over, under k. The error is ErrHeld,
// ErrClosed, a *FullError, or the file system's.
func (s *Store) Put(k Key, data []byte) error {
	e := &entry{size: int64(len(data))}
	if err := s.reserve(k, e); err != nil {
		return err
	}
	if e.path == "" {
		e.data = data
	} else if err := s.spill(e.path, data); err != nil {
		os.Remove(e.path)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.account(e, -1)
		return fmt.Errorf("keep the result of task %s on disk: %w", k, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.free(k)
	if err != nil {
		s.account(e, -1)
		if e.path != "" {
			os.Remove(e.path)
		}
		return err
	}
	s.held[k] = e
	s.stats.Results++
	return nil
}

// reserve decides where the result will lie and counts its bytes.
func (s *Store) reserve(k Key, e *entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.free(k); err != nil {
		return err
	}
	if size := uint64(e.size); size > s.opts.Memory || s.stats.Memory > s.opts.Memory-size {
		if s.opts.Dir == "" {
			return &FullError{Size: size, Used: s.stats.Memory, Max: s.opts.Memory}
		}
		s.files++
		e.path = filepath.Join(s.opts.Dir, fmt.Sprintf("%d.result", s.files))
	}
	s.account(e, 1)
	return nil
}

// free reports why k cannot be put. Called with the lock.
func (s *Store) free(k Key) error {
	if s.closed {
		return ErrClosed
	}
	if s.held[k] != nil {
		return ErrHeld
	}
	return nil
}

func (s *Store) spill(path string, data []byte) error {
	if err := os.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// account adds (sign 1) or takes (-1) e's bytes. Called with the lock.
func (s *Store) account(e *entry, sign int64) {
	if e.path == "" {
		s.stats.Memory += uint64(sign * e.size)
	} else {
		s.stats.Disk += uint64(sign * e.size)
	}
}

// Open returns the result, to be closed after use. The error is ErrNotFound, or
// the file system's when the file is gone.
func (s *Store) Open(k Key) (*Blob, error) {
	s.mu.Lock()
	e := s.held[k]
	if e == nil {
		s.mu.Unlock()
		return nil, ErrNotFound
	}
	e.open++
	s.mu.Unlock()
	b := &Blob{store: s, entry: e}
	if e.path != "" {
		var err error
		if b.file, err = os.Open(e.path); err != nil {
			b.Close()
			return nil, fmt.Errorf("open the result of task %s: %w", k, err)
		}
	}
	return b, nil
}

// Delete forgets the result and reports whether it was held. Blobs stay valid.
func (s *Store) Delete(k Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.held[k]
	if e == nil {
		return false
	}
	delete(s.held, k)
	s.stats.Results--
	s.bury(e)
	return true
}

// bury marks e as deleted, and lets its bytes go if nobody has it open.
func (s *Store) bury(e *entry) {
	e.dead = true
	if e.path != "" {
		os.Remove(e.path) // who has it open reads on
	}
	if e.open == 0 {
		s.account(e, -1)
		e.data = nil
	}
}

// Stats returns the present counts.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Close deletes everything. Open blobs stay valid until they are closed. It may be
// called many times.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for k, e := range s.held {
		delete(s.held, k)
		s.stats.Results--
		s.bury(e)
	}
	return nil
}

// Blob is an open result. ReadAt may be called from many goroutines, not during or
// after Close.
type Blob struct {
	store *Store
	entry *entry
	file  *os.File // nil: in memory
	once  sync.Once
}

// Size returns the result's length in bytes.
func (b *Blob) Size() int64 { return b.entry.size }

// ReadAt implements io.ReaderAt.
func (b *Blob) ReadAt(p []byte, off int64) (int, error) {
	if b.file != nil {
		return b.file.ReadAt(p, off)
	}
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= b.entry.size {
		return 0, io.EOF
	}
	n := copy(p, b.entry.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close lets the result go. It may be called many times.
func (b *Blob) Close() error {
	b.once.Do(func() {
		if b.file != nil {
			b.file.Close()
		}
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		b.entry.open--
		if b.entry.dead && b.entry.open == 0 {
			b.store.account(b.entry, -1)
			b.entry.data = nil
		}
	})
	return nil
}
