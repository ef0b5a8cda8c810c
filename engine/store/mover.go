package store

import (
	"sync"

	"github.com/yarnd/yarnd/engine/checksum"
)

// wantBack is how often a result is opened on disk before it comes back into memory:
// the first read of a result that was driven out is often its last, and the system's
// cache of files serves a few more.
const wantBack = 2

// wish notes that e was opened on disk. Called with the lock.
func (s *Store) wish(e *entry) {
	e.reads++
	if e.reads >= wantBack && !e.moving && s.plan.fitsBack(e.size) {
		e.reads = 0
		s.back = append(s.back, e)
		s.kick()
	}
}

// kick starts the mover if there is something to move. Called with the lock.
func (s *Store) kick() {
	if s.moving || s.manual || s.closed || s.plan.limit == 0 || s.plan.memory <= s.plan.high && len(s.back) == 0 {
		return
	}
	s.moving = true
	s.wg.Go(func() {
		for s.move() {
		}
	})
}

// move moves one result, and reports whether there may be more. It has no lock while
// it reads or writes, and what it moves can be opened and deleted all the time. Results
// leave memory until low is reached, once high was.
func (s *Store) move() bool {
	s.mu.Lock()
	if s.plan.memory > s.plan.low && !s.closed {
		if e := s.plan.victim(); e != nil {
			return s.spill(e)
		}
	}
	for len(s.back) > 0 && !s.closed {
		e := s.back[0]
		s.back = s.back[1:]
		if !e.dead && e.memory == nil && s.plan.fitsBack(e.size) {
			return s.load(e)
		}
	}
	s.moving = false
	s.mu.Unlock()
	return false
}

// spill writes e to disk, unless it lies there, and frees its memory. Called with the
// lock, which it gives back.
func (s *Store) spill(e *entry) bool {
	if e.file != nil {
		s.forgetMemory(e)
		return true
	}
	m := e.memory
	m.refs++
	e.moving = true
	f := s.newFile(e.size)
	s.mu.Unlock()

	err := s.writeFile(f, m.blocks)

	s.mu.Lock()
	e.moving = false
	spans := s.unrefMemory(m)
	if err != nil || e.dead {
		unlink := s.unrefFile(f)
		more := e.dead && err == nil
		s.moving = more
		s.mu.Unlock()
		s.release(freed{spans: spans, unlink: []string{unlink}})
		if err != nil && s.opts.Failed != nil {
			s.opts.Failed(&DiskError{Key: e.key, Verb: "keep", Err: err})
		}
		return more
	}
	s.stats.Spilled += uint64(e.size)
	e.file = f
	s.forgetMemory(e)
	return true
}

// forgetMemory drops the memory of a result that lies on disk too. Called with the
// lock, which it gives back.
func (s *Store) forgetMemory(e *entry) {
	s.plan.unlink(e)
	spans := s.unrefMemory(e.memory)
	e.memory, e.reads = nil, 0
	s.mu.Unlock()
	s.release(freed{spans: spans})
}

// newFile reserves room on disk. Called with the lock.
func (s *Store) newFile(size int64) *spilled {
	s.plan.disk += uint64(size)
	return newSpilled(s.fileName(), size)
}

func (s *Store) writeFile(f *spilled, blocks []span) (err error) {
	to, err := s.disk.create(f.name)
	if err != nil {
		return err
	}
	for i, b := range blocks {
		if _, err = to.WriteAt(b.bytes, int64(i)*checksum.Block); err != nil {
			break
		}
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	return err
}

// load brings e back into memory; its file stays, so that leaving again costs nothing.
// Called with the lock, which it gives back. Errors are left to those who read.
func (s *Store) load(e *entry) bool {
	f := e.file
	f.refs++
	m := &spans{taken: footprint(e.size), refs: 1}
	s.plan.memory += m.taken
	e.moving = true
	s.mu.Unlock()

	err := s.readFile(e, f, m)

	s.mu.Lock()
	e.moving = false
	var gone freed
	gone.file(s.unrefFile(f))
	if err != nil || e.dead {
		gone.add(s.unrefMemory(m))
		s.mu.Unlock()
		s.release(gone)
		return true
	}
	s.stats.Back += uint64(e.size)
	e.memory = m
	s.plan.touch(e)
	s.mu.Unlock()
	return true
}

func (s *Store) readFile(e *entry, f *spilled, m *spans) error {
	from, err := s.disk.open(f.name)
	if err != nil {
		return err
	}
	defer from.Close()
	for i := range e.sums {
		sp, err := s.memory.get(e.blockLen(i))
		if err != nil {
			return err
		}
		m.blocks = append(m.blocks, sp)
		if err := e.readBlock(from, f, i, sp.bytes); err != nil {
			return err
		}
	}
	return nil
}

// buffers are blocks of memory for what goes to disk or comes from it.
var buffers = sync.Pool{New: func() any { return new([checksum.Block]byte) }}
