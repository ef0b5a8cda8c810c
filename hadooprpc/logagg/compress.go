package logagg

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/zlib"
)

// region is a part of a file: where it lies and how long it is before and
// after decompression, in bytes.
type region struct{ offset, size, raw int64 }

// check makes sure that a region lies within a file.
func (r region) check(fileSize int64) error {
	if r.offset < 0 || r.size < 0 || r.raw < 0 || r.offset > fileSize || r.size > fileSize-r.offset {
		return corrupt("a region of %d bytes at %d in a file of %d", r.size, r.offset, fileSize)
	}
	return nil
}

// decompress returns the contents of a region, never more than its raw size.
// The algorithm called "gz" is zlib's format, not gzip's: Hadoop's
// DefaultCodec.
func decompress(f io.ReaderAt, r region, algorithm string) (io.Reader, error) {
	compressed := io.NewSectionReader(f, r.offset, r.size)
	switch algorithm {
	case "none":
		if r.raw != r.size {
			return nil, corrupt("an uncompressed region of %d bytes in %d", r.raw, r.size)
		}
		return compressed, nil
	case "gz":
		if r.raw == 0 {
			return io.LimitReader(compressed, 0), nil
		}
		return io.LimitReader(&zlibStreams{src: bufio.NewReaderSize(compressed, 64<<10)}, r.raw), nil
	}
	return nil, &compressionError{algorithm}
}

// compressionError is a compression that Hadoop knows and we do not.
type compressionError struct{ algorithm string }

func (e *compressionError) Error() string {
	return "they are compressed with " + e.algorithm + ", which is not supported (yarn.nodemanager.log-aggregation.compression-type; none and gz are); use: yarn logs"
}

// zlibStreams reads one zlib stream after the other: Hadoop ends one and
// begins another whenever its writer is flushed.
type zlibStreams struct {
	src *bufio.Reader
	z   io.ReadCloser
}

func (s *zlibStreams) Read(b []byte) (int, error) {
	for {
		if s.z == nil {
			if _, err := s.src.Peek(1); err != nil {
				return 0, err
			}
			z, err := zlib.NewReader(s.src)
			if err != nil {
				return 0, unexpected(err)
			}
			s.z = z
		}
		n, err := s.z.Read(b)
		if err == io.EOF {
			s.z, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}
