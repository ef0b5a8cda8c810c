package yarnd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// hdfsJournal is a journal.Store in a directory of HDFS, or of whatever file system the cluster
// has. Flush waits for the DataNodes' acknowledgement, Seal is the recovery of the lease.
type hdfsJournal struct {
	fs  hdfs.FS
	dir string
}

var _ journal.Store = (*hdfsJournal)(nil)

// newHDFSJournal makes the directory, for its owner only, if it is not there. It lies in the staging directory, which has
// to be there: one that was removed with its application would not be again.
func newHDFSJournal(ctx context.Context, fsys hdfs.FS, dir string) (journal.Store, error) {
	if err := fsys.Mkdir(ctx, dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("cannot make the journal's directory: %w", err)
	}
	return &hdfsJournal{fs: fsys, dir: dir}, nil
}

func (s *hdfsJournal) List(ctx context.Context) ([]string, error) {
	infos, err := s.fs.ReadDir(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range infos {
		if name := i.Name(); !strings.HasPrefix(name, ".") { // the file system's own
			names = append(names, name)
		}
	}
	return names, nil
}

func (s *hdfsJournal) Create(ctx context.Context, name string) (journal.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The file lives longer than ctx, which bounds its creation.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, end)()
	a, err := s.fs.Append(life, path.Join(s.dir, name), hdfs.CreateOptions{})
	if err != nil {
		end()
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return &hdfsJournalFile{a: a, end: end}, nil
}

func (s *hdfsJournal) Seal(ctx context.Context, name string) error {
	return s.fs.Recover(ctx, path.Join(s.dir, name))
}

func (s *hdfsJournal) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.fs.Open(ctx, path.Join(s.dir, name))
}

func (s *hdfsJournal) Remove(ctx context.Context, name string) error {
	return s.fs.Remove(ctx, path.Join(s.dir, name))
}

// hdfsJournalFile is a file that is written.
type hdfsJournalFile struct {
	a   hdfs.Appender
	end context.CancelFunc // of its life, and of any call that is under way
}

func (f *hdfsJournalFile) Write(ctx context.Context, p []byte) error {
	return f.within(ctx, func() error {
		_, err := f.a.Write(p)
		return err
	})
}

func (f *hdfsJournalFile) Flush(ctx context.Context) error {
	return f.within(ctx, func() error { return f.a.Flush(ctx) })
}

func (f *hdfsJournalFile) Close(ctx context.Context) error {
	defer f.end()
	defer context.AfterFunc(ctx, f.end)()
	return f.a.Close()
}

// within ends the file's life when ctx ends during the call.
func (f *hdfsJournalFile) within(ctx context.Context, call func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, f.end)()
	err := call()
	if errors.Is(err, hdfs.ErrFenced) {
		return fmt.Errorf("%w: %w", journal.ErrSealed, err)
	}
	return err
}
