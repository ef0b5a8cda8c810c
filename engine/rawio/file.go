package rawio

import (
	"fmt"
	"os"
)

// File is an end of a pipe. Read is for one goroutine at a time.
type File struct {
	*os.File
	Writer
	r *half
}

// NewFile returns f for reading or writing. f must be one that does not block.
func NewFile(f *os.File) (*File, error) {
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return &File{File: f, Writer: Writer{w: newWriter(rc)}, r: newReader(rc)}, nil
}

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) { return f.r.read(p) }

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) { return f.Writer.Write(p) }
