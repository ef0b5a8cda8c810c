package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"sync"

	"github.com/yarnd/yarnd/edgeclient"
)

// lines reads items, one a line, as they are asked for, and keeps those of which
// nobody has heard the end.
type lines struct {
	in  io.Reader
	err error

	mu   sync.Mutex // all runs beside take
	n    int
	open map[int]string
}

func newLines(in io.Reader) *lines { return &lines{in: in, open: map[int]string{}} }

// take returns the item of that number, counted from 0, for the last time.
func (l *lines) take(i int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	item := l.open[i]
	delete(l.open, i)
	return item
}

func (l *lines) keep(item string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[l.n] = item
	l.n++
}

func (l *lines) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		s := bufio.NewScanner(l.in)
		s.Buffer(make([]byte, 0, 4096), longestItem)
		s.Split(scanItems)
		for s.Scan() {
			item := s.Text()
			l.keep(item)
			if !yield(item) {
				return
			}
		}
		if errors.Is(s.Err(), bufio.ErrTooLong) {
			l.err = &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("an item is longer than %d bytes", longestItem), Next: "Put long input into files and give their names"}
		} else if s.Err() != nil {
			l.err = &edgeclient.Fault{Code: edgeclient.Internal, What: "cannot read the items", Why: s.Err()}
		}
	}
}

// scanItems splits at newlines alone: a carriage return is part of an item.
func scanItems(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// brief is an item in a message: the beginning of a long one.
func brief(item string) string {
	const most = 60
	if r := []rune(item); len(r) > most {
		item = string(r[:most]) + "…"
	}
	return strconv.Quote(item)
}

// failedItems is the file for the items whose command failed; nil is none.
type failedItems struct{ f *os.File }

// createFailed makes that file, unless the items are being read from it.
func createFailed(name string, items io.Reader) (*failedItems, error) {
	if name == "" {
		return nil, nil
	}
	if in, ok := items.(*os.File); ok {
		reading, e1 := in.Stat()
		there, e2 := os.Stat(name)
		if e1 == nil && e2 == nil && os.SameFile(reading, there) {
			return nil, &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("the items are read from %s, which --failed would empty", name), Next: "Give --failed another file"}
		}
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, &edgeclient.Fault{Code: edgeclient.Usage, What: "cannot keep the items that fail", Why: err, Next: "Check --failed"}
	}
	return &failedItems{f}, nil
}

func (l *failedItems) add(item string) error {
	if l == nil {
		return nil
	}
	_, err := l.f.WriteString(item + "\n")
	return failedLost(err)
}

// Close may be called twice.
func (l *failedItems) Close() error {
	if l == nil || l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

func failedLost(err error) error {
	if err == nil {
		return nil
	}
	return &edgeclient.Fault{Code: edgeclient.Internal, What: "cannot keep the items that fail", Why: err, Next: "Check the disk of --failed"}
}
