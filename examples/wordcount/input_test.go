package main

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

func pack(t *testing.T, to func(io.Writer) io.WriteCloser, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := to(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gz(w io.Writer) io.WriteCloser      { return gzip.NewWriter(w) }
func deflate(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }

// tree writes files below a new directory and returns its file system.
func tree(t *testing.T, files map[string]string) hdfs.FS {
	t.Helper()
	home := t.TempDir()
	for name, text := range files {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fs := hdfs.NewLocal(hdfs.LocalOptions{Home: home})
	t.Cleanup(func() { fs.Close() })
	return fs
}

func countAll(t *testing.T, fs hdfs.FS, in ...string) (map[string]int64, error) {
	t.Helper()
	work, err := splits(t.Context(), fs, in)
	if err != nil {
		return nil, err
	}
	got := map[string]int64{}
	for _, s := range work {
		words, err := count(t.Context(), fs, s)
		if err != nil {
			return nil, err
		}
		for w, n := range words {
			got[w] += *n
		}
	}
	return got, nil
}

func TestInputs(t *testing.T) {
	fs := tree(t, map[string]string{
		"in/a.txt":     "\xef\xbb\xbfto be\r\nor\fnot\r",
		"in/b.gz":      pack(t, gz, "to \xff") + pack(t, gz, "be\n"), // two members: one word goes on
		"in/c.deflate": pack(t, deflate, strings.Repeat("long ", 500_000)),
		"in/d.bz2":     "BZh91AY&SYN\xec\xe86\x00\x00\x02Q\x80\x00\x10@\x00\x06D\x90\x80 \x001\x06LA\x01\xa7\xa9\xa5\x80\xbb\x941\xf8\xbb\x92)\xc2\x84\x82wgA\xb0",
		"in/deep/e":    "deep",
		"in/empty":     "",
		"in/_SUCCESS":  "hidden",
		"in/.crc":      "hidden",
		"in/_logs/x":   "hidden",
		"alone":        "alone",
	})
	got, err := countAll(t, fs, "in", "alone")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"to": 2, "be": 1, "or": 1, "not": 1, "\uFFFDbe": 1, "long": 500_000, "hello": 1, "world": 1, "deep": 1, "alone": 1}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What cannot be read whole is an error, not a smaller count.
func TestInputsRefused(t *testing.T) {
	whole := pack(t, gz, strings.Repeat("some words ", 1000))
	for name, text := range map[string]string{"x.zst": "x", "cut.gz": whole[:len(whole)-9], "no.gz": "plain", "no.bz2": "plain"} {
		if got, err := countAll(t, tree(t, map[string]string{name: text}), name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	fs := tree(t, map[string]string{"short": "one two three"})
	work, err := splits(t.Context(), fs, []string{"short"})
	if err != nil {
		t.Fatal(err)
	}
	work[0].Span.Length++
	if got, err := count(t.Context(), fs, work[0]); err == nil {
		t.Errorf("a file that is shorter than it was: %v", got)
	}
}
