package hdfs

import (
	"context"
	"io"
	"io/fs"
	"path"
)

// FS is a file system. All methods take the names that the package comment
// describes and may be called from many goroutines. Errors are [*Error] and
// answer errors.Is for fs.ErrNotExist, fs.ErrExist, fs.ErrPermission and the
// errors of this package.
//
// A context bounds the call; for Open and Create it bounds the life of the
// file as well. Calls on metadata also have a bound of their own, so that a
// file system out of reach is an error and never an endless wait.
type FS interface {
	// Stat describes a file or directory.
	Stat(ctx context.Context, name string) (FileInfo, error)
	// Open opens a file for reading. Reads fail once ctx ends.
	Open(ctx context.Context, name string) (File, error)
	// Create makes a file in an existing directory with exactly the wanted
	// permissions before the first byte is written. Without Overwrite an
	// existing file is fs.ErrExist; with it, the old file is gone as soon as
	// Create returns (use [Upload] to replace a file in one step).
	Create(ctx context.Context, name string, opts CreateOptions) (Writer, error)
	// Append makes a file like Create, without Overwrite, for a log: what was
	// flushed survives its writer. It is always replicated, also where a
	// directory's files are erasure-coded.
	Append(ctx context.Context, name string, opts CreateOptions) (Appender, error)
	// Recover closes a file that somebody may still append to, and returns
	// when nobody can any more: from then on its length is final, and it
	// holds all that was ever flushed, and after that at most a beginning of
	// what was not. Recovering a closed file does nothing. The file system
	// being away or in safe mode is waited for, as long as ctx allows; a
	// last block of which no copy is left is waited for in vain.
	//
	// It fences a file, not a directory: an old writer that finds its file
	// taken over can begin another one. Who must keep it from that renames the
	// directory first: making files in a missing one fails.
	Recover(ctx context.Context, name string) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(ctx context.Context, name string) ([]FileInfo, error)
	// Mkdir makes one directory with exactly these permissions, whatever the
	// umask or a default ACL says. An existing one is fs.ErrExist.
	Mkdir(ctx context.Context, name string, perm fs.FileMode) error
	// MkdirAll makes a directory and the missing ones above it, all with
	// exactly these permissions. An existing directory is left as it is.
	MkdirAll(ctx context.Context, name string, perm fs.FileMode) error
	// Rename moves a file or directory. An existing file or empty directory
	// of the same kind at the new name is replaced in one step; a directory
	// that is not empty is ErrNotEmpty.
	Rename(ctx context.Context, oldName, newName string) error
	// RenameNew moves a file to a name that must not exist: of several that
	// are moved to one name at once, one arrives and the others get
	// fs.ErrExist.
	RenameNew(ctx context.Context, oldName, newName string) error
	// Remove deletes a file or an empty directory.
	Remove(ctx context.Context, name string) error
	// RemoveAll deletes a file or a whole tree; deleting nothing is no error.
	// The root is refused.
	RemoveAll(ctx context.Context, name string) error
	// Chmod sets the permission bits.
	Chmod(ctx context.Context, name string, perm fs.FileMode) error
	// Locations says which hosts hold the blocks of a file, in the order of
	// their offsets.
	Locations(ctx context.Context, name string) ([]Block, error)
	// User is who the file system takes us for, Home that user's directory.
	User() string
	Home() string
	// Resolve returns the absolute path that a name stands for; URL the same
	// with scheme and authority. Neither looks whether it exists.
	Resolve(name string) (string, error)
	URL(name string) (string, error)
	// Close closes what is idle at once and what is in use when its user is
	// done. It may be called twice.
	Close() error
}

// File is a file open for reading. ReadAt does not move the position of Read;
// it may be called from several goroutines, but a remote file serves them one
// after the other.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
	// Info describes the file as it was when it was opened.
	Info() FileInfo
}

// Writer is a file open for writing. Write and Close are for one goroutine.
// The bytes are in the file system when Close has returned nil. After any
// error only Abort remains. A Writer may rest for as long as it likes, and a
// remote one goes on when another NameNode takes over; a DataNode that fails
// ends it.
type Writer interface {
	io.WriteCloser
	// Abort ends the writing and removes the file. After Close, or a second
	// time, it does nothing. It takes no context because it has to work when
	// that of Create has ended; it has a short bound of its own.
	Abort() error
}

// Appender is a file open for appending. Its methods are for one goroutine.
// Every error is final: after the first, all methods return it, Close lets go
// of what was held, and what was written since the last Flush may be in the
// file in part, from the beginning. The caller goes on in another file, and
// calls Recover for this one before it is read. An Appender may rest for as
// long as it likes.
type Appender interface {
	// Write takes bytes; they may stay in memory until Flush.
	io.Writer
	// Flush returns nil when all that was written is safe from the end of
	// this process: with all DataNodes of the block, which may have it in
	// memory; on a local disk, synced. Error [ErrFenced] says that somebody
	// called Recover. When ctx ends first, that is the Appender's last error.
	Flush(ctx context.Context) error
	// Close flushes and makes the length final.
	io.Closer
}

// FileInfo describes a file or directory.
type FileInfo struct {
	Path        string // absolute, without scheme
	Length      int64  // bytes; 0 for a directory
	ModTimeMs   int64  // milliseconds since 1970, what YARN compares
	Perm        fs.FileMode
	Owner       string
	Group       string
	IsDir       bool
	Replication int   // 0 for a directory
	BlockSize   int64 // bytes; 0 for a directory
}

// Name returns the last element of the path.
func (i FileInfo) Name() string { return path.Base(i.Path) }

// CreateOptions describe a new file.
type CreateOptions struct {
	// Perm is 0600 when zero.
	Perm fs.FileMode
	// Replication and BlockSize (bytes) are the file system's when zero.
	Replication int
	BlockSize   int64
	// Overwrite removes an existing file first.
	Overwrite bool
}

func (o CreateOptions) perm() fs.FileMode {
	if o.Perm == 0 {
		return 0o600
	}
	return o.Perm & permMask
}

// permMask is what counts as permissions: the nine bits and the sticky bit.
const permMask = fs.ModePerm | fs.ModeSticky

// Block is a part of a file and the hosts that hold a copy of it, the ones
// nearest to us first as far as the file system knows.
type Block struct {
	Offset int64 // bytes from the file's begin
	Length int64 // bytes
	Hosts  []string
}
