package main

import (
	"context"
	"os"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/dirstore"
)

// countedStore is the scheduler's journal, of which it counts what is written. It is safe
// for concurrent use.
type countedStore struct {
	journal.Store
	bytes, flushes atomic.Uint64
}

// openJournal makes a journal in a directory of its own below dir, which forget removes.
func openJournal(dir string) (s *countedStore, forget func() error, err error) {
	own, err := os.MkdirTemp(dir, "yarnd-bench-journal-")
	if err != nil {
		return nil, nil, err
	}
	store, err := dirstore.New(own)
	return &countedStore{Store: store}, func() error { return os.RemoveAll(own) }, err
}

func (s *countedStore) Create(ctx context.Context, name string) (journal.File, error) {
	f, err := s.Store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &countedFile{f, s}, nil
}

type countedFile struct {
	journal.File
	s *countedStore
}

func (f *countedFile) Write(ctx context.Context, p []byte) error {
	f.s.bytes.Add(uint64(len(p)))
	return f.File.Write(ctx, p)
}

func (f *countedFile) Flush(ctx context.Context) error {
	f.s.flushes.Add(1)
	return f.File.Flush(ctx)
}

// written is what a journal took of the disk, in the report.
type written struct {
	Bytes        uint64  `json:"bytes"`
	BytesPerTask float64 `json:"bytes_per_task"`
	Flushes      uint64  `json:"flushes"`
}
