package store

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/checksum"
)

// disk is where files lie; tests have one that fails.
type disk interface {
	create(name string) (file, error)
	open(name string) (file, error)
	remove(name string) error
}

// file is an open file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// folder is a directory, made when first needed.
type folder string

func (d folder) create(name string) (file, error) {
	path := filepath.Join(string(d), name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsNotExist(err) {
		if err := os.MkdirAll(string(d), 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d folder) open(name string) (file, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d folder) remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

// spilled is a result's bytes on disk. A block that was read once and had its sum is
// not judged again.
type spilled struct {
	name string
	size uint64
	refs int // the entry and its blobs; under Store.mu
	good []atomic.Bool
}

func (s *Store) fileName() string {
	return fmt.Sprintf("%d.result", s.names.Add(1))
}

func newSpilled(name string, size int64) *spilled {
	return &spilled{name: name, size: uint64(size), refs: 1, good: make([]atomic.Bool, checksum.Blocks(size))}
}

// readBlock reads the whole of block i into p and judges it.
func (e *entry) readBlock(from io.ReaderAt, f *spilled, i int, p []byte) error {
	if n, err := from.ReadAt(p, int64(i)*checksum.Block); n < len(p) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return &DiskError{Key: e.key, Verb: "read", Err: err}
	}
	if checksum.Of(p) != e.sums[i] {
		return &CorruptError{Key: e.key, Block: i}
	}
	f.good[i].Store(true)
	return nil
}
