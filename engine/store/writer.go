package store

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/checksum"
)

// Unknown is a size that Create is not told.
const Unknown = -1

// Writer takes a result's bytes as they come; it becomes a result with Commit. The
// bytes come in order by Write, or in blocks in any order by Block and Filled, not both.
// Block and Filled may be called from many goroutines, the others from one.
//
// A result of unknown size begins in memory, and moves to disk with the first block
// that memory has no room for, or when it takes half of the budget, so that one that is
// larger than memory does not push everybody else out first.
type Writer struct {
	s      *Store
	entry  *entry
	known  bool
	have   int64  // bytes that came by Write
	block  []byte // the one that Write fills
	err    error  // nothing more is taken
	ended  bool
	open   file         // of entry.file
	blocks atomic.Int64 // filled
}

// Create begins a result of size bytes, or of Unknown. Whoever calls it calls Commit
// or Abort. The error is ErrHeld, ErrClosed, a *FullError or a *DiskError.
func (s *Store) Create(k Key, size int64) (*Writer, error) {
	known := size >= 0
	e := &entry{key: k, size: max(size, 0)}
	w := &Writer{s: s, entry: e, known: known}
	if known {
		e.sums = make([]uint32, checksum.Blocks(size))
	}
	s.mu.Lock()
	if err := s.free(k); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	where := s.plan.place(e.size)
	switch where {
	case nowhere:
		defer s.mu.Unlock()
		return nil, s.plan.full(size)
	case inMemory:
		e.memory = &spans{taken: footprint(e.size), refs: 1, blocks: make([]span, len(e.sums))}
		s.plan.memory += e.memory.taken
	case onDisk:
		e.file = s.newFile(e.size)
		s.stats.Spilled += uint64(e.size)
	}
	s.kick()
	s.mu.Unlock()
	if where == onDisk {
		if err := w.openFile(); err != nil {
			w.Abort()
			return nil, err
		}
	}
	return w, nil
}

func (w *Writer) openFile() (err error) {
	if w.open, err = w.s.disk.create(w.entry.file.name); err != nil {
		return w.diskError(err)
	}
	return nil
}

func (w *Writer) diskError(err error) error {
	return &DiskError{Key: w.entry.key, Verb: "keep", Err: err}
}

// Block returns room for block i, which the caller fills and gives to Filled, or to
// Drop. The size must be known. The error is the system's, which has no memory.
func (w *Writer) Block(i int) ([]byte, error) {
	n := w.entry.blockLen(i)
	if w.entry.memory == nil {
		return buffers.Get().(*[checksum.Block]byte)[:n], nil
	}
	if b := w.entry.memory.blocks[i]; b.region != nil {
		return b.bytes, nil // it was dropped
	}
	sp, err := w.s.memory.get(n)
	if err != nil {
		return nil, err
	}
	w.entry.memory.blocks[i] = sp
	return sp.bytes, nil
}

// Filled keeps block i, whose bytes b came from Block. sum is checksum.Of them. The
// error is a *DiskError.
func (w *Writer) Filled(i int, b []byte, sum uint32) error {
	w.entry.sums[i] = sum
	if w.entry.memory == nil {
		defer w.Drop(i, b)
		if _, err := w.open.WriteAt(b, int64(i)*checksum.Block); err != nil {
			return w.diskError(err)
		}
	}
	w.blocks.Add(1)
	return nil
}

// Drop gives back what Block gave for block i, unfilled; Block may be asked again.
func (w *Writer) Drop(_ int, b []byte) {
	if w.entry.memory == nil {
		buffers.Put((*[checksum.Block]byte)(b[:checksum.Block]))
	}
}

// Write takes the next bytes. After an error, which is a *FullError, a *DiskError or
// the system's, it takes no more.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.known && int64(len(p)) > w.entry.size-w.have {
		w.fail(fmt.Errorf("more than the %d bytes that were announced", w.entry.size))
	}
	for w.err == nil && n < len(p) {
		if w.block == nil {
			if w.fail(w.next()) {
				break
			}
		}
		start := int(w.have % checksum.Block)
		m := copy(w.block[start:], p[n:])
		n += m
		w.have += int64(m)
		if start+m == len(w.block) {
			w.fail(w.full(w.block))
		}
	}
	return n, w.err
}

func (w *Writer) fail(err error) bool {
	if w.err == nil {
		w.err = err
	}
	return w.err != nil
}

// next gets the block that Write fills next.
func (w *Writer) next() (err error) {
	if w.known {
		w.block, err = w.Block(int(w.have / checksum.Block))
		return err
	}
	if w.entry.memory != nil {
		if !w.s.grow(w.entry) {
			if err := w.toDisk(); err != nil {
				return err
			}
		} else {
			sp, err := w.s.memory.get(checksum.Block)
			if err != nil {
				return err
			}
			w.entry.memory.blocks = append(w.entry.memory.blocks, sp)
			w.block = sp.bytes
			return nil
		}
	}
	if err := w.s.growFile(w.entry); err != nil {
		return err
	}
	w.block = buffers.Get().(*[checksum.Block]byte)[:]
	return nil
}

// full ends the block that Write filled, as far as b goes.
func (w *Writer) full(b []byte) error {
	w.block = nil
	i := int((w.have - 1) / checksum.Block)
	if !w.known {
		w.entry.sums = append(w.entry.sums, 0)
	}
	return w.Filled(i, b, checksum.Of(b))
}

// grow takes a block more of memory for e, if there is room.
func (s *Store) grow(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.plan.growsInMemory(e.memory.taken, checksum.Block) {
		return false
	}
	s.plan.memory += checksum.Block
	e.memory.taken += checksum.Block
	s.kick()
	return true
}

// growFile takes a block more of disk for e.
func (s *Store) growFile(e *entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.plan.diskFits(checksum.Block) {
		return s.plan.full(int64(e.file.size) + checksum.Block)
	}
	s.plan.disk += checksum.Block
	e.file.size += checksum.Block
	return nil
}

// toDisk moves what came so far to disk.
func (w *Writer) toDisk() error {
	e, s := w.entry, w.s
	s.mu.Lock()
	if !s.plan.diskFits(uint64(w.have)) {
		defer s.mu.Unlock()
		return s.plan.full(w.have + checksum.Block)
	}
	m := e.memory
	e.file = s.newFile(w.have)
	s.mu.Unlock()
	if err := w.openFile(); err != nil {
		return err
	}
	for i, b := range m.blocks {
		if _, err := w.open.WriteAt(b.bytes, int64(i)*checksum.Block); err != nil {
			return w.diskError(err)
		}
	}
	s.mu.Lock()
	e.memory = nil
	spans := s.unrefMemory(m)
	s.mu.Unlock()
	s.release(freed{spans: spans})
	return nil
}

// Size returns the result's length in bytes; it is known after Commit, or from Create.
func (w *Writer) Size() int64 { return w.entry.size }

// Commit makes the result one that is held. The error is ErrHeld, ErrClosed, a
// *DiskError, or that of a Write before; then nothing is left of it.
func (w *Writer) Commit() error {
	if w.ended {
		return errors.New("result committed or aborted already")
	}
	e, s := w.entry, w.s
	if w.err == nil && !w.known {
		w.fail(w.settle())
	}
	if n := w.blocks.Load(); w.err == nil && n != int64(len(e.sums)) {
		w.fail(fmt.Errorf("only %d blocks of the %d bytes that were announced", n, e.size))
	}
	if w.open != nil {
		if err := w.open.Close(); err != nil {
			w.fail(w.diskError(err))
		}
		w.open = nil
	}
	if w.err != nil {
		w.Abort()
		return w.err
	}
	s.mu.Lock()
	if err := s.free(e.key); err != nil {
		s.mu.Unlock()
		w.Abort()
		return err
	}
	w.ended = true
	s.held[e.key] = e
	s.stats.Results++
	if e.memory != nil {
		s.plan.touch(e)
	}
	s.kick()
	s.mu.Unlock()
	return nil
}

// settle ends a result of unknown size: its last block is cut, and what was taken too
// much goes back.
func (w *Writer) settle() error {
	e, s := w.entry, w.s
	e.size = w.have
	if w.block == nil {
		return w.settleCount()
	}
	last := w.block[:e.size%checksum.Block]
	if e.memory == nil {
		if err := w.full(last); err != nil {
			return err
		}
		return w.settleCount()
	}
	sp, err := s.memory.get(len(last))
	if err != nil {
		return err
	}
	copy(sp.bytes, last)
	i := len(e.memory.blocks) - 1
	old := e.memory.blocks[i]
	e.memory.blocks[i] = sp
	s.memory.put(old)
	if err := w.full(sp.bytes); err != nil {
		return err
	}
	return w.settleCount()
}

// settleCount counts what a result of once unknown size takes.
func (w *Writer) settleCount() error {
	e, s := w.entry, w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.memory != nil {
		s.plan.memory -= e.memory.taken - footprint(e.size)
		e.memory.taken = footprint(e.size)
		return nil
	}
	s.plan.disk -= e.file.size - uint64(e.size)
	e.file = &spilled{name: e.file.name, size: uint64(e.size), refs: 1, good: newSpilled("", e.size).good}
	s.stats.Spilled += uint64(e.size)
	return nil
}

// Abort ends a Writer without a result. It may be called many times, and after Commit.
func (w *Writer) Abort() {
	if w.ended {
		return
	}
	w.ended = true
	if w.open != nil {
		w.open.Close()
		w.open = nil
	}
	if w.block != nil {
		w.Drop(0, w.block)
		w.block = nil
	}
	w.s.mu.Lock()
	f := w.s.bury(w.entry)
	w.s.mu.Unlock()
	w.s.release(f)
}
