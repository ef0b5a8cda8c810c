package store

import (
	"sync"
	"sync/atomic"
)

// maxFiles is how many results on disk keep their file open between reads. A task may
// have more inputs than a process may have files: those of the rest are opened for each
// read.
const maxFiles = 256

// handle reads one blob's file. Any number of goroutines may have it at once.
type handle struct {
	s    *Store
	name string

	mu     sync.Mutex
	kept   file
	closed bool
}

// use calls read with the open file.
func (h *handle) use(read func(file) error) error {
	h.mu.Lock()
	f, err := h.kept, error(nil)
	keep := f != nil
	if f == nil {
		if f, err = h.s.disk.open(h.name); err == nil {
			if keep = !h.closed && take(&h.s.files); keep {
				h.kept = f
			}
		}
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	if !keep {
		defer f.Close()
	}
	return read(f)
}

// close closes the file when nobody reads any more.
func (h *handle) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.kept != nil {
		h.kept.Close()
		h.kept = nil
		h.s.files.Add(-1)
	}
}

// take counts one more open file, if there may be.
func take(n *atomic.Int64) bool {
	if n.Add(1) <= maxFiles {
		return true
	}
	n.Add(-1)
	return false
}
