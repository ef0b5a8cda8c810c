package packaging

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/klauspost/compress/flate"
)

// zip visits the entries that the directory at the end of a zip lists, after
// making sure that reading it from its begin gives the same ones.
func (c *checker) zip(f *os.File) error {
	z, err := zip.NewReader(f, c.size)
	if err != nil {
		return &ArchiveError{Why: "it is no whole zip file: " + err.Error(), Hint: "copy or pack it again", Err: err}
	}
	if int64(len(z.File)) > c.limits.Entries {
		return refuse("", "", "it has more than %d entries", c.limits.Entries)
	}
	for _, h := range z.File {
		if h.Flags&1 != 0 {
			return refuse(h.Name, "pack it without a password", "it is encrypted")
		}
	}
	if err := zipLayout(f, z.File); err != nil {
		return damaged(err)
	}
	z.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser { return flate.NewReader(r) })
	for _, h := range z.File {
		if err := c.zipEntry(h); err != nil {
			return damaged(err)
		}
	}
	return nil
}

// zipHeader is the length of the fixed part of a local header:
//
//	0   4  "PK" 3 4
//	4  22  version, flags, method, time, checksum, sizes
//	26  2  length n of the name
//	28  2  length m of the extra field
//	30     name, extra field, contents, perhaps a descriptor
const zipHeader = 30

// descriptors are the possible lengths of what stands behind the contents of an
// entry whose size was not known before: checksum and two sizes of 4 or 8 bytes,
// with or without a signature.
var descriptors = []int64{0, 12, 16, 20, 24}

// zipLayout makes sure that the entries of the directory stand in the file one
// behind the other from its very begin to the directory, under the same names.
// A node manager reads a zip from its begin and never sees the directory:
// entries that only one of the two shows would get past our checks. Entries that
// share bytes, as the densest bombs do, cannot be laid out so either.
func zipLayout(r io.ReaderAt, files []*zip.File) error {
	files = slices.Clone(files)
	offsets := make(map[*zip.File]int64, len(files))
	for _, h := range files {
		off, err := h.DataOffset()
		if err != nil {
			return err
		}
		offsets[h] = off
	}
	slices.SortStableFunc(files, func(a, b *zip.File) int { return cmp.Compare(offsets[a], offsets[b]) })
	var end int64
	for i, h := range files {
		begin := offsets[h]
		if begin < end {
			return refuse(h.Name, "", "its contents overlap those of another entry")
		}
		if !localHeader(r, end, begin, h.Name, i > 0) {
			return refuse(h.Name, "unpack it and pack it again", "the bytes before it are not its header: another reader would find other entries there")
		}
		size := int64(h.CompressedSize64)
		if size < 0 || size > 1<<60 {
			return refuse(h.Name, "", "its header gives an impossible size")
		}
		end = begin + size
	}
	if len(files) > 0 && !directoryAt(r, end) {
		return refuse("", "unpack it and pack it again", "there is something between the last entry and the directory")
	}
	return nil
}

// localHeader reports whether the bytes from end to begin are the header of an
// entry, after a descriptor of the entry before.
func localHeader(r io.ReaderAt, end, begin int64, name string, after bool) bool {
	if begin-end > zipHeader+2*65535+24 {
		return false
	}
	gap := make([]byte, begin-end)
	if _, err := r.ReadAt(gap, end); err != nil {
		return false
	}
	for _, d := range descriptors {
		if d > 0 && !after || int64(len(gap)) < d+zipHeader {
			break
		}
		h := gap[d:]
		n, m := binary.LittleEndian.Uint16(h[26:]), binary.LittleEndian.Uint16(h[28:])
		if bytes.HasPrefix(h, []byte("PK\x03\x04")) && zipHeader+int(n)+int(m) == len(h) && string(h[zipHeader:][:n]) == name {
			return true
		}
	}
	return false
}

func directoryAt(r io.ReaderAt, end int64) bool {
	b := make([]byte, 4)
	for _, d := range descriptors {
		if n, _ := r.ReadAt(b, end+d); n == 4 && (string(b) == "PK\x01\x02" || string(b) == "PK\x06\x08") {
			return true
		}
	}
	return false
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
