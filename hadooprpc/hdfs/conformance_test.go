package hdfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// pattern is n bytes that differ from place to place.
func pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

// testFS is what every FS has to fulfil. blockSize is a small block size that
// the file system accepts, so that files of several blocks stay small.
func testFS(t *testing.T, fsys FS, root string, blockSize int64) {
	ctx := t.Context()
	// dir gives each part a directory of its own.
	dir := func(t *testing.T) string {
		t.Helper()
		d := path.Join(root, strings.ReplaceAll(path.Base(t.Name()), "/", "-"))
		must(t, fsys.RemoveAll(ctx, d))
		must(t, fsys.MkdirAll(ctx, d, 0o755))
		t.Cleanup(func() { must(t, fsys.RemoveAll(context.Background(), d)) })
		return d
	}
	put := func(t *testing.T, name string, data []byte) {
		t.Helper()
		_, err := WriteFile(ctx, fsys, name, data, 0o644)
		must(t, err)
	}
	names := func(t *testing.T, d string) string {
		t.Helper()
		infos, err := fsys.ReadDir(ctx, d)
		must(t, err)
		var s []string
		for _, i := range infos {
			s = append(s, i.Name())
		}
		return strings.Join(s, " ")
	}

	t.Run("Stat", func(t *testing.T) {
		d := dir(t)
		before := time.Now().Add(-time.Minute).UnixMilli()
		info, err := WriteFile(ctx, fsys, d+"/f", []byte("hello"), 0o640)
		must(t, err)
		got, err := fsys.Stat(ctx, d+"/f")
		must(t, err)
		if got != info {
			t.Errorf("Stat says %+v, WriteFile said %+v", got, info)
		}
		if got.Path != d+"/f" || got.Name() != "f" || got.Length != 5 || got.Perm != 0o640 || got.IsDir || got.Owner != fsys.User() || got.Replication < 1 || got.BlockSize < 1 {
			t.Errorf("file is %+v", got)
		}
		if got.ModTimeMs < before || got.ModTimeMs > time.Now().Add(time.Minute).UnixMilli() {
			t.Errorf("modification time %d is not now in milliseconds", got.ModTimeMs)
		}
		got, err = fsys.Stat(ctx, d)
		must(t, err)
		if !got.IsDir || got.Length != 0 || got.Perm != 0o755 {
			t.Errorf("directory is %+v", got)
		}
		_, err = fsys.Stat(ctx, d+"/absent")
		wants(t, err, fs.ErrNotExist)
	})

	t.Run("Names", func(t *testing.T) {
		d := dir(t)
		put(t, d+"/a b%20c", []byte("x"))
		url, err := fsys.URL(d + "/a b%20c")
		must(t, err)
		for _, name := range []string{d + "//a b%20c", d + "/./a b%20c", d + "/x/../a b%20c", url} {
			info, err := fsys.Stat(ctx, name)
			must(t, err)
			if info.Path != d+"/a b%20c" {
				t.Errorf("%s is %s", name, info.Path)
			}
		}
		rel, err := fsys.Resolve("some/file")
		must(t, err)
		if rel != fsys.Home()+"/some/file" {
			t.Errorf("relative name is %s", rel)
		}
		_, err = fsys.Stat(ctx, "s3a://bucket/x")
		wants(t, err, fs.ErrInvalid)
		_, err = fsys.Stat(ctx, "")
		wants(t, err, fs.ErrInvalid)
		_, err = fsys.Stat(ctx, "a\x00b")
		wants(t, err, fs.ErrInvalid)
	})

	t.Run("Directories", func(t *testing.T) {
		d := dir(t)
		old := syscall.Umask(0o077)
		defer syscall.Umask(old)
		for _, perm := range []fs.FileMode{0o700, 0o777, 0o777 | fs.ModeSticky, 0o750} {
			p := fmt.Sprintf("%s/m%o", d, uint32(perm))
			must(t, fsys.Mkdir(ctx, p, perm))
			info, err := fsys.Stat(ctx, p)
			must(t, err)
			if info.Perm != perm || !info.IsDir {
				t.Errorf("Mkdir(%v) made %v", perm, info.Perm)
			}
			wants(t, fsys.Mkdir(ctx, p, perm), fs.ErrExist)
		}
		wants(t, fsys.Mkdir(ctx, d+"/no/such", 0o700), fs.ErrNotExist)
		must(t, fsys.MkdirAll(ctx, d+"/x/y/z", 0o711))
		for _, p := range []string{"/x", "/x/y", "/x/y/z"} {
			if info, err := fsys.Stat(ctx, d+p); err != nil || info.Perm != 0o711 {
				t.Errorf("%s: %v, %v", p, info.Perm, err)
			}
		}
		must(t, fsys.MkdirAll(ctx, d+"/x/y", 0o700))
		if info, _ := fsys.Stat(ctx, d+"/x/y"); info.Perm != 0o711 {
			t.Errorf("MkdirAll changed an existing directory to %v", info.Perm)
		}
		put(t, d+"/file", nil)
		wants(t, fsys.MkdirAll(ctx, d+"/file", 0o700), ErrNotDir)
		wants(t, fsys.Mkdir(ctx, d+"/file", 0o700), fs.ErrExist)
	})

	t.Run("Create", func(t *testing.T) {
		d := dir(t)
		old := syscall.Umask(0o077)
		defer syscall.Umask(old)
		for _, perm := range []fs.FileMode{0o600, 0o644, 0o666} {
			p := fmt.Sprintf("%s/f%o", d, perm)
			w, err := fsys.Create(ctx, p, CreateOptions{Perm: perm})
			must(t, err)
			if info, err := fsys.Stat(ctx, p); err != nil || info.Perm != perm {
				t.Errorf("before the first byte the mode is %v, want %v (%v)", info.Perm, perm, err)
			}
			_, err = w.Write([]byte("abc"))
			must(t, err)
			must(t, w.Close())
			must(t, w.Abort())
			if got, err := ReadFile(ctx, fsys, p, 10); err != nil || string(got) != "abc" {
				t.Errorf("read %q, %v", got, err)
			}
			if _, err := w.Write([]byte("d")); err == nil {
				t.Error("a closed writer took bytes")
			}
		}
		_, err := fsys.Create(ctx, d+"/f600", CreateOptions{})
		wants(t, err, fs.ErrExist)
		_, err = fsys.Create(ctx, d+"/no/f", CreateOptions{})
		wants(t, err, fs.ErrNotExist)
		w, err := fsys.Create(ctx, d+"/f600", CreateOptions{Overwrite: true})
		must(t, err)
		must(t, w.Close())
		if info, _ := fsys.Stat(ctx, d+"/f600"); info.Length != 0 {
			t.Errorf("overwritten with nothing, it has %d bytes", info.Length)
		}
		if info, _ := fsys.Stat(ctx, d+"/f600"); info.Perm != 0o600 {
			t.Errorf("overwritten, its mode is %v", info.Perm)
		}
		must(t, fsys.Mkdir(ctx, d+"/dir", 0o755))
		_, err = fsys.Create(ctx, d+"/dir", CreateOptions{Overwrite: true})
		wants(t, err, fs.ErrExist)
		must(t, fsys.Remove(ctx, d+"/dir"))
		w, err = fsys.Create(ctx, d+"/aborted", CreateOptions{})
		must(t, err)
		_, err = w.Write(pattern(200_000, 1))
		must(t, err)
		must(t, w.Abort())
		must(t, w.Abort())
		if _, err := w.Write([]byte("d")); err == nil {
			t.Error("an aborted writer took bytes")
		}
		if err := w.Close(); err == nil {
			t.Error("an aborted writer was closed as if all were written")
		}
		if got := names(t, d); got != "f600 f644 f666" {
			t.Errorf("left are: %s", got)
		}
	})

	t.Run("Reading", func(t *testing.T) {
		d := dir(t)
		data := pattern(int(2*blockSize+blockSize/3), 2)
		_, err := Upload(ctx, fsys, d+"/big", bytes.NewReader(data), UploadOptions{
			CreateOptions: CreateOptions{BlockSize: blockSize, Replication: 1}, Size: int64(len(data))})
		must(t, err)
		f, err := fsys.Open(ctx, d+"/big")
		must(t, err)
		defer f.Close()
		if err := iotest.TestReader(io.NewSectionReader(f, blockSize-10, 50), data[blockSize-10:blockSize+40]); err != nil {
			t.Error(err)
		}
		got, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d of %d bytes, %v", len(got), len(data), err)
		}
		if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
		// Parallel ReadAts do not move the reader.
		pos, err := f.Seek(7, io.SeekStart)
		must(t, err)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				off := int64(i) * (int64(len(data)) - 1000) / 7
				b := make([]byte, 1000)
				if n, err := f.ReadAt(b, off); n != 1000 || (err != nil && err != io.EOF) || !bytes.Equal(b, data[off:off+1000]) {
					t.Errorf("ReadAt(%d): %d bytes, %v", off, n, err)
				}
			})
		}
		wg.Wait()
		b := make([]byte, 5)
		if _, err := io.ReadFull(f, b); err != nil || !bytes.Equal(b, data[pos:pos+5]) {
			t.Errorf("after ReadAt, Read gives other bytes (%v)", err)
		}
		if n, err := f.ReadAt(b, int64(len(data))-2); n != 2 || err != io.EOF {
			t.Errorf("ReadAt over the end: %d, %v", n, err)
		}
		if _, err := f.Seek(-1, io.SeekStart); err == nil {
			t.Error("a negative position was taken")
		}
		if end, err := f.Seek(-3, io.SeekEnd); err != nil || end != int64(len(data))-3 {
			t.Errorf("Seek from the end: %d, %v", end, err)
		}
		if rest, err := io.ReadAll(f); err != nil || !bytes.Equal(rest, data[len(data)-3:]) {
			t.Errorf("the last bytes: %v, %v", rest, err)
		}
		must(t, f.Close())
		must(t, f.Close())
		if _, err := f.Read(b); err == nil {
			t.Error("a closed file was read")
		}
		_, err = fsys.Open(ctx, d)
		wants(t, err, ErrIsDir)
		_, err = fsys.Open(ctx, d+"/absent")
		wants(t, err, fs.ErrNotExist)
		put(t, d+"/empty", nil)
		if got, err := ReadFile(ctx, fsys, d+"/empty", 0); err != nil || len(got) != 0 {
			t.Errorf("an empty file: %v, %v", got, err)
		}
		_, err = ReadFile(ctx, fsys, d+"/big", 100)
		wants(t, err, ErrLength)
	})

	t.Run("CancelReading", func(t *testing.T) {
		d := dir(t)
		put(t, d+"/f", pattern(100_000, 3))
		c, cancel := context.WithCancelCause(ctx)
		f, err := fsys.Open(c, d+"/f")
		must(t, err)
		defer f.Close()
		_, err = io.ReadFull(f, make([]byte, 1000))
		must(t, err)
		why := errors.New("enough")
		cancel(why)
		_, err = f.ReadAt(make([]byte, 1000), 90_000)
		wants(t, err, why)
		_, err = io.Copy(io.Discard, f) // which asks for more methods than File has
		wants(t, err, why)
		_, err = fsys.Stat(c, d+"/f")
		wants(t, err, why)
	})

	t.Run("Rename", func(t *testing.T) {
		d := dir(t)
		put(t, d+"/a", []byte("a"))
		before, err := fsys.Stat(ctx, d+"/a")
		must(t, err)
		must(t, fsys.Rename(ctx, d+"/a", d+"/b"))
		after, err := fsys.Stat(ctx, d+"/b")
		must(t, err)
		if after.ModTimeMs != before.ModTimeMs {
			t.Errorf("a rename changed the modification time from %d to %d", before.ModTimeMs, after.ModTimeMs)
		}
		put(t, d+"/c", []byte("c"))
		must(t, fsys.Rename(ctx, d+"/c", d+"/b"))
		if got, err := ReadFile(ctx, fsys, d+"/b", 10); err != nil || string(got) != "c" {
			t.Errorf("replaced file has %q, %v", got, err)
		}
		wants(t, fsys.Rename(ctx, d+"/absent", d+"/x"), fs.ErrNotExist)
		wants(t, fsys.Rename(ctx, d+"/b", d+"/no/such"), fs.ErrNotExist)
		must(t, fsys.MkdirAll(ctx, d+"/full/sub", 0o755))
		must(t, fsys.MkdirAll(ctx, d+"/empty", 0o755))
		must(t, fsys.MkdirAll(ctx, d+"/moved", 0o755))
		wants(t, fsys.Rename(ctx, d+"/moved", d+"/full"), ErrNotEmpty)
		must(t, fsys.Rename(ctx, d+"/moved", d+"/empty"))
		if err := fsys.Rename(ctx, d+"/b", d+"/full"); err == nil {
			t.Error("a file replaced a directory")
		}
		put(t, d+"/n1", []byte("1"))
		put(t, d+"/n2", []byte("2"))
		wants(t, fsys.RenameNew(ctx, d+"/n1", d+"/n2"), fs.ErrExist)
		wants(t, fsys.RenameNew(ctx, d+"/absent", d+"/n3"), fs.ErrNotExist)
		must(t, fsys.RenameNew(ctx, d+"/n1", d+"/n3"))
		if got := names(t, d); got != "b empty full n2 n3" {
			t.Errorf("left are: %s", got)
		}
	})

	t.Run("Remove", func(t *testing.T) {
		d := dir(t)
		must(t, fsys.MkdirAll(ctx, d+"/x/y", 0o755))
		put(t, d+"/x/y/f", []byte("1"))
		wants(t, fsys.Remove(ctx, d+"/x"), ErrNotEmpty)
		wants(t, fsys.Remove(ctx, d+"/absent"), fs.ErrNotExist)
		must(t, fsys.Remove(ctx, d+"/x/y/f"))
		must(t, fsys.Remove(ctx, d+"/x/y"))
		must(t, fsys.RemoveAll(ctx, d+"/x"))
		must(t, fsys.RemoveAll(ctx, d+"/x"))
		wants(t, fsys.RemoveAll(ctx, "/"), fs.ErrInvalid)
		if got := names(t, d); got != "" {
			t.Errorf("left are: %s", got)
		}
	})

	t.Run("ReadDir", func(t *testing.T) {
		d := dir(t)
		for _, n := range []string{"b", "a", "c"} {
			put(t, d+"/"+n, []byte(n))
		}
		must(t, fsys.Mkdir(ctx, d+"/D", 0o755))
		infos, err := fsys.ReadDir(ctx, d)
		must(t, err)
		if got := names(t, d); got != "D a b c" {
			t.Errorf("listing: %s", got)
		}
		for _, i := range infos {
			if st, err := fsys.Stat(ctx, i.Path); err != nil || st != i {
				t.Errorf("listing has %+v, Stat %+v, %v", i, st, err)
			}
		}
		_, err = fsys.ReadDir(ctx, d+"/a")
		wants(t, err, ErrNotDir)
		_, err = fsys.ReadDir(ctx, d+"/absent")
		wants(t, err, fs.ErrNotExist)
	})

	t.Run("Chmod", func(t *testing.T) {
		d := dir(t)
		put(t, d+"/f", nil)
		must(t, fsys.Chmod(ctx, d+"/f", 0o604))
		if info, _ := fsys.Stat(ctx, d+"/f"); info.Perm != 0o604 {
			t.Errorf("mode %v", info.Perm)
		}
		wants(t, fsys.Chmod(ctx, d+"/absent", 0o600), fs.ErrNotExist)
	})

	t.Run("Locations", func(t *testing.T) {
		d := dir(t)
		_, err := Upload(ctx, fsys, d+"/f", bytes.NewReader(pattern(int(2*blockSize+5), 4)), UploadOptions{
			CreateOptions: CreateOptions{BlockSize: blockSize, Replication: 1}})
		must(t, err)
		blocks, err := fsys.Locations(ctx, d+"/f")
		must(t, err)
		var next int64
		for _, b := range blocks {
			if b.Offset != next || b.Length <= 0 || len(b.Hosts) == 0 || b.Hosts[0] == "" {
				t.Errorf("block %+v after offset %d", b, next)
			}
			next = b.Offset + b.Length
		}
		if next != 2*blockSize+5 {
			t.Errorf("blocks end at %d", next)
		}
		put(t, d+"/empty", nil)
		if blocks, err := fsys.Locations(ctx, d+"/empty"); err != nil || len(blocks) != 0 {
			t.Errorf("an empty file: %v, %v", blocks, err)
		}
		_, err = fsys.Locations(ctx, d)
		wants(t, err, ErrIsDir)
		_, err = fsys.Locations(ctx, d+"/absent")
		wants(t, err, fs.ErrNotExist)
	})

	t.Run("Upload", func(t *testing.T) {
		d := dir(t)
		data := pattern(300_001, 5)
		info, err := Upload(ctx, fsys, d+"/f", bytes.NewReader(data), UploadOptions{Size: 300_001})
		must(t, err)
		if info.Perm != 0o600 || info.Length != 300_001 || info.Path != d+"/f" {
			t.Errorf("uploaded %+v", info)
		}
		if st, err := fsys.Stat(ctx, d+"/f"); err != nil || st != info {
			t.Errorf("Stat says %+v, Upload said %+v, %v", st, info, err)
		}
		_, err = Upload(ctx, fsys, d+"/f", strings.NewReader("other"), UploadOptions{})
		wants(t, err, fs.ErrExist)
		if got, err := ReadFile(ctx, fsys, d+"/f", 1<<20); err != nil || !bytes.Equal(got, data) {
			t.Errorf("the file was changed (%v)", err)
		}
		_, err = Upload(ctx, fsys, d+"/no/f", strings.NewReader("x"), UploadOptions{})
		wants(t, err, fs.ErrNotExist)
		broken := errors.New("broken source")
		_, err = Upload(ctx, fsys, d+"/g", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), UploadOptions{})
		if !errors.Is(err, broken) {
			t.Errorf("error %v, want that of the source", err)
		}
		_, err = Upload(ctx, fsys, d+"/g", bytes.NewReader(data), UploadOptions{Size: 5})
		wants(t, err, ErrLength)
		c, cancel := context.WithCancel(ctx)
		_, err = Upload(c, fsys, d+"/g", &cancelling{r: bytes.NewReader(data), cancel: cancel, after: 2}, UploadOptions{})
		wants(t, err, context.Canceled)
		if got := names(t, d); got != "f" {
			t.Errorf("failed uploads left: %s", got)
		}
	})

	t.Run("UploadRace", func(t *testing.T) {
		d := dir(t)
		const n = 6
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, errs[i] = Upload(ctx, fsys, d+"/one", strings.NewReader(fmt.Sprint(i)), UploadOptions{})
			})
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Errorf("both %d and %d made the file", winner, i)
			default:
				wants(t, err, fs.ErrExist)
			}
		}
		if got, err := ReadFile(ctx, fsys, d+"/one", 10); err != nil || string(got) != fmt.Sprint(winner) {
			t.Errorf("%d made the file, it has %q (%v)", winner, got, err)
		}
		if got := names(t, d); got != "one" {
			t.Errorf("left are: %s", got)
		}
	})

	t.Run("EnsureDir", func(t *testing.T) {
		d := dir(t)
		must(t, EnsureDir(ctx, fsys, d+"/mine/deep", 0o700))
		must(t, EnsureDir(ctx, fsys, d+"/mine/deep", 0o700))
		must(t, EnsureDir(ctx, fsys, d+"/mine/deep", 0o755))
		must(t, fsys.Chmod(ctx, d+"/mine/deep", 0o710))
		wants(t, EnsureDir(ctx, fsys, d+"/mine/deep", 0o700), fs.ErrPermission)
	})

	t.Run("Parallel", func(t *testing.T) {
		d := dir(t)
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				name, data := fmt.Sprintf("%s/%d", d, i), pattern(20_000+i, uint64(i))
				if _, err := Upload(ctx, fsys, name, bytes.NewReader(data), UploadOptions{}); err != nil {
					t.Error(err)
					return
				}
				if got, err := ReadFile(ctx, fsys, name, 1<<20); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
			})
		}
		wg.Wait()
	})
}

// cancelling cancels a context after so many reads.
type cancelling struct {
	r      io.Reader
	cancel func()
	after  int
}

func (c *cancelling) Read(b []byte) (int, error) {
	if c.after--; c.after < 0 {
		c.cancel()
	}
	return c.r.Read(b[:min(len(b), 1000)])
}

func TestLocal(t *testing.T) {
	dir, err := os.MkdirTemp("", "local")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	fsys := NewLocal(LocalOptions{Home: dir + "/home"})
	testFS(t, fsys, dir, 1<<20)
	testAppend(t, fsys, dir, 1<<20)
}
