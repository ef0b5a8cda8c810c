// Package dirstore keeps a journal in a directory of a local disk. What was flushed
// survives the loss of power as far as the disk does.
//
// A file is sealed in three steps: its permission to be written is taken away, which is the
// signal to a writer that still has it open; what it holds is made safe; and its length
// is kept beside it, as the target of a symbolic link (which is there with its content or not at all, and
// the first of two stays). Readers read that far.
//
//	writer:  write, fsync, may it be written still?  → told safe
//	sealer:  no more writing, fsync, length          → sealed
//
// A writer that was told that it may has its bytes in the file before the sealer takes its length. Only
// processes of one host see each other's steps in this order: a network file system may
// answer from a cache, so it is not for this package.
package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/yarnd/yarnd/engine/journal"
)

// Store is a directory. Its calls look at their context before they begin; a disk that does not answer
// holds them up.
type Store struct{ dir string }

var _ journal.Store = (*Store)(nil)

// New makes the directory, for its owner only, if it is not there.
func New(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the journal's directory: %w; give one that can be written to", err)
	}
	return &Store{dir: dir}, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// lengthOf is the link that holds a sealed file's length.
func (s *Store) lengthOf(name string) string { return s.path(".length-" + name) }

// List implements journal.Store.
func (s *Store) List(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// writable is the permission that a sealed file lacks.
const writable = 0o200

// Create implements journal.Store.
func (s *Store) Create(ctx context.Context, name string) (journal.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(0o600), s.sync()); err != nil { // whatever the umask is
		return nil, errors.Join(err, f.Close())
	}
	return &file{f}, nil
}

// sync makes the directory's names safe.
func (s *Store) sync() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal implements journal.Store.
func (s *Store) Seal(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := s.sealedLength(name); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := errors.Join(f.Chmod(0o400), f.Sync()); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := os.Symlink(strconv.FormatInt(st.Size(), 10), s.lengthOf(name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.sync()
}

func (s *Store) sealedLength(name string) (int64, error) {
	target, err := os.Readlink(s.lengthOf(name))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(target, 10, 64)
}

// Open implements journal.Store.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	n, err := s.sealedLength(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &reader{ctx, f, f}, nil
	} else if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &reader{ctx, io.LimitReader(f, n), f}, nil
}

// Remove implements journal.Store.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Remove(s.path(name)); err != nil {
		return err
	}
	if err := os.Remove(s.lengthOf(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
	file *os.File
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (r *reader) Close() error { return r.file.Close() }

// file is one that is written.
type file struct{ *os.File }

func (f *file) Write(ctx context.Context, p []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := f.File.Write(p)
	return err
}

func (f *file) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Mode()&writable == 0 || st.Sys().(*syscall.Stat_t).Nlink == 0 {
		return journal.ErrSealed
	}
	return nil
}

func (f *file) Close(context.Context) error { return f.File.Close() }
