package packaging

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// tarGz visits the entries of a compressed tar and reads it to the very end,
// so that gzip's checksum and length are compared.
func (c *checker) tarGz(r io.Reader) error {
	gz, err := gzip.NewReader(r)
	if err != nil {
		return damaged(err)
	}
	defer gz.Close()
	tr := tar.NewReader(gz)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return damaged(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // comments, such as the commit that git archive puts there
		}
		e := entry{mode: h.FileInfo().Mode(), size: h.Size, target: h.Linkname, hard: h.Typeflag == tar.TypeLink}
		if err := c.add(h.Name, e, tr); err != nil {
			return damaged(err)
		}
	}
	rest := &countingReader{c: c, name: "what follows the last entry", r: gz}
	_, err = io.Copy(io.Discard, rest)
	c.unpacked -= rest.n // padding is no contents
	return damaged(err)
}

// damaged gives errors of the decoders words that say what they mean.
func damaged(err error) error {
	switch {
	case err == nil || errors.As(err, new(*ArchiveError)):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &ArchiveError{Why: "it is cut short", Hint: "copy or pack it again", Err: err}
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, zip.ErrChecksum), errors.Is(err, gzip.ErrHeader),
		errors.Is(err, tar.ErrHeader), errors.Is(err, zip.ErrFormat), errors.As(err, new(flate.CorruptInputError)):
		return &ArchiveError{Why: fmt.Sprintf("it is damaged (%v)", err), Hint: "copy or pack it again", Err: err}
	}
	return err
}
