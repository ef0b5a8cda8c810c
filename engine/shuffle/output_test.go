package shuffle

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

type sizedBytes struct{ *bytes.Reader }

func (s sizedBytes) Size() int64 { return s.Reader.Size() }

func written(t testing.TB, who maker, limit int64, parts ...[]string) []byte {
	t.Helper()
	to := &spool{limit: limit}
	defer to.Close()
	w := &outputWriter{to: to, who: who}
	for _, keys := range parts {
		if err := w.begin(); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if err := w.add([]byte(k), []byte("value of "+k)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(io.NewSectionReader(to, 0, to.size))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOutput(t *testing.T) {
	who := maker{Run: RunID{1, 2}, Map: 7, Attempt: 3, Parts: 300}
	parts := make([][]string, 300)
	parts[0], parts[299], parts[17] = []string{"a", "b"}, []string{"z"}, []string{strings.Repeat("long", 3000)}
	for _, limit := range []int64{0, 100, 1 << 20} {
		data := sizedBytes{bytes.NewReader(written(t, who, limit, parts...))}
		for p, want := range parts {
			s, err := findSegment(data, who, p)
			if err != nil || s.records != uint64(len(want)) {
				t.Fatalf("partition %d: %+v, %v", p, s, err)
			}
			c := &cursor{from: data, off: s.off, end: s.off + s.size, buf: make([]byte, 0, 16)}
			var got []string
			for {
				ok, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				got = append(got, string(c.key))
			}
			if !slices.Equal(got, want) {
				t.Errorf("partition %d: %.100q", p, got)
			}
		}
	}
}

// A result of another run, map task or number of partitions is not taken for one's own;
// nor is a damaged one.
func TestFenced(t *testing.T) {
	who := maker{Run: RunID{1, 2}, Map: 7, Attempt: 3, Parts: 2}
	data := written(t, who, 1<<20, []string{"a"}, []string{"b"})
	for _, change := range []func(*maker){
		func(m *maker) { m.Run[0]++ }, func(m *maker) { m.Map++ }, func(m *maker) { m.Parts-- },
	} {
		other := who
		change(&other)
		if _, err := findSegment(sizedBytes{bytes.NewReader(data)}, other, 0); err == nil {
			t.Errorf("%+v was taken for %+v", who, other)
		}
	}
	other := who
	other.Attempt = 9 // whichever attempt it was that the engine chose
	if _, err := findSegment(sizedBytes{bytes.NewReader(data)}, other, 0); err != nil {
		t.Error(err)
	}
	index := len(data) - trailerLen - 2*entryLen
	for i := index; i < len(data); i++ {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		_, err0 := findSegment(sizedBytes{bytes.NewReader(bad)}, who, 0)
		_, err1 := findSegment(sizedBytes{bytes.NewReader(bad)}, who, 1)
		if err0 == nil && err1 == nil {
			t.Errorf("byte %d of %d may be wrong", i, len(data))
		}
	}
	if _, err := findSegment(sizedBytes{bytes.NewReader(data[:20])}, who, 0); !errors.Is(err, errOutput) {
		t.Errorf("a short one: %v", err)
	}
}

func FuzzFindSegment(f *testing.F) {
	who := maker{Run: RunID{1}, Map: 1, Parts: 2}
	f.Add(written(f, who, 1<<20, []string{"a"}, []string{"b"}), 1)
	f.Add([]byte("yarndshf"), 0)
	f.Fuzz(func(t *testing.T, data []byte, part int) {
		if part < 0 || part > 1 {
			return
		}
		s, err := findSegment(sizedBytes{bytes.NewReader(data)}, who, part)
		if err == nil && (s.off < 0 || s.size < 0 || s.off+s.size > int64(len(data))) {
			t.Fatalf("%+v of %d bytes", s, len(data))
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(appendRecord(appendRecord(nil, []byte("k"), []byte("v")), nil, nil), 1)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x03, 0x00}, 4)
	f.Add([]byte{0x80}, 100)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if size < 0 || size > 1<<16 {
			return
		}
		c := &cursor{from: bytes.NewReader(data), end: int64(len(data)), buf: make([]byte, 0, size)}
		var again []byte
		for {
			ok, err := c.next()
			if err != nil {
				return
			}
			if !ok {
				break
			}
			again = appendRecord(again, c.key, c.value)
		}
		if len(again) > len(data) { // longer forms of a length are read too
			t.Fatalf("%d bytes became %d", len(data), len(again))
		}
	})
}
