package journal

import (
	"context"
	"errors"
	"io"
)

// ErrSealed is what a File's Flush answers, alone or wrapped, after its file was sealed.
var ErrSealed = errors.New("the file was sealed by another process")

// Store is a directory of append-only files: in HDFS, on a local disk, in a test
// (package journaltest holds the contract as tests). Its methods may be called from many
// goroutines and processes. They return soon after their context has ended; whether they
// had an effect is then unknown, as after any other error.
type Store interface {
	// List names the files, in any order: at least each whose Create has returned nil
	// before the call, unless its Remove was called. A file whose Create failed may be
	// among them, now or later.
	List(ctx context.Context) ([]string, error)
	// Create makes an empty file, which must not be there: fs.ErrExist. When it has
	// returned nil the name is as safe as what is flushed.
	Create(ctx context.Context, name string) (File, error)
	// Seal ends the writing of a file, whoever writes it. When it has returned nil, all
	// that any Flush has been told safe is in the file, no Flush of a writer succeeds any
	// more, and every reader finds the same bytes for ever. It may be called again, and on a
	// file that was closed. A file that is not there is fs.ErrNotExist.
	Seal(ctx context.Context, name string) error
	// Open reads a file that was sealed or closed, from its begin. Reads fail once ctx
	// has ended. A file that is not there is fs.ErrNotExist.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Remove removes a file; one that is not there is fs.ErrNotExist. A file that was sealed
	// stays sealed for who still writes it; if it was not, what that writer is told is open.
	Remove(ctx context.Context, name string) error
}

// File is a file that is being written. It belongs to one goroutine. After an error of Write
// or Flush only Close may follow.
type File interface {
	// Write appends p, all of it, and does not use it afterwards. Bytes that were not flushed may be there or not when the
	// writer is no more, up to any of them; or be zero, on a disk after a loss of power.
	Write(ctx context.Context, p []byte) error
	// Flush returns nil when all that was written survives the loss of this process and of
	// any one machine that the store is made to survive.
	Flush(ctx context.Context) error
	// Close ends the writing, and flushes nothing. The file can be opened and sealed all the
	// same, whatever Close returns.
	Close(ctx context.Context) error
}
