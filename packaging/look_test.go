package packaging

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// A look tells what Put would do, and leaves no trace.
func TestLookCacheChangesNothing(t *testing.T) {
	home, index := t.TempDir(), filepath.Join(t.TempDir(), "yarnd", "index.json")
	file := filepath.Join(t.TempDir(), "data.txt")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	fsys := hdfs.NewLocal(hdfs.LocalOptions{Home: home})
	look, err := LookCache(fsys, CacheOptions{Index: index})
	if err != nil {
		t.Fatal(err)
	}
	s := Spec{Source: file, Name: "data", Kind: File}
	r, err := look.Put(t.Context(), s)
	if err != nil || !r.Uploaded || r.Size != 4 || r.URL != "" {
		t.Errorf("before: %+v, %v", r, err)
	}
	for _, dir := range []string{home, filepath.Dir(filepath.Dir(index))} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
	c, err := OpenCache(t.Context(), fsys, CacheOptions{Index: "-"})
	if err != nil {
		t.Fatal(err)
	}
	put, err := c.Put(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = look.Put(t.Context(), s); err != nil || r.Uploaded || r.URL != put.URL {
		t.Errorf("after: %+v, %v, want %s", r, err, put.URL)
	}
	if _, err := os.Stat(index); err == nil {
		t.Error("the index was written")
	}
}

// Also with an examiner that writes for others, beside an entry that was used long ago
// and the remains of an upload, a look leaves everything as it is.
func TestLookCacheSharesAnExaminer(t *testing.T) {
	const settled = "/etc/passwd" // its times are old enough for the index
	fsys, index := localFS(t), filepath.Join(t.TempDir(), "index.json")
	c, err := OpenCache(t.Context(), fsys, CacheOptions{Index: "-"})
	if err != nil {
		t.Fatal(err)
	}
	s := Spec{Source: settled, Name: "data", Kind: File}
	put, err := c.Put(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	age(t, put, 100*time.Hour)
	dir := c.entryDir(put.SHA256)
	rest := write(t, path.Join(dir, ".rest"), []byte("rest"))
	if err := os.Chtimes(rest, time.Time{}, time.Now().Add(-2*abandonedAge)); err != nil {
		t.Fatal(err)
	}
	before := tree(t, fsys, c.dir)

	writes := NewExaminer(CacheOptions{Index: index})
	look, err := LookCache(fsys, CacheOptions{Examiner: writes})
	if err != nil {
		t.Fatal(err)
	}
	if err := look.Check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if l, err := look.NewLease(t.Context(), s); err != nil || !slices.Equal(l.Entries, []string{hexOf(put.SHA256)}) {
		t.Errorf("lease: %+v, %v", l, err)
	}
	if r, err := look.Put(t.Context(), s); err != nil || r.Uploaded || r.URL != put.URL {
		t.Errorf("%+v, %v, want %s", r, err, put.URL)
	}
	l := &leasing{held: map[string]string{}}
	for range 2 { // nothing goes the first time
		if gone, err := look.GC(t.Context(), l.get, time.Hour, false); err != nil || len(gone) != 1 || gone[0].URL != put.URL {
			t.Errorf("would remove %+v, %v", gone, err)
		}
	}
	l.held[hexOf(put.SHA256)] = "application_1_1"
	if gone, err := look.Remove(t.Context(), l.get, []Entry{{Hash: hexOf(put.SHA256)}}); err != nil || len(gone) != 0 {
		t.Errorf("would remove what is in use: %+v, %v", gone, err)
	}
	if after := tree(t, fsys, c.dir); !slices.Equal(before, after) {
		t.Errorf("the cache was %q, is %q", before, after)
	}
	if b, err := os.ReadFile(index); err == nil {
		t.Errorf("the index was written: %s", b)
	}
	if _, known, _ := writes.known(settled, Limits{}, statOfFile(t, settled)); !known {
		t.Error("what the look found out is forgotten")
	}

	// The index is read, and what others wrote there stays.
	if err := NewExaminer(CacheOptions{Index: index}).Check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	looks := LookExaminer(CacheOptions{Index: index})
	if _, known, _ := looks.known(settled, Limits{}, statOfFile(t, settled)); !known {
		t.Error("the index was not read")
	}
	if look, err = LookCache(fsys, CacheOptions{Examiner: looks}); err != nil {
		t.Fatal(err)
	}
	if _, err := look.Put(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(index); err != nil || !bytes.Equal(now, written) {
		t.Errorf("the index changed to %s, %v", now, err)
	}
}

func statOfFile(t *testing.T, name string) fileStat {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return statOf(st)
}
