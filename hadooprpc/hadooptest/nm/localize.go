package nm

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// A cache holds localized files. Each is made once, by the first container that needs it, and linked to by all:
//
//	<local>/filecache/<n>/<name>                                     PUBLIC
//	<local>/usercache/<user>/filecache/<n>/<name>                    PRIVATE
//	<local>/usercache/<user>/appcache/<application>/filecache/<n>/<name>   APPLICATION
//
// where name is the source's. Two resources are the same when URL, modification time, type and pattern are: size is
// not compared. Numbers begin at 10, as Hadoop's do. What could not be made is forgotten, so that the next container
// tries again.
//
// Sources: ResourceLocalizationService, LocalResourcesTrackerImpl, LocalResourceRequest, FSDownload (3.4.2).
type cache struct {
	hdfs    func(ctx context.Context, name string) (string, error) // Options.HDFS
	mu      sync.Mutex
	entries map[cacheKey]*cacheEntry
	last    map[string]int // by directory: the last number taken
}

type cacheKey struct {
	root, url string
	timestamp int64
	kind      pb.LocalResourceType
	pattern   string
}

type cacheEntry struct {
	done chan struct{}
	path string
	size int64
	err  error
}

func newCache(hdfs func(context.Context, string) (string, error)) *cache {
	return &cache{hdfs: hdfs, entries: map[cacheKey]*cacheEntry{}, last: map[string]int{}}
}

// localizeError is why a resource could not be localized, with the class of Java's exception.
type localizeError struct{ class, text string }

func (e *localizeError) Error() string { return e.text }

func ioError(format string, args ...any) error {
	return &localizeError{"java.io.IOException", fmt.Sprintf(format, args...)}
}

// counters are what LOCALIZATION_COUNTERS tells: bytes and files that were fetched, and that were there already.
type counters struct{ bytesMissed, bytesCached, filesMissed, filesCached int64 }

// get returns where a resource lies below root, and makes it if it is not there.
func (c *cache) get(ctx context.Context, root string, r *pb.LocalResource, count *counters) (string, error) {
	key := cacheKey{root, javaURL(r.GetResource()), r.GetTimestamp(), r.GetType(), r.GetPattern()}
	c.mu.Lock()
	e := c.entries[key]
	if e != nil && !e.usable() {
		e = nil
	}
	if e != nil {
		c.mu.Unlock()
		select {
		case <-e.done:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if e.err == nil {
			count.filesCached, count.bytesCached = count.filesCached+1, count.bytesCached+e.size
		}
		return e.path, e.err
	}
	e = &cacheEntry{done: make(chan struct{})}
	c.entries[key] = e
	if c.last[root] == 0 {
		c.last[root] = 9
	}
	c.last[root]++
	dir := filepath.Join(root, strconv.Itoa(c.last[root]))
	c.mu.Unlock()

	e.path, e.size, e.err = c.fetch(ctx, dir, r)
	if e.err != nil {
		c.mu.Lock()
		delete(c.entries, key)
		c.mu.Unlock()
	}
	close(e.done)
	count.filesMissed, count.bytesMissed = count.filesMissed+1, count.bytesMissed+e.size
	return e.path, e.err
}

// usable tells whether a finished entry is still on the disk.
func (e *cacheEntry) usable() bool {
	select {
	case <-e.done:
		_, err := os.Lstat(e.path)
		return err == nil
	default:
		return true // it is being made
	}
}

// drop forgets what lies below a directory.
func (c *cache) drop(root string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.entries {
		if key.root == root || strings.HasPrefix(key.root, root+"/") {
			delete(c.entries, key)
			delete(c.last, key.root)
		}
	}
}

// javaURL prints a resource's URL as Hadoop's Path does: file:/a/b.
func javaURL(u *pb.URL) string {
	var b strings.Builder
	if u.GetScheme() != "" {
		b.WriteString(u.GetScheme() + ":")
	}
	if u.GetHost() != "" {
		b.WriteString("//" + u.GetHost())
		if u.GetPort() > 0 {
			b.WriteString(":" + strconv.Itoa(int(u.GetPort())))
		}
	}
	return b.String() + path.Clean("/"+u.GetFile())
}

// isoTime prints milliseconds since the epoch as Times.formatISO8601 does.
func isoTime(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02T15:04:05.000-0700") }

// fetch copies or unpacks a resource into a new directory, by way of one with _tmp at its end, and returns where it
// lies and how long its source was.
func (c *cache) fetch(ctx context.Context, dir string, r *pb.LocalResource) (string, int64, error) {
	u, name := javaURL(r.GetResource()), path.Base(path.Clean("/"+r.GetResource().GetFile()))
	source := path.Clean("/" + r.GetResource().GetFile())
	switch s := r.GetResource().GetScheme(); {
	case s == "hdfs" && c.hdfs != nil:
		var err error
		if source, err = c.hdfs(ctx, source); err != nil {
			return "", 0, ioError("%s cannot be read: %v", u, err)
		}
	case s != "file" && s != "":
		return "", 0, &localizeError{"org.apache.hadoop.fs.UnsupportedFileSystemException", fmt.Sprintf("No FileSystem for scheme %q", s)}
	}
	st, err := os.Stat(source)
	if err != nil {
		return "", 0, &localizeError{"java.io.FileNotFoundException", fmt.Sprintf("File %s does not exist", u)}
	}
	if ms := st.ModTime().UnixMilli(); ms != r.GetTimestamp() {
		return "", 0, ioError("Resource %s changed on src filesystem - expected: %q, was: %q, current time: %q",
			u, isoTime(r.GetTimestamp()), isoTime(ms), isoTime(time.Now().UnixMilli()))
	}
	public := r.GetVisibility() == pb.LocalResourceVisibility_PUBLIC
	if public && !isPublic(source, st) {
		return "", 0, ioError("Resource %s is not publicly accessible and as such cannot be part of the public cache.", u)
	}
	tmp := dir + "_tmp"
	defer os.RemoveAll(tmp)
	err = os.MkdirAll(tmp, 0o755)
	if err == nil {
		err = place(source, st, tmp, name, r, modes(public))
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return "", 0, &localizeError{"org.apache.hadoop.yarn.exceptions.YarnException", "Download and unpack failed: " + err.Error()}
	}
	return filepath.Join(dir, name), st.Size(), nil
}

// permissions of what was localized: everything is executable, nothing is writable but directories.
type permissions struct{ file, dir fs.FileMode }

func modes(public bool) permissions {
	if public {
		return permissions{0o555, 0o755}
	}
	return permissions{0o500, 0o700}
}

// isPublic tells whether others may read a file, or all in a directory, and pass through all directories above the
// one it lies in. That one, Hadoop's FSDownload does not look at.
func isPublic(name string, st fs.FileInfo) bool {
	if st.IsDir() {
		ok := true
		err := filepath.WalkDir(name, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode()&fs.ModeSymlink == 0 {
				need := fs.FileMode(0o4)
				if d.IsDir() {
					need = 0o5
				}
				ok = ok && info.Mode()&need == need
			}
			return err
		})
		if err != nil || !ok {
			return false
		}
	} else if st.Mode()&0o4 == 0 {
		return false
	}
	for dir := filepath.Dir(filepath.Dir(name)); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o1 == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}

// copyFile copies a file. While it is open for writing no process is started: a child that inherited it before its
// exec would make running it fail with "text file busy".
func copyFile(from string, root *os.Root, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return writeFile(root, to, in, mode)
}
