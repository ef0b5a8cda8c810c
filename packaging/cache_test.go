package packaging

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// write makes a local file whose times are old enough for the index.
func write(t testing.TB, file string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// tree lists all that is below a directory.
func tree(t *testing.T, fsys hdfs.FS, dir string) []string {
	t.Helper()
	infos, err := fsys.ReadDir(context.Background(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range infos {
		if i.IsDir {
			names = append(names, tree(t, fsys, i.Path)...)
		} else {
			names = append(names, i.Path)
		}
	}
	return names
}

// testCache is what a cache has to do on every file system.
func testCache(t *testing.T, fsys hdfs.FS, root string) {
	ctx := t.Context()
	open := func(t *testing.T, o CacheOptions) *Cache {
		t.Helper()
		if o.Dir == "" {
			o.Dir = path.Join(root, path.Base(t.Name()), "cache")
		}
		if o.Index == "" {
			o.Index = filepath.Join(t.TempDir(), "index.json")
		}
		c, err := OpenCache(ctx, fsys, o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	put := func(t *testing.T, c *Cache, spec string, kind Kind) Resource {
		t.Helper()
		s, err := ParseSpec(spec, kind)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Put(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	t.Run("SecondTime", func(t *testing.T) {
		c := open(t, CacheOptions{})
		data := []byte("some contents")
		file := write(t, t.TempDir()+"/a file.bin", data)
		r := put(t, c, file+"#link", File)
		if !r.Uploaded || r.Name != "link" || r.Size != int64(len(data)) || r.SHA256 != sha256.Sum256(data) {
			t.Errorf("first: %+v", r)
		}
		info, err := fsys.Stat(ctx, r.URL)
		if err != nil || info.ModTimeMs != r.ModTimeMs || info.Length != r.Size || info.Perm != 0o600 || info.Name() != "a_file.bin" {
			t.Errorf("entry %+v, %v", info, err)
		}
		for p := path.Dir(info.Path); p != path.Dir(c.dir); p = path.Dir(p) {
			if d, err := fsys.Stat(ctx, p); err != nil || d.Perm != 0o700 {
				t.Errorf("%s has mode %v, %v", p, d.Perm, err)
			}
		}
		again := put(t, c, file+"#other", File)
		want := r
		want.Uploaded, want.Name = false, "other"
		if again != want {
			t.Errorf("second: %+v, want %+v", again, want)
		}
		copied := write(t, t.TempDir()+"/copy.dat", data)
		if r := put(t, open(t, CacheOptions{Dir: c.dir}), copied, File); r.Uploaded || r.URL != again.URL {
			t.Errorf("the same contents under another name: %+v", r)
		}
		if got := tree(t, fsys, c.dir); len(got) != 1 {
			t.Errorf("the cache has %q", got)
		}
		if err := c.Verify(ctx, r); err != nil {
			t.Error(err)
		}
	})

	t.Run("Archive", func(t *testing.T) {
		c := open(t, CacheOptions{})
		b := tarGz(t, dirEntry("bin"), fileEntry("bin/python", "#!"))
		plain := write(t, t.TempDir()+"/blob", b)
		asFile := put(t, c, plain, File)
		file := write(t, t.TempDir()+"/env.tar.gz", b)
		r := put(t, c, file+"#env", Archive)
		if !r.Uploaded || r.Kind != Archive || !strings.HasSuffix(r.URL, "/env.tar.gz") || path.Dir(r.URL) != path.Dir(asFile.URL) {
			t.Errorf("an archive needs a name that node managers unpack: %+v", r)
		}
		if r := put(t, c, file+"#env", Archive); r.Uploaded {
			t.Error("uploaded twice")
		}
		bad := write(t, t.TempDir()+"/bad.tgz", b[:len(b)/2])
		var ae *ArchiveError
		if _, err := c.Put(ctx, Spec{Source: bad, Name: "bad", Kind: Archive}); !errors.As(err, &ae) {
			t.Errorf("a damaged archive gives %v", err)
		}
		if got := tree(t, fsys, c.dir); len(got) != 2 {
			t.Errorf("the cache has %q", got)
		}
	})

	t.Run("InPlace", func(t *testing.T) {
		c := open(t, CacheOptions{})
		name := path.Dir(c.dir) + "/shared.zip"
		if _, err := hdfs.WriteFile(ctx, fsys, name, []byte("zip"), 0o644); err != nil {
			t.Fatal(err)
		}
		url, err := fsys.URL(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(url, "hdfs:") { // a file: URL names a local file
			info, _ := fsys.Stat(ctx, name)
			r := put(t, c, url+"#z", Archive)
			if want := (Resource{Name: "z", URL: url, Size: 3, ModTimeMs: info.ModTimeMs, Kind: Archive}); r != want {
				t.Errorf("%+v, want %+v", r, want)
			}
			_, err := c.Put(ctx, Spec{Source: url + ".absent", Name: "x"})
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v", err)
			}
		}
		if _, err := c.Put(ctx, Spec{Source: "s3a://b/x.zip", Name: "x"}); err == nil {
			t.Error("another file system was accepted")
		}
	})

	t.Run("Tampered", func(t *testing.T) {
		c := open(t, CacheOptions{})
		file := write(t, t.TempDir()+"/f", []byte("original"))
		r := put(t, c, file, File)
		tampered := func(why string) {
			t.Helper()
			var te *TamperedError
			if _, err := c.Put(ctx, Spec{Source: file, Name: "f"}); !errors.As(err, &te) || !strings.Contains(te.Why, why) {
				t.Errorf("error %v, want one that says %q", err, why)
			}
		}
		rewrite := func(data string) {
			t.Helper()
			for old := r.ModTimeMs; ; { // until the clock has moved
				info, err := hdfs.WriteFile(ctx, fsys, r.URL, []byte(data), 0o600)
				if err != nil {
					t.Fatal(err)
				}
				if info.ModTimeMs != old {
					return
				}
			}
		}
		rewrite("shorter")
		tampered("it has 7 bytes")
		rewrite("ORIGINAL")
		tampered("another hash")
		rewrite("original") // cleaned up and brought again by another host
		if again := put(t, c, file, File); again.Uploaded || again.ModTimeMs == r.ModTimeMs {
			t.Errorf("honest contents: %+v", again)
		}
		if err := fsys.Chmod(ctx, r.URL, 0o644); err != nil {
			t.Fatal(err)
		}
		tampered("mode is 0644")
	})

	t.Run("ChangesWhileUploaded", func(t *testing.T) {
		c := open(t, CacheOptions{})
		file := write(t, t.TempDir()+"/f", bytes.Repeat([]byte("a"), 1<<20))
		changed := false
		c.opts.Progress = func(_ string, sent, all int64) {
			if !changed && sent < all {
				changed = true
				f, err := os.OpenFile(file, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteAt([]byte("b"), all-1); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := c.Put(ctx, Spec{Source: file, Name: "f"})
		if !changed || !errors.Is(err, errChanged) {
			t.Errorf("error %v", err)
		}
		if got := tree(t, fsys, c.dir); len(got) != 0 {
			t.Errorf("the cache has %q", got)
		}
	})

	t.Run("Race", func(t *testing.T) {
		c := open(t, CacheOptions{})
		file := write(t, t.TempDir()+"/f", bytes.Repeat([]byte("race"), 50_000))
		var wg sync.WaitGroup
		rs := make([]Resource, 5)
		for i := range rs {
			wg.Go(func() {
				var err error
				if rs[i], err = c.Put(ctx, Spec{Source: file, Name: "f"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		uploads := 0
		for _, r := range rs {
			if r.Uploaded {
				uploads++
			}
			if r.URL != rs[0].URL || r.ModTimeMs != rs[0].ModTimeMs {
				t.Errorf("%+v and %+v", r, rs[0])
			}
		}
		if got := tree(t, fsys, c.dir); len(got) != 1 || uploads != 1 {
			t.Errorf("the cache has %q after %d uploads that count", got, uploads)
		}
	})

	t.Run("Refuses", func(t *testing.T) {
		c := open(t, CacheOptions{})
		for _, source := range []string{t.TempDir() + "/absent", t.TempDir(), "/dev/null"} {
			var se *SpecError
			if _, err := c.Put(ctx, Spec{Source: source, Name: "x"}); !errors.As(err, &se) || !strings.Contains(err.Error(), source) {
				t.Errorf("%s: error %v", source, err)
			}
		}
		open2 := path.Join(root, "open")
		if err := fsys.MkdirAll(ctx, open2, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenCache(ctx, fsys, CacheOptions{Dir: open2, Index: "-"}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a cache that others can read: %v", err)
		}
	})
}

func TestCacheLocal(t *testing.T) {
	dir := t.TempDir()
	testCache(t, hdfs.NewLocal(hdfs.LocalOptions{Home: dir}), dir)
	c, err := OpenCache(t.Context(), hdfs.NewLocal(hdfs.LocalOptions{Home: dir + "/h"}), CacheOptions{Index: "-"})
	if err != nil {
		t.Fatal(err)
	}
	if c.dir != dir+"/h/.yarnd/cache" {
		t.Errorf("the cache is in %s", c.dir)
	}
}

// TestIndexTrust looks whether a hash is used only for the very state of the
// file that had it.
func TestIndexTrust(t *testing.T) {
	fsys := hdfs.NewLocal(hdfs.LocalOptions{Home: t.TempDir()})
	c, err := OpenCache(t.Context(), fsys, CacheOptions{Index: filepath.Join(t.TempDir(), "sub", "index.json")})
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, t.TempDir()+"/f", []byte("one"))
	sum := func() [32]byte {
		t.Helper()
		r, err := c.Put(t.Context(), Spec{Source: file, Name: "f"})
		if err != nil {
			t.Fatal(err)
		}
		return r.SHA256
	}
	st := func() fileStat {
		i, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return statOf(i)
	}
	if sum() != sha256.Sum256([]byte("one")) {
		t.Error("wrong hash")
	}
	if _, _, ok := c.index.load().find(file, st()); ok {
		t.Error("a file changed a moment ago was remembered")
	}
	// A false hash under the present state is used: the index works.
	fake := sha256.Sum256([]byte("two"))
	if err := c.index.change(t.Context(), func(d *indexData) {
		d.Files[file] = indexFile{Stat: st(), SHA256: hexOf(fake), Used: time.Now()}
	}); err != nil {
		t.Fatal(err)
	}
	if got, _, ok := c.index.load().find(file, st()); !ok || got != fake {
		t.Error("the index does not find what it has")
	}
	// The same state but for the change time, which nobody can set, is not.
	mtime := time.Unix(0, st().Mtime)
	write(t, file, []byte("two"))
	if err := os.Chtimes(file, mtime, mtime); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := c.index.load().find(file, st()); ok {
		t.Error("a changed file with its old modification time was taken for the old one")
	}
	if sum() != sha256.Sum256([]byte("two")) {
		t.Error("wrong hash after a change")
	}
	write(t, c.index.path, []byte("{damaged"))
	if sum() != sha256.Sum256([]byte("two")) {
		t.Error("wrong hash with a damaged index")
	}
	if info, err := os.Stat(filepath.Dir(c.index.path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("index directory %v, %v", info.Mode(), err)
	}
}

func TestIndexForgets(t *testing.T) {
	m := map[string]int64{}
	for i := range int64(maxIndexFiles + 1) {
		m[strings.Repeat("x", int(i%7))+time.Unix(i, 0).String()] = i
	}
	prune(m, func(v int64) time.Time { return time.Unix(v, 0) })
	if len(m) != maxIndexFiles*9/10 {
		t.Errorf("%d left", len(m))
	}
	for _, v := range m {
		if v < maxIndexFiles/10 {
			t.Errorf("%d, one of the oldest, is left", v)
		}
	}
}

func TestIndexIsShared(t *testing.T) {
	x := index{path: filepath.Join(t.TempDir(), "index.json")}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := x.change(t.Context(), func(d *indexData) {
				d.Remote[string(rune('a'+i))] = indexRemote{ModTimeMs: int64(i), Used: time.Now()}
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(x.load().Remote); n != 20 {
		t.Errorf("%d of 20 changes are there", n)
	}
}

// The advice of a refusal can be typed as it is.
func TestTamperedErrorNamesTheEntry(t *testing.T) {
	err := &TamperedError{URL: "hdfs://nn:8020/user/alice/.yarnd/cache/sha256/ab/abcd/yarnd", Why: "w"}
	if want := "yarnd env rm hdfs://nn:8020/user/alice/.yarnd/cache/sha256/ab/abcd/yarnd"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %q, want it to end with %q", err, want)
	}
}
