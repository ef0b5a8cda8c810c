package hdfs

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// On a local disk a file is fenced without asking its writer, who may be stopped
// or stuck:
//
//   - An Appender holds a lock (flock) on its file for as long as it lives, and
//     the file gets its name when it is locked. So a file without a lock is
//     closed: nobody will append to it.
//   - Recover gives the name to another file, and then copies what the old one
//     has. The writer, after it has synced, looks whether the name is still its
//     own file's. If it is, the copying comes later and has all that was synced;
//     if not, the Flush has failed.
//   - In between, the old file has a second name, from which a Recover that was
//     interrupted is taken up again. Recovers of one directory's files take turns
//     by a lock on the directory.

// recovering is the second name of a file while it is being recovered.
func recovering(p string) string { return path.Join(path.Dir(p), "."+path.Base(p)+".recovering") }

// Append implements FS.
func (l *local) Append(ctx context.Context, name string, opts CreateOptions) (Appender, error) {
	p, err := l.on(ctx, "create", name)
	if err != nil {
		return nil, err
	}
	f, err := makeBeside(p, opts.perm())
	if err == nil {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			err = os.Link(f.Name(), p)
		}
		err = errors.Join(err, os.Remove(f.Name()))
		if err == nil {
			err = syncDir(path.Dir(p))
		}
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, mapLocal("create", p, err)
	}
	return &localAppender{f: f, ctx: ctx, path: p}, nil
}

// makeBeside makes a new file with a name of its own in p's directory.
func makeBeside(p string, perm fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path.Join(path.Dir(p), "."+path.Base(p)+"."+rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(perm); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type localAppender struct {
	f    *os.File
	ctx  context.Context
	path string
	err  error // the first failure
	done bool
}

func (a *localAppender) Write(b []byte) (int, error) {
	if a.usable(a.ctx) != nil {
		return 0, a.err
	}
	n, err := a.f.Write(b)
	return n, a.failed(err)
}

// Flush does not end while the disk keeps it waiting: a system call has no context.
func (a *localAppender) Flush(ctx context.Context) error {
	if a.usable(a.ctx) != nil || a.usable(ctx) != nil {
		return a.err
	}
	if a.failed(a.f.Sync()) != nil {
		return a.err
	}
	return a.failed(a.owned())
}

// owned looks whether the name still is that of the file.
func (a *localAppender) owned() error {
	mine, err := a.f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(a.path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !os.SameFile(mine, named)) {
		return newError("append", a.path, ErrFenced)
	}
	return err
}

func (a *localAppender) Close() error {
	if a.done {
		return a.err
	}
	_ = a.Flush(a.ctx) // its failure is kept
	a.done = true
	if err := a.f.Close(); a.err == nil && err != nil {
		a.err = mapLocal("append", a.path, err)
	}
	return a.err
}

func (a *localAppender) usable(ctx context.Context) error {
	switch {
	case a.err != nil:
	case a.done:
		return a.failed(fs.ErrClosed)
	case ctx.Err() != nil:
		a.err = &Error{Op: "append", Path: a.path, Err: context.Cause(ctx)}
	}
	return a.err
}

// failed keeps the first failure.
func (a *localAppender) failed(err error) error {
	if err == nil {
		return nil
	}
	if !errors.As(err, new(*Error)) {
		err = mapLocal("append", a.path, err)
	}
	a.err = err
	return err
}

// Recover implements FS.
func (l *local) Recover(ctx context.Context, name string) error {
	p, err := l.on(ctx, "recover", name)
	if err != nil {
		return err
	}
	dir, err := os.Open(path.Dir(p))
	if err != nil {
		return mapLocal("recover", p, err)
	}
	defer dir.Close()
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return mapLocal("recover", p, err)
		}
		if !pause(ctx, 0) {
			return &Error{Op: "recover", Path: p, Err: context.Cause(ctx)}
		}
	}
	return mapLocal("recover", p, takeOver(p))
}

// takeOver is Recover with the directory locked.
func takeOver(p string) error {
	old := recovering(p)
	if _, err := os.Lstat(old); errors.Is(err, fs.ErrNotExist) {
		if closed, err := isClosed(p); closed || err != nil {
			return err
		}
		if err := os.Link(p, old); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	from, err := os.Open(old)
	if err != nil {
		return err
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Stat(p); err == nil && os.SameFile(st, named) {
		if err := replace(p, st.Mode()&permMask, nil); err != nil { // from now on the writer is fenced
			return err
		}
	} else if err != nil {
		return err
	}
	if err := replace(p, st.Mode()&permMask, from); err != nil {
		return err
	}
	return errors.Join(os.Remove(old), syncDir(path.Dir(p)))
}

// isClosed tells whether nobody appends to the file.
func isClosed(p string) (bool, error) {
	f, err := os.Open(p)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// replace gives the name to a new file with what from has, which may be nil.
func replace(p string, perm fs.FileMode, from io.Reader) error {
	to, err := makeBeside(p, perm)
	if err != nil {
		return err
	}
	if from != nil {
		_, err = io.Copy(to, from)
	}
	if err = errors.Join(err, to.Sync(), to.Close()); err == nil {
		err = os.Rename(to.Name(), p)
	}
	if err != nil {
		return errors.Join(err, os.Remove(to.Name()))
	}
	return syncDir(path.Dir(p))
}
