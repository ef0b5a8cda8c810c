package packaging

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// Resource is something that a container can have localized.
type Resource struct {
	Name      string // of the link in the container
	URL       string // with scheme and authority
	Size      int64  // bytes
	ModTimeMs int64  // of URL, which the node manager compares
	// SHA256 is zero for a source that is used in place.
	SHA256 [32]byte
	Kind   Kind
	// Uploaded says that this call brought the bytes; else they were there.
	Uploaded bool
}

// CacheOptions configure a cache. The zero value works.
type CacheOptions struct {
	// Dir is the cache's directory; <home>/.yarnd/cache when empty.
	Dir string
	// Index is the file that remembers hashes; "yarnd/index.json" in the
	// user's cache directory when empty, none when "-".
	Index string
	// Examiner is one that has looked at the files before; nil makes one.
	Examiner *Examiner
	// Open opens the file system of a URL that is not the cache's own.
	// Without it such sources are refused. Whoever opens it closes it.
	Open func(ctx context.Context, url string) (hdfs.FS, error)
	// Progress is told of an upload: its name, the bytes sent and all bytes.
	// It is called from Put's goroutine.
	Progress func(name string, sent, all int64)
	// Logger receives what goes wrong without failing; nil discards it.
	Logger *slog.Logger
}

// Cache is a content-addressed store of files on a file system. It may be used
// by several goroutines and processes at once.
type Cache struct {
	fs   hdfs.FS
	dir  string // …/cache
	opts CacheOptions
	// looks says that nothing may change on the file system. The examiner of such
	// a cache changes nothing either.
	looks bool
	*Examiner
}

// TamperedError is a cache entry that is not what it has to be.
type TamperedError struct {
	URL string
	Why string
}

func (e *TamperedError) Error() string {
	return fmt.Sprintf("cache entry %s cannot be trusted: %s; find out who changed it, then remove it: yarnd env rm %[1]s", e.URL, e.Why)
}

// OpenCache makes sure that the cache's directory is there and the user's own.
func OpenCache(ctx context.Context, fsys hdfs.FS, opts CacheOptions) (*Cache, error) {
	c, err := newCache(fsys, opts)
	if err != nil {
		return nil, err
	}
	if opts.Dir == "" { // the directory above holds more of the user's secrets
		if err := hdfs.EnsureDir(ctx, fsys, path.Dir(c.dir), 0o700); err != nil {
			return nil, err
		}
	}
	return c, hdfs.EnsureDir(ctx, fsys, c.dir, 0o700)
}

func newCache(fsys hdfs.FS, opts CacheOptions) (*Cache, error) {
	c := &Cache{fs: fsys, opts: opts, Examiner: opts.Examiner}
	if c.Examiner == nil {
		c.Examiner = NewExaminer(opts)
	}
	dir, err := fsys.Resolve(cmp.Or(opts.Dir, ".yarnd/cache"))
	if err != nil {
		return nil, err
	}
	c.dir = dir
	return c, nil
}

// Put makes a resource of what a Spec names. A local file is uploaded unless
// the cache has its contents; archives are inspected first. A URL is used in
// place after a look at it. Errors are [*ArchiveError], [*SpecError],
// [*TamperedError], errors of package os, and [*hdfs.Error].
func (c *Cache) Put(ctx context.Context, s Spec) (Resource, error) {
	if local, ok := localPath(s.Source); ok {
		return c.putLocal(ctx, s, local)
	}
	return c.inPlace(ctx, s)
}

// PutBundle puts a checked program under the given link name.
func (c *Cache) PutBundle(ctx context.Context, b Bundle, name string) (Resource, error) {
	r, err := c.putLocal(ctx, Spec{Source: b.Path, Name: name, Kind: File}, b.Path)
	if err == nil && r.SHA256 != b.SHA256 {
		err = &BundleError{Path: b.Path, Why: "it was replaced while it was being submitted", Hint: "submit again"}
	}
	return r, err
}

// localPath recognizes plain paths and file: URLs.
func localPath(source string) (string, bool) {
	if rest, ok := strings.CutPrefix(source, "file:"); ok {
		return "/" + strings.TrimLeft(rest, "/"), true
	}
	scheme, _, ok := strings.Cut(source, ":/")
	return source, !ok || strings.Contains(scheme, "/")
}

// inPlace describes a file that is in a file system of the cluster already.
func (c *Cache) inPlace(ctx context.Context, s Spec) (Resource, error) {
	fsys := c.fs
	if _, err := fsys.Resolve(s.Source); err != nil {
		if c.opts.Open == nil {
			return Resource{}, err
		}
		if fsys, err = c.opts.Open(ctx, s.Source); err != nil {
			return Resource{}, err
		}
	}
	info, err := fsys.Stat(ctx, s.Source)
	if err != nil {
		return Resource{}, err
	}
	if info.IsDir {
		return Resource{}, &SpecError{Spec: s.Source, Why: "it is a directory; name a file"}
	}
	if _, known := formatOf(info.Name()); s.Kind == Archive && !known {
		return Resource{}, &SpecError{Spec: s.Source, Why: "YARN unpacks .tar.gz, .tgz and .zip only"}
	}
	if why := badName(info.Name()); why != "" {
		return Resource{}, &SpecError{Spec: s.Source, Why: "its own name " + why + "; rename it"}
	}
	url, err := fsys.URL(info.Path)
	return Resource{Name: s.Name, URL: url, Size: info.Length, ModTimeMs: info.ModTimeMs, Kind: s.Kind}, err
}

func (c *Cache) putLocal(ctx context.Context, s Spec, local string) (Resource, error) {
	f, abs, st, err := openLocal(s, local)
	if err != nil {
		return Resource{}, err
	}
	defer f.Close()
	hash, err := c.examine(ctx, f, abs, s.Kind, s.Limits, statOf(st))
	if err != nil {
		return Resource{}, err
	}
	r := Resource{Name: s.Name, Size: st.Size(), SHA256: hash, Kind: s.Kind}
	return r, c.store(ctx, f, &r, plainName(abs))
}

// store fills in where the contents are, uploading them if the cache lacks
// them.
func (c *Cache) store(ctx context.Context, f *os.File, r *Resource, name string) error {
	dir := c.entryDir(r.SHA256)
	found, err := c.lookup(ctx, dir, r, name)
	if err != nil || found {
		return err
	}
	if c.looks {
		r.Uploaded = true // it would be
		return nil
	}
	info, err := c.upload(ctx, f, dir, r, name)
	if errors.Is(err, fs.ErrNotExist) { // a clean-up took the directory away
		info, err = c.upload(ctx, f, dir, r, name)
	}
	if errors.Is(err, fs.ErrExist) { // another submission was faster
		found, err := c.lookup(ctx, dir, r, name)
		if err == nil && !found {
			err = &TamperedError{URL: path.Join(dir, name), Why: "it comes and goes"}
		}
		return err
	}
	if err != nil {
		c.tidy(ctx, dir)
		return err
	}
	r.Uploaded = true
	return c.use(ctx, r, info)
}

// upload makes the entry's directory and brings the contents.
func (c *Cache) upload(ctx context.Context, f *os.File, dir string, r *Resource, name string) (hdfs.FileInfo, error) {
	if err := c.fs.MkdirAll(ctx, dir, 0o700); err != nil {
		return hdfs.FileInfo{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return hdfs.FileInfo{}, err
	}
	src := &verifyingReader{f: f, want: r.SHA256, size: r.Size}
	if c.opts.Progress != nil {
		src.progress = func(n int64) { c.opts.Progress(r.Name, n, r.Size) }
	}
	return hdfs.Upload(ctx, c.fs, path.Join(dir, name), src, hdfs.UploadOptions{
		CreateOptions: hdfs.CreateOptions{Perm: 0o600}, Size: r.Size})
}

// tidy removes the directories that a failed upload made, as far as they are
// empty, also when ctx has ended.
func (c *Cache) tidy(ctx context.Context, dir string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	for ; dir != c.dir && c.fs.Remove(ctx, dir) == nil; dir = path.Dir(dir) {
	}
}

// tidyTime bounds what is done after a failure to leave nothing behind.
const tidyTime = 5 * time.Second

func (c *Cache) entryDir(hash [32]byte) string {
	h := hex.EncodeToString(hash[:])
	return path.Join(c.dir, "sha256", h[:2], h)
}

// abandonedAge is after which time a temporary file is taken for the remains
// of a submission that was killed.
const abandonedAge = 24 * time.Hour

// lookup finds an entry with these contents. One with another name serves as
// well, if a node manager would treat it alike.
func (c *Cache) lookup(ctx context.Context, dir string, r *Resource, name string) (bool, error) {
	infos, err := c.fs.ReadDir(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	format, _ := formatOf(name)
	best, used := -1, int64(0)
	for i, info := range infos {
		if info.Name() == usedName {
			used = info.ModTimeMs
			continue
		}
		if strings.HasPrefix(info.Name(), ".") {
			if !c.looks && time.Since(time.UnixMilli(info.ModTimeMs)) > abandonedAge {
				_ = c.fs.RemoveAll(ctx, info.Path) // next time, if not now
			}
			continue
		}
		if got, _ := formatOf(info.Name()); r.Kind == Archive && got != format {
			continue
		}
		if best < 0 || info.Name() == name {
			best = i
		}
	}
	if best < 0 {
		return false, nil
	}
	c.touch(ctx, dir, max(used, infos[best].ModTimeMs))
	return true, c.use(ctx, r, infos[best])
}

// use fills in an entry after making sure that it is what we put there.
func (c *Cache) use(ctx context.Context, r *Resource, info hdfs.FileInfo) error {
	url, err := c.fs.URL(info.Path)
	if err != nil {
		return err
	}
	known, remembered := c.index.load().Remote[url]
	why := ""
	switch {
	case info.IsDir:
		why = "it is a directory"
	case info.Length != r.Size:
		why = fmt.Sprintf("it has %d bytes, its contents must have %d", info.Length, r.Size)
	case info.Owner != c.fs.User():
		why = fmt.Sprintf("it belongs to %s, not to %s", info.Owner, c.fs.User())
	case info.Perm.Perm()&0o077 != 0:
		why = fmt.Sprintf("its mode is %#o, not 0600", info.Perm.Perm())
	}
	if why != "" {
		return &TamperedError{URL: url, Why: why}
	}
	r.URL, r.ModTimeMs = url, info.ModTimeMs
	current := remembered && known.ModTimeMs == info.ModTimeMs
	if !current && !r.Uploaded {
		// Not seen by this host before, or written again since: after a
		// clean-up, by another host of ours, or by somebody who should not have.
		if err := c.Verify(ctx, *r); err != nil {
			return err
		}
	}
	if !current {
		c.note(ctx, func(d *indexData) {
			d.Remote[url] = indexRemote{ModTimeMs: info.ModTimeMs, Used: time.Now().UTC()}
		})
	}
	return nil
}

// Verify reads a resource from the cache and compares its contents with its
// hash. The error is a [*TamperedError] if they differ.
func (c *Cache) Verify(ctx context.Context, r Resource) error {
	f, err := c.fs.Open(ctx, r.URL)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if [32]byte(h.Sum(nil)) != r.SHA256 {
		return &TamperedError{URL: r.URL, Why: "its contents have another hash"}
	}
	return nil
}
