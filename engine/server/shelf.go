package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/transfer"
)

// shelf keeps bundles where the scheduler that takes over finds them. There they are in a
// store like the journal's, by their digests; here they come when somebody asks for one.
//
//	<sha-256 in hex>         the bundle, whole or not
//	<sha-256 in hex>.whole   it is
type shelf struct {
	store journal.Store

	mu    sync.Mutex
	there map[graph.Digest]bool
}

const (
	wholeSuffix = ".whole"
	// shelfTimeout is how long one piece of a bundle may take to or from the store.
	shelfTimeout = 30 * time.Second
)

func openShelf(store journal.Store) (*shelf, error) {
	s := &shelf{store: store, there: map[graph.Digest]bool{}}
	var names []string
	err := s.call(func(ctx context.Context) (err error) {
		names, err = store.List(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	for _, name := range names {
		if name, whole := strings.CutSuffix(name, wholeSuffix); whole {
			if d, err := graph.ParseDigest(name); err == nil {
				s.there[d] = true
			}
		}
	}
	return s, nil
}

// call does one operation of the store.
func (s *shelf) call(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), shelfTimeout)
	defer cancel()
	return f(ctx)
}

func (s *shelf) has(d graph.Digest) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.there[d]
}

// put copies a bundle that is complete.
func (s *shelf) put(d graph.Digest, from io.Reader) error {
	if s.has(d) {
		return nil
	}
	if err := s.write(d.String(), from); err != nil {
		return err
	}
	if err := s.write(d.String()+wholeSuffix, strings.NewReader("")); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.there[d] = true
	return nil
}

// write makes a file, in place of what a scheduler before has begun and not ended.
func (s *shelf) write(name string, from io.Reader) error {
	w := &shelfWriter{shelf: s}
	create := func(ctx context.Context) (err error) {
		w.file, err = s.store.Create(ctx, name)
		return err
	}
	err := s.call(create)
	if errors.Is(err, fs.ErrExist) {
		if err = s.call(func(ctx context.Context) error { return s.store.Remove(ctx, name) }); err == nil {
			err = s.call(create)
		}
	}
	if err != nil {
		return err
	}
	if _, err = io.Copy(w, from); err == nil {
		err = s.call(w.file.Flush)
	}
	return errors.Join(err, s.call(w.file.Close))
}

// shelfWriter is a file of the store as an io.Writer.
type shelfWriter struct {
	*shelf
	file journal.File
}

func (w *shelfWriter) Write(p []byte) (int, error) {
	if err := w.call(func(ctx context.Context) error { return w.file.Write(ctx, p) }); err != nil {
		return 0, err
	}
	return len(p), nil
}

// fetch copies a bundle to a file.
func (s *shelf) fetch(d graph.Digest, to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*shelfTimeout)
	defer cancel()
	from, err := s.store.Open(ctx, d.String())
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// takeDown brings a bundle from the shelf, one at a time; transfer.ErrNotFound if it is not
// there.
func (s *bundleStore) takeDown(d graph.Digest) error {
	s.down.Lock()
	defer s.down.Unlock()
	switch {
	case s.here(d):
		return nil // somebody else has just done it
	case !s.shelf.has(d):
		return transfer.ErrNotFound
	}
	part := s.path(d) + shelfSuffix
	err := s.shelf.fetch(d, part)
	if err == nil {
		err = verify(part, d)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	info, err := os.Stat(part)
	if err != nil {
		return err
	}
	if err := os.Rename(part, s.path(d)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete[d] = info.Size()
	s.bytes += info.Size()
	return nil
}
