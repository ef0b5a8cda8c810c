package store

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that the store does not hold the result.
	ErrNotFound = errors.New("result not held")
	// ErrHeld says that the key is taken.
	ErrHeld = errors.New("result held already")
	// ErrClosed says that the store, a Blob or a Writer is closed.
	ErrClosed = errors.New("result store closed")
)

// FullError says that a result fits neither into memory nor onto disk.
type FullError struct {
	Size   uint64 // bytes of the result, as far as they are known
	Used   uint64 // bytes of memory that others take
	Memory uint64 // bytes of memory that there are
	OnDisk uint64 // bytes of disk that others take
	Disk   uint64 // bytes of disk that there are; 0: results may not lie there
}

// Error says what does not fit, and what to do.
func (e *FullError) Error() string {
	disk := "there is no disk for them"
	if e.Disk > 0 {
		disk = fmt.Sprintf("%d of %d on its disk", e.OnDisk, e.Disk)
	}
	return fmt.Sprintf("a result of %d bytes does not fit: results take %d of the worker's %d bytes of memory, and %s; use workers with more memory, or release results earlier", e.Size, e.Used, e.Memory, disk)
}

// DiskError says that the local disk failed or is full; Err tells which (errors.Is with
// syscall.ENOSPC, say).
type DiskError struct {
	Key  Key
	Verb string // keep, read
	Err  error  // the file system's
}

// Error says what was tried, and why it failed.
func (e *DiskError) Error() string {
	return fmt.Sprintf("%s the result of task %s on the worker's disk: %v; free space there, or give workers another local directory", e.Verb, e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// CorruptError says that a block is not what was stored: the disk or memory is broken.
type CorruptError struct {
	Key   Key
	Block int // number of the block of checksum.Block bytes
}

// Error says which result is damaged.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("the result of task %s is damaged in block %d: its checksum differs; look at the disk and memory of this worker", e.Key, e.Block)
}
