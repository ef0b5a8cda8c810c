package store

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/checksum"
)

// Blob is an open result. Its methods may be called from many goroutines, but for Block;
// a ReadAt after Close fails with ErrClosed.
type Blob struct {
	store  *Store
	entry  *entry
	memory *spans                // or
	file   *spilled              // the file
	handle handle                // of it
	buf    *[checksum.Block]byte // of Block
	uses   atomic.Int64          // calls under way, and 1 while it is not closed
	closed atomic.Bool
}

// Size returns the result's length in bytes.
func (b *Blob) Size() int64 { return b.entry.size }

// Sums returns the checksums of the result's blocks, which must not be changed.
func (b *Blob) Sums() []uint32 { return b.entry.sums }

// enter keeps the bytes from going away during a call.
func (b *Blob) enter() bool {
	for {
		n := b.uses.Load()
		if n == 0 || b.closed.Load() {
			return false
		}
		if b.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave ends a call, or the blob's life; the last one lets the bytes go.
func (b *Blob) leave() {
	if b.uses.Add(-1) > 0 {
		return
	}
	s := b.store
	b.handle.close()
	if b.buf != nil {
		buffers.Put(b.buf)
	}
	s.mu.Lock()
	var f freed
	if b.memory != nil {
		f.add(s.unrefMemory(b.memory))
	} else {
		f.file(s.unrefFile(b.file))
	}
	s.mu.Unlock()
	s.release(f)
}

// ReadAt implements io.ReaderAt. Of a block that comes from disk for the first time,
// all is read and judged: the error is a *CorruptError if it is damaged, a *DiskError
// if it cannot be read.
func (b *Blob) ReadAt(p []byte, off int64) (n int, err error) {
	if !b.enter() {
		return 0, ErrClosed
	}
	defer b.leave()
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for n < len(p) && off < b.entry.size {
		i, start := int(off/checksum.Block), int(off%checksum.Block)
		part := p[n:min(len(p), n+b.entry.blockLen(i)-start)]
		if err := b.readPart(part, i, start); err != nil {
			return n, err
		}
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readPart reads a part of one block.
func (b *Blob) readPart(p []byte, i, start int) error {
	if b.memory != nil {
		copy(p, b.memory.blocks[i].bytes[start:])
		return nil
	}
	var read error
	if err := b.handle.use(func(f file) error { read = b.readFile(f, p, i, start); return nil }); err != nil {
		return &DiskError{Key: b.entry.key, Verb: "read", Err: err}
	}
	return read
}

// readFile reads a part of one block from the file.
func (b *Blob) readFile(f file, p []byte, i, start int) error {
	if !b.file.good[i].Load() && len(p) == b.entry.blockLen(i) {
		return b.entry.readBlock(f, b.file, i, p)
	}
	if !b.file.good[i].Load() {
		buf := buffers.Get().(*[checksum.Block]byte)
		defer buffers.Put(buf)
		block := buf[:b.entry.blockLen(i)]
		if err := b.entry.readBlock(f, b.file, i, block); err != nil {
			return err
		}
		copy(p, block[start:])
		return nil
	}
	if n, err := f.ReadAt(p, int64(i)*checksum.Block+int64(start)); n < len(p) {
		return &DiskError{Key: b.entry.key, Verb: "read", Err: err}
	}
	return nil
}

// Block returns block i, of checksum.Block bytes but for the last, to be read only and
// until the next Block or Close. It is for one goroutine. A block in memory is not
// copied. Errors are those of ReadAt.
func (b *Blob) Block(i int) ([]byte, error) {
	if b.memory != nil {
		return b.memory.blocks[i].bytes, nil
	}
	if b.buf == nil {
		b.buf = buffers.Get().(*[checksum.Block]byte)
	}
	block := b.buf[:b.entry.blockLen(i)]
	return block, b.readPart(block, i, 0)
}

// Close lets the result go. It may be called many times.
func (b *Blob) Close() error {
	if !b.closed.Swap(true) {
		b.leave()
	}
	return nil
}
