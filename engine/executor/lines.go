package executor

import (
	"bytes"
	"io"
	"sync"
)

// lines passes what is written on to dst, whole lines at a time and each with a
// prefix, so that the output of several executors can share a file. A line longer
// than maxLine is cut in two.
type lines struct {
	mu     *sync.Mutex // of dst
	dst    io.Writer
	prefix string
	part   []byte // of a line without its end
}

const maxLine = 32 << 10

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	var out []byte
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		piece := p
		if end >= 0 {
			piece = p[:end]
			p = p[end+1:]
		} else {
			p = nil
		}
		l.part = append(l.part, piece...)
		if end < 0 && len(l.part) < maxLine {
			break
		}
		out = append(append(append(out, l.prefix...), l.part...), '\n')
		l.part = l.part[:0]
	}
	l.pass(out)
	return n, nil
}

// flush passes on a last line without an end.
func (l *lines) flush() {
	if len(l.part) > 0 {
		l.pass(append(append([]byte(l.prefix), l.part...), '\n'))
		l.part = nil
	}
}

func (l *lines) pass(out []byte) {
	if len(out) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dst.Write(out) //nolint:errcheck // a full disk must not stop the work
}
