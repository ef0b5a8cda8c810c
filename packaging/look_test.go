package packaging

import (
	"os"
	"path/filepath"
	"testing"

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
