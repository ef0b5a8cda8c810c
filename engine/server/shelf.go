package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/transfer"
)

// shelf keeps bundles where the scheduler that takes over finds them. There they are in a
// store like the journal's, by their digests; here they come when somebody asks for one.
type shelf struct {
	store journal.Store

	mu      sync.Mutex
	there   map[graph.Digest]bool
	fetches map[graph.Digest]*sync.Mutex
}

// shelfTimeout is how long one piece of a bundle may take to or from the store.
const (
	shelfTimeout = 30 * time.Second
	shelfPiece   = 4 << 20
)

func openShelf(store journal.Store) (*shelf, error) {
	s := &shelf{store: store, there: map[graph.Digest]bool{}, fetches: map[graph.Digest]*sync.Mutex{}}
	ctx, cancel := context.WithTimeout(context.Background(), shelfTimeout)
	defer cancel()
	names, err := store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	for _, name := range names {
		if d, err := graph.ParseDigest(name); err == nil {
			s.there[d] = true
		}
	}
	return s, nil
}

func (s *shelf) has(d graph.Digest) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.there[d]
}

// put copies a bundle that is complete. One that a scheduler before has begun and not ended
// is written anew.
func (s *shelf) put(d graph.Digest, from io.Reader) error {
	if s == nil || s.has(d) {
		return nil
	}
	call := func(f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), shelfTimeout)
		defer cancel()
		return f(ctx)
	}
	var file journal.File
	create := func(ctx context.Context) (err error) {
		file, err = s.store.Create(ctx, d.String())
		return err
	}
	err := call(create)
	if errors.Is(err, fs.ErrExist) {
		if err = call(func(ctx context.Context) error { return s.store.Remove(ctx, d.String()) }); err == nil {
			err = call(create)
		}
	}
	if err != nil {
		return err
	}
	buf := make([]byte, shelfPiece)
	for {
		n, rerr := io.ReadFull(from, buf)
		if n > 0 {
			err = call(func(ctx context.Context) error { return file.Write(ctx, buf[:n]) })
		}
		if err != nil || rerr != nil {
			if err == nil && !errors.Is(rerr, io.EOF) && !errors.Is(rerr, io.ErrUnexpectedEOF) {
				err = rerr
			}
			break
		}
	}
	if err == nil {
		err = call(file.Flush)
	}
	err = errors.Join(err, call(file.Close))
	if err != nil {
		return errors.Join(err, call(func(ctx context.Context) error { return s.store.Remove(ctx, d.String()) }))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.there[d] = true
	return nil
}

// fetch copies a bundle to a file, unless somebody else has done that meanwhile.
func (s *shelf) fetch(d graph.Digest, done func() bool, to string) error {
	s.mu.Lock()
	one := s.fetches[d]
	if one == nil {
		one = &sync.Mutex{}
		s.fetches[d] = one
	}
	s.mu.Unlock()
	one.Lock()
	defer one.Unlock()
	if done() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*shelfTimeout)
	defer cancel()
	if err := s.store.Seal(ctx, d.String()); err != nil {
		return err
	}
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

// takeDown brings a bundle from the shelf; transfer.ErrNotFound if it is not there whole.
func (s *bundleStore) takeDown(d graph.Digest) error {
	if !s.shelf.has(d) {
		return transfer.ErrNotFound
	}
	here := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, ok := s.complete[d]
		return ok
	}
	part := s.path(d) + ".shelf"
	err := s.shelf.fetch(d, here, part)
	if err != nil || here() {
		return err
	}
	if err := os.Rename(part, s.path(d)); err != nil {
		return err
	}
	if err := s.verify(d); err != nil { // its writer died
		s.shelf.mu.Lock()
		delete(s.shelf.there, d)
		s.shelf.mu.Unlock()
		return errors.Join(transfer.ErrNotFound, err, os.Remove(s.path(d)))
	}
	info, err := os.Stat(s.path(d))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete[d] = info.Size()
	s.bytes += info.Size()
	return nil
}
