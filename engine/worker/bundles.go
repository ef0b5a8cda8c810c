package worker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/transfer"
)

// bundles are the programs that clients brought, fetched once and named by their
// content. A file has its name only when it is whole and its hash is right.
type bundles struct {
	dir  string
	max  uint64 // bytes of one
	open func(context.Context, graph.Digest) (*transfer.Fetch, error)

	mu sync.Mutex // held during a fetch: they are few, and come one after the other
}

// path returns the file of a bundle, fetched if need be.
func (b *bundles) path(ctx context.Context, d graph.Digest) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	path := filepath.Join(b.dir, d.String())
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := b.open(ctx, d)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if f.Size() > b.max {
		return "", fmt.Errorf("bundle %s has %d bytes: the limit is %d", d, f.Size(), b.max)
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return "", err
	}
	if err := save(f, path, d); err != nil {
		return "", fmt.Errorf("fetch bundle %s: %w", d, err)
	}
	return path, nil
}

// save writes what r gives to path if it has the hash d.
func save(r io.Reader, path string, d graph.Digest) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "part-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails when it was renamed
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(tmp, h), r)
	if err == nil {
		err = tmp.Chmod(0o700)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if got := graph.Digest(h.Sum(nil)); got != d {
		return fmt.Errorf("its SHA-256 is %s", got)
	}
	return os.Rename(tmp.Name(), path)
}

// openBundle asks the scheduler for a bundle.
func (w *worker) openBundle(ctx context.Context, d graph.Digest) (*transfer.Fetch, error) {
	p := w.scheduler.Load()
	if p == nil {
		return nil, errors.New("no scheduler to fetch a bundle from")
	}
	return w.pool.OpenBundle(ctx, *p, d)
}

// source is what the data plane serves: results.
type source struct {
	store   *store.Store
	bundles *bundles
	workDir string // of the executors
	exec    *executor.Manager
}

// GiveInput implements transfer.InputSource.
func (s source) GiveInput(ctx context.Context, t graph.TaskID, a graph.Attempt, offset uint64, data []byte, last bool) (uint64, bool, error) {
	have, over, ok := s.exec.Give(ctx, t, a, offset, data, last)
	if !ok {
		return 0, false, transfer.ErrNotFound
	}
	return have, over, nil
}

// SignalCommand implements transfer.InputSource.
func (s source) SignalCommand(t graph.TaskID, a graph.Attempt, sig syscall.Signal) error {
	if !s.exec.Signal(t, a, sig) {
		return transfer.ErrNotFound
	}
	return nil
}

// OpenOutput implements transfer.OutputSource.
func (s source) OpenOutput(t graph.TaskID, a graph.Attempt, stream byte, offset uint64) (io.ReadCloser, int64, error) {
	f, err := os.Open(filepath.Join(s.workDir, executor.LivePath(t, a, stream)))
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, transfer.ErrNotFound
	}
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, 0, transfer.ErrNotFound
	}
	size := max(0, st.Size()-int64(min(offset, 1<<62)))
	size = min(size, transfer.MaxPiece)
	return outputReader{io.NewSectionReader(f, int64(min(offset, 1<<62)), size), f}, size, nil
}

type outputReader struct {
	io.Reader
	io.Closer
}

// OpenResult implements transfer.Source.
func (s source) OpenResult(t graph.TaskID, a graph.Attempt) (transfer.Object, error) {
	b, err := s.store.Open(store.Key{Task: t, Attempt: a})
	if errors.Is(err, store.ErrNotFound) {
		return nil, transfer.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// OpenBundle implements transfer.Source: bundles come from the scheduler.
func (s source) OpenBundle(graph.Digest) (io.ReadCloser, int64, error) {
	return nil, 0, transfer.ErrNotFound
}
