package rawio

import (
	"fmt"
	"sync"
)

// Writer writes to a descriptor. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	w    *half
	most int    // bytes that rest may have after a Write; 0: it waits
	rest []byte // taken and not written
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.most > 0 {
		return w.offer(p, w.most)
	}
	if err := w.settle(); err != nil {
		return 0, err
	}
	return w.w.write(p, true)
}

// Offer is Write without waiting: what there is no room for is written with the next Write
// or Settle.
func (w *Writer) Offer(p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.offer(p, len(w.rest)+len(p))
	return err
}

func (w *Writer) offer(p []byte, most int) (n int, err error) {
	if len(w.rest) == 0 {
		if n, err = w.w.write(p, false); err != nil || n == len(p) {
			return n, err
		}
	}
	if len(w.rest)+len(p)-n > most {
		return n, fmt.Errorf("more than %d bytes wait to be written", most)
	}
	w.rest = append(w.rest, p[n:]...)
	return len(p), nil
}

// Spool makes every Write an Offer, of at most most bytes together beyond which they fail.
func (w *Writer) Spool(most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most = most
}

// Rest returns how many bytes were taken and are not written.
func (w *Writer) Rest() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rest)
}

// Settle writes what was taken, and waits for it, until the write deadline at most. A
// Write meanwhile waits as well.
func (w *Writer) Settle() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settle()
}

func (w *Writer) settle() error {
	if len(w.rest) == 0 {
		return nil
	}
	_, err := w.w.write(w.rest, true)
	w.rest = nil
	return err
}
