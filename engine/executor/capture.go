package executor

import (
	"bytes"
	"sync"
)

// capture keeps what is written, up to a limit; of what is more, that there was some.
type capture struct {
	buf   bytes.Buffer
	limit int64
	over  bool
}

func (c *capture) Write(p []byte) (int, error) {
	if c.over {
		return len(p), nil
	}
	if int64(c.buf.Len()+len(p)) > c.limit {
		c.over = true
		return len(p), nil
	}
	return c.buf.Write(p)
}

// tail keeps the end of what is written.
type tail struct {
	mu    sync.Mutex
	buf   []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-t.limit):]...)
	if len(t.buf) > 2*t.limit { // not at each write
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-t.limit:]...)
	}
	return len(p), nil
}

// bytes returns the tail, a copy.
func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf[max(0, len(t.buf)-t.limit):])
}
