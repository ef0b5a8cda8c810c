package packaging

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

func openTestCache(t *testing.T, fsys hdfs.FS) *Cache {
	t.Helper()
	c, err := OpenCache(t.Context(), fsys, CacheOptions{Dir: "cache", Index: t.TempDir() + "/index.json"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func localFS(t *testing.T) hdfs.FS { return hdfs.NewLocal(hdfs.LocalOptions{Home: t.TempDir()}) }

func putText(t *testing.T, c *Cache, text string) Resource {
	t.Helper()
	r, err := c.Put(t.Context(), Spec{Source: write(t, t.TempDir()+"/f", []byte(text)), Name: "f"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// leasing is a set of leases that can change between two looks.
type leasing struct {
	held  map[string]string
	looks int
	onNth int // calls then
	then  func()
	err   error
}

func (l *leasing) get(context.Context) (map[string]string, error) {
	if l.looks++; l.looks == l.onNth {
		l.then()
	}
	return l.held, l.err
}

func age(t *testing.T, r Resource, d time.Duration) {
	t.Helper()
	when := time.Now().Add(-d)
	if err := os.Chtimes(strings.TrimPrefix(r.URL, "file://"), when, when); err != nil {
		t.Fatal(err)
	}
}

func TestGC(t *testing.T) {
	fsys := localFS(t)
	c := openTestCache(t, fsys)
	used, old, young := putText(t, c, "used"), putText(t, c, "old"), putText(t, c, "young")
	age(t, used, 100*time.Hour)
	age(t, old, 100*time.Hour)
	l := &leasing{held: map[string]string{hexOf(used.SHA256): "application_1_1"}}
	for _, dry := range []bool{true, false} {
		gone, err := c.GC(t.Context(), l.get, 50*time.Hour, dry)
		if err != nil || len(gone) != 1 || gone[0].Hash != hexOf(old.SHA256) {
			t.Errorf("dry %v: %+v, %v", dry, gone, err)
		}
	}
	left, err := c.List(t.Context(), l.get)
	if err != nil || len(left) != 2 || left[0].Hash != hexOf(young.SHA256) || left[1].Application != "application_1_1" {
		t.Errorf("left %+v, %v", left, err)
	}
	if _, err := c.GC(t.Context(), (&leasing{err: fs.ErrInvalid}).get, 0, false); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("without leases: %v", err)
	}
	if got := tree(t, fsys, c.dir); len(got) != 2 {
		t.Errorf("the cache has %q", got)
	}
}

// A submission that takes a lease, or brings the entry again, while it is being
// removed, keeps it.
func TestGCRace(t *testing.T) {
	for name, brought := range map[string]bool{"leased": false, "brought again": true} {
		t.Run(name, func(t *testing.T) {
			fsys := localFS(t)
			c := openTestCache(t, fsys)
			r := putText(t, c, "wanted")
			age(t, r, time.Hour)
			l := &leasing{held: map[string]string{}, onNth: 2}
			l.then = func() {
				l.held[hexOf(r.SHA256)] = "application_1_1"
				if brought {
					putText(t, c, "wanted")
				}
			}
			gone, err := c.GC(t.Context(), l.get, time.Minute, false)
			if err != nil || len(gone) != 0 {
				t.Errorf("removed %+v, %v", gone, err)
			}
			if err := c.Verify(t.Context(), r); err != nil {
				t.Error(err)
			}
			if got := tree(t, fsys, c.dir); len(got) != 1 {
				t.Errorf("the cache has %q", got)
			}
		})
	}
}

func TestUseIsNoted(t *testing.T) {
	c := openTestCache(t, localFS(t))
	r := putText(t, c, "x")
	age(t, r, 100*time.Hour)
	if again := putText(t, c, "x"); again.Uploaded {
		t.Error("uploaded twice")
	}
	left, err := c.List(t.Context(), (&leasing{}).get)
	if err != nil || len(left) != 1 || time.Since(left[0].Used) > time.Hour || time.Since(left[0].Written) < time.Hour {
		t.Errorf("%+v, %v", left, err)
	}
}

func TestLease(t *testing.T) {
	c := openTestCache(t, localFS(t))
	file := write(t, t.TempDir()+"/f", []byte("x"))
	before, err := c.NewLease(t.Context(), Spec{Source: file}, Spec{Source: "s3a://b/x.zip"}, Spec{Source: "hdfs://n/x"})
	if err != nil || len(before.Entries) != 1 {
		t.Fatalf("%+v, %v", before, err)
	}
	r, err := c.Put(t.Context(), Spec{Source: file, Name: "f"})
	if err != nil || hexOf(r.SHA256) != before.Entries[0] || c.hashIn(strings.TrimPrefix(r.URL, "file://")) != before.Entries[0] {
		t.Errorf("%+v, %v", r, err)
	}
	b, err := before.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if l, err := ParseLease(b); err != nil || len(l.Entries) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range []string{"", "{}", `{"version":2}`, `{"version":1,"entries":["../x"]}`} {
		if _, err := ParseLease([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// FuzzLease: what is read as a lease names only hashes.
func FuzzLease(f *testing.F) {
	f.Add([]byte(`{"version":1,"entries":["` + strings.Repeat("ab", 32) + `"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLease(b)
		for _, h := range l.Entries {
			if err == nil && (len(h) != 64 || path.Base(h) != h) {
				t.Errorf("%q", h)
			}
		}
	})
}

// An entry that this host sees for the first time is read before it is used.
func TestTamperedUnseen(t *testing.T) {
	fsys := localFS(t)
	r := putText(t, openTestCache(t, fsys), "honest")
	if _, err := hdfs.WriteFile(t.Context(), fsys, r.URL, []byte("HONEST"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := openTestCache(t, fsys) // another host, with an index of its own
	_, err := other.Put(t.Context(), Spec{Source: write(t, t.TempDir()+"/f", []byte("honest")), Name: "f"})
	if te := (*TamperedError)(nil); !errors.As(err, &te) {
		t.Errorf("error %v", err)
	}
}

// Two hosts that fill one entry at the same time both have it, once.
func TestRaceOfHosts(t *testing.T) {
	fsys := localFS(t)
	text := strings.Repeat("race", 100_000)
	var wg sync.WaitGroup
	rs := make([]Resource, 4)
	for i := range rs {
		c := openTestCache(t, fsys)
		file := write(t, t.TempDir()+"/f", []byte(text))
		wg.Go(func() {
			var err error
			if rs[i], err = c.Put(t.Context(), Spec{Source: file, Name: "f"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, r := range rs {
		if r.URL != rs[0].URL || r.ModTimeMs != rs[0].ModTimeMs {
			t.Errorf("%+v and %+v", r, rs[0])
		}
	}
	if got := tree(t, fsys, "cache"); len(got) != 1 {
		t.Errorf("the cache has %q", got)
	}
}

// quota is a file system that refuses to hold more at some step of an upload.
type quota struct {
	hdfs.FS
	at string // "create", "write", "close", "rename"
}

func exceeded() error {
	return &hdfs.Error{Op: "write", Path: "x", Kind: hdfs.ErrQuota, Detail: "The DiskSpace quota of /user/alice is exceeded: quota = 10 B = 10 B but diskspace consumed = 30 B"}
}

func (q *quota) Create(ctx context.Context, name string, o hdfs.CreateOptions) (hdfs.Writer, error) {
	if q.at == "create" {
		return nil, exceeded()
	}
	w, err := q.FS.Create(ctx, name, o)
	return &quotaWriter{w, q.at}, err
}

func (q *quota) RenameNew(ctx context.Context, a, b string) error {
	if q.at == "rename" {
		return exceeded()
	}
	return q.FS.RenameNew(ctx, a, b)
}

type quotaWriter struct {
	hdfs.Writer
	at string
}

func (w *quotaWriter) Write(b []byte) (int, error) {
	if w.at == "write" {
		return 0, exceeded()
	}
	return w.Writer.Write(b)
}

func (w *quotaWriter) Close() error {
	if w.at == "close" {
		return exceeded()
	}
	return w.Writer.Close()
}

// A quota is named, and the entry leaves nothing, not even its directories.
func TestQuota(t *testing.T) {
	for _, at := range []string{"create", "write", "close", "rename"} {
		home := t.TempDir()
		c := openTestCache(t, &quota{hdfs.NewLocal(hdfs.LocalOptions{Home: home}), at})
		_, err := c.Put(t.Context(), Spec{Source: write(t, t.TempDir()+"/f", []byte("text")), Name: "f"})
		if !errors.Is(err, hdfs.ErrQuota) || !strings.Contains(err.Error(), "DiskSpace quota of /user/alice") {
			t.Errorf("%s: %v", at, err)
		}
		if left, _ := os.ReadDir(home + "/cache"); len(left) > 0 {
			t.Errorf("%s left %v", at, left)
		}
	}
}

// Without room for the index everything works, only slower.
func TestIndexWithoutRoom(t *testing.T) {
	c, err := OpenCache(t.Context(), localFS(t), CacheOptions{Dir: "cache", Index: "/dev/full/index.json"})
	if err != nil {
		t.Fatal(err)
	}
	putText(t, c, "x")
}
