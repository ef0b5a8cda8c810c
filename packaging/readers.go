package packaging

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
)

// errChanged is a source that did not stay what it was when it was hashed.
var errChanged = errors.New("the file changed while it was being uploaded; submit again when it is at rest")

// verifyingReader reads a file for an upload and fails at its end unless it
// had the contents that were hashed before, so that what is published under a
// hash has that hash.
type verifyingReader struct {
	f        *os.File
	want     [32]byte
	size     int64
	h        hash.Hash
	n        int64
	progress func(sent int64)
}

func (v *verifyingReader) Read(b []byte) (int, error) {
	if v.h == nil {
		v.h = sha256.New()
	}
	n, err := v.f.Read(b)
	v.h.Write(b[:n])
	v.n += int64(n)
	if v.n > v.size {
		return 0, errChanged
	}
	if err == io.EOF && [32]byte(v.h.Sum(nil)) != v.want {
		return n, errChanged
	}
	if v.progress != nil && n > 0 {
		v.progress(v.n)
	}
	return n, err
}

// Seek implements io.Seeker for an upload that begins again: to the start is
// the only way it goes.
func (v *verifyingReader) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekCurrent && offset == 0 {
		return v.n, nil
	}
	if whence != io.SeekStart || offset != 0 {
		return 0, errors.ErrUnsupported
	}
	v.h, v.n = nil, 0
	return v.f.Seek(0, io.SeekStart)
}

// contextReader ends with a context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(b)
}
