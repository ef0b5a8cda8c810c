package shuffle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool takes bytes, the first limit of them into memory. When there are more, all go into
// a file.
type spool struct {
	limit  int64
	size   int64
	chunks [][]byte
	file   *os.File
	w      *bufio.Writer
}

const (
	chunkSize = 256 << 10
	fileWrite = 128 << 10
)

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.size+int64(len(p)) > s.limit {
		if err := s.move(); err != nil {
			return 0, err
		}
	}
	s.size += int64(len(p))
	if s.file != nil {
		if _, err := s.w.Write(p); err != nil {
			return 0, noDisk(err)
		}
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		last := len(s.chunks) - 1
		if last < 0 || len(s.chunks[last]) == cap(s.chunks[last]) {
			s.chunks = append(s.chunks, make([]byte, 0, min(chunkSize, max(int64(len(rest)), s.limit/16))))
			continue
		}
		chunk := s.chunks[last]
		n := copy(chunk[len(chunk):cap(chunk)], rest)
		s.chunks[last], rest = chunk[:len(chunk)+n], rest[n:]
	}
	return len(p), nil
}

// move puts what is in memory into a file.
func (s *spool) move() (err error) {
	if s.file, err = tempFile(); err != nil {
		return err
	}
	s.w = bufio.NewWriterSize(s.file, fileWrite)
	for _, c := range s.chunks {
		if _, err := s.w.Write(c); err != nil {
			return noDisk(err)
		}
	}
	s.chunks = nil
	return nil
}

// flush makes all that was written readable.
func (s *spool) flush() error {
	if s.file == nil {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return noDisk(err)
	}
	return nil
}

// ReadAt implements io.ReaderAt, for what was flushed.
func (s *spool) ReadAt(p []byte, off int64) (n int, err error) {
	if s.file != nil {
		if n, err = s.file.ReadAt(p, off); err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read records from the local disk: %w", err)
		}
		return n, err
	}
	for _, c := range s.chunks {
		if off < int64(len(c)) {
			m := copy(p[n:], c[off:])
			n, off = n+m, off+int64(m)
			if n == len(p) {
				return n, nil
			}
		}
		off -= int64(len(c))
	}
	return n, io.EOF
}

// Close lets everything go. It may be called many times.
func (s *spool) Close() error {
	s.chunks = nil
	if s.file != nil {
		s.file.Close()
	}
	return nil
}

// tempFile returns a file that has no name any more: it is gone when it is closed, or when
// its process ends in whatever way. It lies in the working directory, which in a container
// is on the node's local disks.
func tempFile() (*os.File, error) {
	f, err := os.CreateTemp(".", ".shuffle-")
	if err != nil {
		f, err = os.CreateTemp("", ".shuffle-")
	}
	if err != nil {
		return nil, noDisk(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, noDisk(err)
	}
	return f, nil
}

func noDisk(err error) error {
	return fmt.Errorf("keep on the local disk what does not fit into memory: %w; free space there, or give the shuffle more memory (shuffle.Spec)", err)
}
