package logagg

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strings"
	"testing"
)

// TestIndexThatUnfolds opens a TFile of some kilobytes whose index lists five
// million blocks, each of them of no bytes.
func TestIndexThatUnfolds(t *testing.T) {
	const blocks = 5_000_000
	vint := func(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(append(b, 0x83), uint32(n)) }
	text := func(b []byte, s string) []byte { return append(vint(b, len(s)), s...) }

	index := vint(text(nil, "none"), blocks)
	raw := len(index) + blocks*minRegion
	var file bytes.Buffer
	z := zlib.NewWriter(&file)
	z.Write(index)
	io.CopyN(z, zeros{}, blocks*minRegion)
	z.Close()
	size := file.Len()
	file.Write(vint(vint(vint(text(text(vint(nil, 1), "data:BCFile.index"), "gz"), 0), size), raw))
	file.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	file.Write(append([]byte{0, bcMajor, 0, 0}, bcMagic...))

	_, err := openTFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err == nil || !strings.Contains(err.Error(), "number of blocks") {
		t.Errorf("a file of %d bytes: error %v", file.Len(), err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func FuzzChecksum(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x09nm1_45454\x00\x00\x00\x00\x00\x00\x10\x00"))
	f.Add([]byte("\x7f\xff\xff\xffx"))
	f.Add([]byte("\x00\x00\x00\x03../\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		target, end, ok := parseChecksum(data)
		if ok && (end < 0 || strings.Contains(target, "/") || len(target) > len(data)) {
			t.Errorf("%q reads as %q, %d", data, target, end)
		}
	})
}
