package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"testing"
)

var testHeader = header{fileID: fileID{segment, 3, 1}, id: journalID{1, 2, 3}, first: 7}

// scan reads blocks, and returns their records and how the file ends.
func scan(t *testing.T, h header, p []byte) ([]string, error) {
	s := newScanner(h, bytes.NewReader(p), headerLen)
	var got []string
	for {
		off := s.off
		f, body, err := s.block()
		if limit := len(p) + 2*step; cap(s.body) > 2*limit {
			t.Fatalf("%d bytes were taken for a file of %d", cap(s.body), len(p))
		}
		if err == nil {
			err = records("x", off, f, body, func(_ uint64, rec []byte) error {
				got = append(got, string(rec))
				return nil
			})
		}
		if err != nil {
			return got, err
		}
	}
}

// framed makes blocks with right checksums out of arbitrary fields.
func framed(p []byte) []byte {
	seed := testHeader.id.seed()
	var out []byte
	for len(p) >= 8 {
		f := frame{end: p[0]&1 != 0, count: uint32(p[1]), first: uint64(p[2]), safe: uint64(p[3]), length: uint32(p[4])}
		n := min(int(p[5]), len(p)-8)
		if p[0]&2 != 0 { // as it should be
			f.length = uint32(n)
		}
		if p[0]&4 != 0 {
			f.length = binary.LittleEndian.Uint32(p[4:])
		}
		body := p[8 : 8+n]
		f.sum = crc32.Update(seed, castagnoli, body)
		head := make([]byte, frameLen)
		f.put(head, seed)
		out = append(append(out, head...), body...)
		p = p[8+n:]
	}
	return append(out, p...)
}

// FuzzScan reads blocks whose checksums are right, and whose fields are anything.
func FuzzScan(f *testing.F) {
	f.Add([]byte{2, 1, 7, 0, 0, 3, 0, 0, 2, 'h', 'i'})
	f.Add([]byte{2, 2, 7, 0, 0, 5, 0, 0, 1, 'h', 2, 'i', 'j', 2, 1, 9, 9, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{4, 1, 7, 0, 0, 0, 0, 8, 2, 'h', 'i'})
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, file := range [][]byte{p, framed(p)} {
			_, err := scan(t, testHeader, file)
			if err != io.EOF && err != errTorn && !errors.As(err, new(*DamageError)) {
				t.Errorf("%v", err)
			}
		}
	})
}

// What the queue frames, the scanner reads.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("one two  four"), 40)
	f.Fuzz(func(t *testing.T, p []byte, size int) {
		q := newQueue(testHeader.first, size%100)
		var want []string
		for rec := range bytes.SplitSeq(p, []byte(" ")) {
			q.append(rec)
			want = append(want, string(rec))
		}
		var file []byte
		for _, b := range q.take(1 << 60) {
			file = append(file, b.seal(0, testHeader.id.seed())...)
		}
		if got, err := scan(t, testHeader, file); err != io.EOF || !slices.Equal(got, want) {
			t.Errorf("%q became %q, %v", want, got, err)
		}
		if q.bytes != len(file) || q.next != testHeader.first+uint64(len(want)) {
			t.Errorf("%d bytes pending of %d, position %d", q.bytes, len(file), q.next)
		}
		q.flushed(q.next)
		if q.bytes != 0 || len(q.blocks) != 0 {
			t.Errorf("%d bytes pending when all is safe", q.bytes)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("epoch-00000000000000000003-0277d1f3")
	f.Add("segment-00000000000000000003-0000000001")
	f.Add("snapshot-18446744073709551615-4294967295")
	f.Add("segment-3-1")
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := parseName(name); ok && id.String() != name {
			t.Errorf("%q is read as %v", name, id)
		}
	})
}

// A length that cannot be is no reason to take memory for it.
func TestLengths(t *testing.T) {
	seed := testHeader.id.seed()
	p := make([]byte, frameLen)
	frame{length: maxBody, count: 1, first: 7}.put(p, seed)
	if _, err := scan(t, testHeader, p); err != errTorn {
		t.Error(err)
	}
	frame{length: maxBody + 1, count: 1, first: 7}.put(p, seed)
	if _, err := scan(t, testHeader, append(p, 1)); err != errTorn {
		t.Error(err)
	}
}

func TestHeaderVersions(t *testing.T) {
	p := appendHeader(nil, testHeader)
	if h, err := parseHeader(testHeader.fileID, p); err != nil || h != testHeader {
		t.Errorf("%+v, %v", h, err)
	}
	p[8] = 2
	le.PutUint32(p[60:], crc32.Checksum(p[:60], castagnoli))
	var v *VersionError
	if _, err := parseHeader(testHeader.fileID, p); !errors.As(err, &v) || v.Version != 2 {
		t.Error(err)
	}
}
