package packaging

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// index remembers the hashes of local files and the times of cache entries
// between runs. It only ever saves work: without it, or when it is damaged,
// everything is computed again.
//
// A file's hash is trusted while its size, inode, modification time and change
// time are what they were. Times have a granularity, so a file that was
// changed within the last two seconds before it was hashed is not remembered:
// another change in the same instant would go unseen.
//
// Several processes may use it at once. Each change is made under a lock on
// the contents as they are then, and replaces the file in one step.
type index struct {
	path string // "" : nothing is remembered
}

// indexData is the file's contents. Keys of Files are absolute paths, of
// Remote the URLs of cache entries.
type indexData struct {
	Version int                    `json:"version"`
	Files   map[string]indexFile   `json:"files"`
	Remote  map[string]indexRemote `json:"remote"`
}

type indexFile struct {
	Stat   fileStat `json:"stat"`
	SHA256 string   `json:"sha256"`
	// Limits are set when the file was inspected as an archive and passed.
	Limits *Limits   `json:"limits,omitempty"`
	Used   time.Time `json:"used"`
}

type indexRemote struct {
	ModTimeMs int64     `json:"mtime_ms"`
	Used      time.Time `json:"used"`
}

// fileStat identifies a state of a file.
type fileStat struct {
	Size  int64  `json:"size"`
	Mtime int64  `json:"mtime_ns"`
	Ctime int64  `json:"ctime_ns"`
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
}

func statOf(st fs.FileInfo) fileStat {
	s := fileStat{Size: st.Size(), Mtime: st.ModTime().UnixNano()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		s.Ctime, s.Dev, s.Inode = sys.Ctim.Nano(), uint64(sys.Dev), sys.Ino
	}
	return s
}

const (
	indexVersion  = 1
	maxIndexSize  = 16 << 20
	maxIndexFiles = 5000
	// settleTime is how old a change must be for its time to identify it.
	settleTime = 2 * time.Second
	lockTime   = 5 * time.Second
)

// load reads the index; one that is absent or unusable is empty.
func (x index) load() indexData {
	d := indexData{Version: indexVersion}
	if f, err := os.Open(x.path); x.path != "" && err == nil {
		defer f.Close()
		var read indexData
		if json.NewDecoder(io.LimitReader(f, maxIndexSize)).Decode(&read) == nil && read.Version == indexVersion {
			d = read
		}
	}
	if d.Files == nil {
		d.Files = make(map[string]indexFile)
	}
	if d.Remote == nil {
		d.Remote = make(map[string]indexRemote)
	}
	return d
}

// change applies a change to the index.
func (x index) change(ctx context.Context, apply func(*indexData)) error {
	if x.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(x.path), 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	lock := flock.New(x.path+".lock", flock.SetPermissions(0o600))
	if ok, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil || !ok {
		return fmt.Errorf("lock of %s: %w", x.path, cmp.Or(err, errors.New("held by another process")))
	}
	defer lock.Unlock()
	d := x.load()
	apply(&d)
	prune(d.Files, func(f indexFile) time.Time { return f.Used })
	prune(d.Remote, func(r indexRemote) time.Time { return r.Used })
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return renameio.WriteFile(x.path, b, 0o600)
}

// prune forgets what was used longest ago when there is too much.
func prune[V any](m map[string]V, used func(V) time.Time) {
	if len(m) <= maxIndexFiles {
		return
	}
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return used(m[a]).Compare(used(m[b])) })
	for _, k := range keys[:len(m)-maxIndexFiles*9/10] {
		delete(m, k)
	}
}

// find returns what is known of a file in this state.
func (d indexData) find(path string, st fileStat) (hash [32]byte, limits *Limits, ok bool) {
	f, ok := d.Files[path]
	if !ok || f.Stat != st {
		return hash, nil, false
	}
	b, err := hex.DecodeString(f.SHA256)
	if err != nil || copy(hash[:], b) != len(hash) {
		return hash, nil, false
	}
	return hash, f.Limits, true
}
