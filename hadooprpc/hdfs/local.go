package hdfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path"
	"strconv"
	"sync"
	"syscall"
)

// LocalOptions describe a file system on the local disk.
type LocalOptions struct {
	// Home is the directory of relative names; empty: the user's own.
	Home string
}

// local is FS on the local disk. Replication does not exist there and a file
// has one block.
type local struct {
	names
	user string
}

// NewLocal returns the local disk as an FS with URLs of the form file:///path.
func NewLocal(opts LocalOptions) FS {
	l := &local{names: names{scheme: "file", home: opts.Home}, user: strconv.Itoa(os.Getuid())}
	if u, err := user.Current(); err == nil {
		l.user = u.Username
	}
	if l.home == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			home = os.TempDir()
		}
		l.home = home
	}
	return l
}

func (l *local) User() string { return l.user }
func (l *local) Close() error { return nil }

// on resolves a name and looks whether the context has ended already.
func (l *local) on(ctx context.Context, op, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", &Error{Op: op, Path: name, Err: context.Cause(ctx)}
	}
	return l.Resolve(name)
}

// mapLocal gives an error of the operating system the form of ours.
func mapLocal(op, name string, err error) error {
	if err == nil {
		return nil
	}
	kinds := []struct{ errno, kind error }{
		{syscall.ENOTEMPTY, ErrNotEmpty}, {syscall.EISDIR, ErrIsDir}, {syscall.ENOTDIR, ErrNotDir},
		{syscall.EDQUOT, ErrQuota}, {syscall.ENOSPC, ErrNoDataNode},
		{fs.ErrNotExist, fs.ErrNotExist}, {fs.ErrExist, fs.ErrExist}, {fs.ErrPermission, fs.ErrPermission},
	}
	e := &Error{Op: op, Path: name, Err: err}
	for _, k := range kinds {
		if errors.Is(err, k.errno) {
			e.Kind, e.Detail = k.kind, errorText(err)
			break
		}
	}
	return e
}

// errorText is the innermost text of an error of package os, whose outer ones
// repeat the operation and the path.
func errorText(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err.Error()
	}
	if le := (*os.LinkError)(nil); errors.As(err, &le) {
		return le.Err.Error()
	}
	return err.Error()
}

func (l *local) Stat(ctx context.Context, name string) (FileInfo, error) {
	p, err := l.on(ctx, "stat", name)
	if err != nil {
		return FileInfo{}, err
	}
	st, err := os.Stat(p)
	if err != nil {
		return FileInfo{}, mapLocal("stat", p, err)
	}
	return localInfo(p, st), nil
}

func localInfo(p string, st fs.FileInfo) FileInfo {
	i := FileInfo{Path: p, ModTimeMs: st.ModTime().UnixMilli(), Perm: st.Mode() & permMask, IsDir: st.IsDir()}
	if !i.IsDir {
		i.Length, i.Replication, i.BlockSize = st.Size(), 1, localBlockSize
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		i.Owner, i.Group = userName(sys.Uid), groupName(sys.Gid)
	}
	return i
}

// localBlockSize is what Hadoop's own RawLocalFileSystem reports.
const localBlockSize = 32 << 20

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

func (l *local) ReadDir(ctx context.Context, name string) ([]FileInfo, error) {
	p, err := l.on(ctx, "list", name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p)
	if err != nil {
		return nil, mapLocal("list", p, err)
	}
	infos := make([]FileInfo, 0, len(entries))
	for _, e := range entries {
		q := path.Join(p, e.Name())
		st, err := os.Stat(q)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the listing, or a link to nothing
		}
		if err != nil {
			return nil, mapLocal("list", q, err)
		}
		infos = append(infos, localInfo(q, st))
	}
	return infos, nil
}

func (l *local) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	p, err := l.on(ctx, "mkdir", name)
	if err != nil {
		return err
	}
	if err := os.Mkdir(p, perm&permMask); err != nil {
		return mapLocal("mkdir", p, err)
	}
	return l.Chmod(ctx, p, perm) // the umask may have taken bits away
}

func (l *local) MkdirAll(ctx context.Context, name string, perm fs.FileMode) error {
	return mkdirAll(ctx, l, name, perm)
}

func (l *local) Rename(ctx context.Context, oldName, newName string) error {
	from, err := l.on(ctx, "rename", oldName)
	if err != nil {
		return err
	}
	to, err := l.on(ctx, "rename", newName)
	if err != nil {
		return err
	}
	// Not os.Rename, which refuses to replace an empty directory.
	err = syscall.Rename(from, to)
	return mapLocal("rename", from+" to "+to, err)
}

// RenameNew links the file under its new name, which fails when that exists,
// and then drops the old name.
func (l *local) RenameNew(ctx context.Context, oldName, newName string) error {
	from, err := l.on(ctx, "rename", oldName)
	if err != nil {
		return err
	}
	to, err := l.on(ctx, "rename", newName)
	if err != nil {
		return err
	}
	err = os.Link(from, to)
	if err == nil {
		err = os.Remove(from)
	}
	return mapLocal("rename", from+" to "+to, err)
}

func (l *local) Remove(ctx context.Context, name string) error {
	p, err := l.on(ctx, "remove", name)
	if err != nil {
		return err
	}
	return mapLocal("remove", p, os.Remove(p))
}

func (l *local) RemoveAll(ctx context.Context, name string) error {
	p, err := l.on(ctx, "remove", name)
	if err != nil {
		return err
	}
	if p == "/" {
		return refuseRoot()
	}
	for attempt := range removeAttempts {
		if err = os.RemoveAll(p); !errors.Is(err, syscall.ENOTEMPTY) || !pause(ctx, attempt) {
			break
		}
	}
	return mapLocal("remove", p, err)
}

// removeAttempts is how often a directory is removed into which others write meanwhile. HDFS
// removes all of it at one moment; here what they write is gone a moment later.
const removeAttempts = 5

func refuseRoot() error {
	return &Error{Op: "remove", Path: "/", Kind: fs.ErrInvalid, Detail: "the root is never removed"}
}

func (l *local) Chmod(ctx context.Context, name string, perm fs.FileMode) error {
	p, err := l.on(ctx, "chmod", name)
	if err != nil {
		return err
	}
	return mapLocal("chmod", p, os.Chmod(p, perm&permMask))
}

func (l *local) Locations(ctx context.Context, name string) ([]Block, error) {
	i, err := l.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if i.IsDir {
		return nil, newError("locate", i.Path, ErrIsDir)
	}
	if i.Length == 0 {
		return nil, nil
	}
	// By whatever name somebody knows this machine. Without a name it has the others still.
	hosts := []string{"localhost", "127.0.0.1"}
	if host, err := os.Hostname(); err == nil && host != "localhost" {
		hosts = append([]string{host}, hosts...)
	}
	return []Block{{Length: i.Length, Hosts: hosts}}, nil
}

func (l *local) Open(ctx context.Context, name string) (File, error) {
	p, err := l.on(ctx, "open", name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, mapLocal("open", p, err)
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = newError("open", p, ErrIsDir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &localFile{f: f, ctx: ctx, info: localInfo(p, st)}, nil
}

// localFile is an os.File whose reads end with a context. The file is not embedded: its WriteTo would read past us.
type localFile struct {
	f    *os.File
	ctx  context.Context
	info FileInfo
}

func (f *localFile) Info() FileInfo { return f.info }

func (f *localFile) Read(b []byte) (int, error) {
	if f.ctx.Err() != nil {
		return 0, &Error{Op: "read", Path: f.info.Path, Err: context.Cause(f.ctx)}
	}
	return f.f.Read(b)
}

func (f *localFile) ReadAt(b []byte, off int64) (int, error) {
	if f.ctx.Err() != nil {
		return 0, &Error{Op: "read", Path: f.info.Path, Err: context.Cause(f.ctx)}
	}
	return f.f.ReadAt(b, off)
}

func (f *localFile) Seek(offset int64, whence int) (int64, error) { return f.f.Seek(offset, whence) }

func (f *localFile) Close() error {
	if err := f.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return mapLocal("close", f.info.Path, err)
	}
	return nil
}

func (l *local) Create(ctx context.Context, name string, opts CreateOptions) (Writer, error) {
	p, err := l.on(ctx, "create", name)
	if err != nil {
		return nil, err
	}
	if opts.Overwrite {
		if info, err := os.Lstat(p); err == nil && info.IsDir() {
			return nil, newError("create", p, fs.ErrExist)
		}
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, mapLocal("create", p, err)
		}
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, opts.perm())
	if err == nil {
		err = f.Chmod(opts.perm())
	}
	if err != nil {
		return nil, mapLocal("create", p, err)
	}
	return &localWriter{f: f, ctx: ctx, path: p}, nil
}

type localWriter struct {
	f    *os.File
	ctx  context.Context
	path string
	done sync.Once
}

var _ io.WriteCloser = (*localWriter)(nil)

func (w *localWriter) Write(b []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, &Error{Op: "write", Path: w.path, Err: context.Cause(w.ctx)}
	}
	n, err := w.f.Write(b)
	return n, mapLocal("write", w.path, err)
}

func (w *localWriter) Close() error {
	if w.ctx.Err() != nil {
		return &Error{Op: "write", Path: w.path, Err: context.Cause(w.ctx)}
	}
	err := fs.ErrClosed
	w.done.Do(func() { err = errors.Join(w.f.Sync(), w.f.Close()) })
	return mapLocal("write", w.path, err)
}

func (w *localWriter) Abort() error {
	var err error
	w.done.Do(func() { err = errors.Join(w.f.Close(), os.Remove(w.path)) })
	return mapLocal("abort", w.path, err)
}
