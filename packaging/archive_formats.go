package packaging

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// tarGz visits the entries of a compressed tar and reads it to the very end,
// so that gzip's checksum and length are compared.
func (c *checker) tarGz(r io.Reader) error {
	gz, err := gzip.NewReader(r)
	if err != nil {
		return refuse("", "", "it is no gzip file: %v", err)
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

// zip visits the entries that the directory at the end of a zip lists.
func (c *checker) zip(f *os.File) error {
	z, err := zip.NewReader(f, c.size)
	if err != nil {
		return refuse("", "", "it is no whole zip file: %v", err)
	}
	z.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser { return flate.NewReader(r) })
	for _, h := range z.File {
		if h.Flags&1 != 0 {
			return refuse(h.Name, "", "it is encrypted")
		}
		if err := c.zipEntry(h); err != nil {
			return damaged(err)
		}
	}
	return nil
}

// maxLink bounds the target of a symbolic link, in bytes.
const maxLink = 4096

func (c *checker) zipEntry(h *zip.File) error {
	e := entry{mode: h.Mode(), size: int64(h.UncompressedSize64)}
	if e.size < 0 {
		return refuse(h.Name, "", "its header gives an impossible size")
	}
	r, err := h.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if e.mode&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(r, maxLink+1))
		if err != nil {
			return err
		}
		if len(target) > maxLink {
			return refuse(h.Name, "", "its link target has more than %d bytes", maxLink)
		}
		e.target = string(target)
		return c.add(h.Name, e, nil)
	}
	if e.mode.IsDir() {
		return c.add(h.Name, e, nil)
	}
	return c.add(h.Name, e, r)
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
