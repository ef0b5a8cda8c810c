package logagg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWriterIsJavas writes again what Java wrote, and wants the same bytes.
func TestWriterIsJavas(t *testing.T) {
	files, _ := filepath.Glob("testdata/golden/TFile-none/alice/*/2345/*/nm*")
	if len(files) != 2 {
		t.Fatal(files)
	}
	for _, file := range files {
		java, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		logs := map[string][]LogFile{}
		_, err = tfileLogs(bytes.NewReader(java), nodeFile{end: int64(len(java))}, Filter{}, func(c string, p part) bool {
			body, err := io.ReadAll(p.body)
			if err != nil {
				t.Fatal(err)
			}
			if logs[c] == nil {
				order = append(order, c)
			}
			logs[c] = append(logs[c], LogFile{p.name, p.size, bytes.NewReader(body)})
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, "alice", map[string]string{"VIEW_APP": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range order {
			if err := w.Container(c, logs[c]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), java) {
			t.Errorf("%s: %d bytes, Java wrote %d, or they differ", file, out.Len(), len(java))
		}
	}
}

// TestWriterBlocksAndChunks writes logs that need several chunks and several blocks.
func TestWriterBlocksAndChunks(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, "bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for i, size := range []int{0, 1, minBlock, maxChunk - 20, maxChunk, 3*maxChunk + 7, 100} {
		id := fmt.Sprintf("container_1_0001_01_%06d", i)
		body := strings.Repeat(fmt.Sprint(i), size)
		want[id+" stdout"], want[id+" stderr"] = body, "e"
		if err := w.Container(id, []LogFile{{"stderr", 1, strings.NewReader("e, and more that came later")}, {"stdout", int64(size), strings.NewReader(body)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("closed twice")
	}
	tf, err := openTFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil || len(tf.blocks) != 5 {
		t.Errorf("%d blocks, %v", len(tf.blocks), err)
	}
	_, err = tfileLogs(bytes.NewReader(out.Bytes()), nodeFile{end: int64(out.Len())}, Filter{}, func(c string, p part) bool {
		body, _ := io.ReadAll(p.body)
		if want[c+" "+p.name] != string(body) {
			t.Errorf("%s %s: %d bytes", c, p.name, len(body))
		}
		delete(want, c+" "+p.name)
		return true
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%d are missing, %v", len(want), err)
	}
}

func TestWriterRefusesShortLogs(t *testing.T) {
	w, _ := NewWriter(io.Discard, "bob", nil)
	if err := w.Container("c", []LogFile{{"stdout", 5, strings.NewReader("four")}}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if err := w.Close(); err == nil {
		t.Error("closed as if nothing had happened")
	}
}

func FuzzVLong(f *testing.F) {
	for _, n := range []int64{0, 127, 128, -32, -33, 5119, 5120, -5120, -5121, 1<<20 - 1, 1 << 20, 1<<27 - 1, 1 << 27, 1 << 31, -1 << 31, 1 << 39, math.MaxInt64, math.MinInt64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		b := appendVLong(nil, n)
		got, err := newSource(bytes.NewReader(b)).vlong()
		if err != nil || got != n {
			t.Errorf("%d: % x reads as %d, %v", n, b, got, err)
		}
	})
}

func FuzzUTF(f *testing.F) {
	for _, s := range []string{"", "stdout", "ä€", "a\x00b", "😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendUTF(nil, s)
		got, err := newSource(bytes.NewReader(b)).utf()
		if err != nil || len(b) < 60_000 && !slices.Equal([]rune(got), []rune(s)) {
			t.Errorf("%q reads as %q, %v", s, got, err)
		}
	})
}
