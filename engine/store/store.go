package store

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/engine/graph"
)

// DefaultMemory is the budget of Options.Memory when it is 0.
const DefaultMemory = 64 << 20

// Key names a result.
type Key struct {
	Task    graph.TaskID
	Attempt graph.Attempt
}

// String returns "job/index#attempt".
func (k Key) String() string { return fmt.Sprintf("%s#%d", k.Task, k.Attempt) }

// Options say where results may lie. The zero value has the defaults.
type Options struct {
	// Memory is how many bytes results may take of memory, in whole pages; 0 is
	// DefaultMemory.
	Memory uint64
	// Dir is where results go that memory has no room for; it is made when first
	// needed. "" means nowhere: they are refused.
	Dir string
	// Disk is how many bytes results may take in Dir; 0 is no limit.
	Disk uint64
	// Failed is told of cold results that could not be written to disk; they stay in
	// memory. nil: nobody is told.
	Failed func(error)
}

// Stats are a store's counts.
type Stats struct {
	Results int    // held
	Memory  uint64 // bytes of memory taken, also by dying results and by writers
	Disk    uint64 // bytes of files, likewise
	Spilled uint64 // bytes written to disk so far because memory had no room
	Back    uint64 // bytes brought back from disk so far
}

// Store holds results. It is safe for concurrent use.
type Store struct {
	opts   Options
	disk   disk
	memory memory
	names  atomic.Uint64 // files made so far
	files  atomic.Int64  // that handles keep open

	mu     sync.Mutex
	plan   plan
	held   map[Key]*entry
	stats  Stats    // Memory and Disk are plan's
	back   []*entry // wanted in memory again
	moving bool     // the mover runs
	closed bool
	manual bool // a test moves
	wg     sync.WaitGroup
}

// entry is a result that is held, or dying. At least one of memory and file is set.
type entry struct {
	key  Key
	size int64
	sums []uint32 // of its blocks

	// under Store.mu
	memory         *spans
	file           *spilled
	colder, warmer *entry // in plan's order
	reads          int    // times it was opened since it lies on disk alone
	moving         bool   // the mover writes or reads it
	dead           bool   // deleted
}

// spans are a result's bytes in memory, a span for each block.
type spans struct {
	blocks []span
	taken  uint64 // bytes of the budget
	refs   int    // the entry and its blobs; under Store.mu
}

// New returns an empty store.
func New(o Options) *Store {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	limit := o.Disk
	if o.Dir == "" {
		limit = 0
	} else if limit == 0 {
		limit = math.MaxInt64
	}
	s := &Store{opts: o, disk: folder(o.Dir), plan: newPlan(o.Memory, limit), held: map[Key]*entry{}}
	s.memory.limit = int(o.Memory)
	return s
}

// Put keeps a copy of data under k. Errors are those of Create and Commit.
func (s *Store) Put(k Key, data []byte) error {
	w, err := s.Create(k, int64(len(data)))
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
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

// Open returns the result, to be closed after use. The error is ErrNotFound. It waits for
// no one, and opens no file: that is for the first read.
func (s *Store) Open(k Key) (*Blob, error) {
	s.mu.Lock()
	e := s.held[k]
	if e == nil {
		s.mu.Unlock()
		return nil, ErrNotFound
	}
	b := &Blob{store: s, entry: e}
	b.uses.Store(1)
	if e.memory != nil {
		b.memory = e.memory
		b.memory.refs++
		s.plan.touch(e)
		s.mu.Unlock()
		return b, nil
	}
	b.file = e.file
	b.file.refs++
	b.handle = handle{s: s, name: b.file.name}
	s.wish(e)
	s.mu.Unlock()
	return b, nil
}

// Delete forgets the result and reports whether it was held. Blobs stay valid.
func (s *Store) Delete(k Key) bool {
	s.mu.Lock()
	e := s.held[k]
	if e == nil {
		s.mu.Unlock()
		return false
	}
	delete(s.held, k)
	s.stats.Results--
	freed := s.bury(e)
	s.mu.Unlock()
	s.release(freed)
	return true
}

// bury marks e as deleted and lets go of its bytes. Called with the lock; what it
// returns is released without.
func (s *Store) bury(e *entry) (freed freed) {
	e.dead = true
	if e.memory != nil {
		s.plan.unlink(e)
		freed.add(s.unrefMemory(e.memory))
		e.memory = nil
	}
	if e.file != nil {
		freed.file(s.unrefFile(e.file))
		e.file = nil
	}
	return freed
}

// freed is what is no longer needed and goes back to the system outside the lock.
type freed struct {
	spans  []span
	unlink []string
}

func (f *freed) add(spans []span) { f.spans = append(f.spans, spans...) }

func (f *freed) file(name string) {
	if name != "" {
		f.unlink = append(f.unlink, name)
	}
}

func (s *Store) release(f freed) {
	for _, sp := range f.spans {
		s.memory.put(sp)
	}
	for _, name := range f.unlink {
		s.disk.remove(name) //nolint:errcheck // it is gone, or goes with the directory
	}
}

// unrefMemory ends a use; the spans are the caller's to release after the last. Called
// with the lock.
func (s *Store) unrefMemory(m *spans) []span {
	if m.refs--; m.refs > 0 {
		return nil
	}
	s.plan.memory -= m.taken
	return m.blocks
}

// unrefFile ends a use. After the last it returns the file's name, for the caller to
// release: who has it open reads on until then. Called with the lock.
func (s *Store) unrefFile(f *spilled) string {
	if f.refs--; f.refs > 0 {
		return ""
	}
	s.plan.disk -= f.size
	return f.name
}

// Stats returns the present counts.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Memory, st.Disk = s.plan.memory, s.plan.disk
	return st
}

// Close deletes everything, and ends what goes on in the background. Open blobs stay
// valid until they are closed; writers fail from now on. It may be called many times.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.back = nil
	var all freed
	for k, e := range s.held {
		delete(s.held, k)
		s.stats.Results--
		f := s.bury(e)
		all.spans, all.unlink = append(all.spans, f.spans...), append(all.unlink, f.unlink...)
	}
	s.mu.Unlock()
	s.release(all)
	s.wg.Wait()
	s.memory.close()
	return nil
}

// blockLen returns the length of the entry's block i.
func (e *entry) blockLen(i int) int { return checksum.Len(e.size, i) }
