package packaging

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Examiner hashes local files and judges archives, each state of a file once:
// what it knows it has from the index, or from before in this process. It may be
// used by several goroutines.
type Examiner struct {
	index index
	log   *slog.Logger
	// looks says that the index may not change.
	looks bool
	*memory
}

// memory is what was found out in this process.
type memory struct {
	mu   sync.Mutex
	seen map[string]examined // by absolute path
}

// examined is what is known of one state of a file.
type examined struct {
	stat   fileStat
	hash   [32]byte
	passed map[Limits]bool // as an archive
}

// NewExaminer makes an examiner with the index that a cache of these options
// has. See [CacheOptions.Examiner].
func NewExaminer(o CacheOptions) *Examiner {
	x := &Examiner{log: o.Logger, memory: &memory{seen: map[string]examined{}}}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	switch o.Index {
	case "-":
	case "":
		if base, err := os.UserCacheDir(); err == nil {
			x.index.path = filepath.Join(base, "yarnd", "index.json")
		}
	default:
		x.index.path = o.Index
	}
	return x
}

// Check makes sure that a local file can be put into a cache: that it is a file
// and, for an archive, that it is sound. A URL is not looked at. Errors are
// [*SpecError] and [*ArchiveError].
func (x *Examiner) Check(ctx context.Context, s Spec) error {
	local, ok := localPath(s.Source)
	if !ok {
		return nil
	}
	f, abs, st, err := openLocal(s, local)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = x.examine(ctx, f, abs, s.Kind, s.Limits, statOf(st))
	return err
}

// openLocal opens the regular file that a Spec names.
func openLocal(s Spec, local string) (*os.File, string, os.FileInfo, error) {
	abs, err := filepath.Abs(local)
	if err != nil {
		return nil, "", nil, err
	}
	f, err := os.Open(abs)
	if err != nil {
		return nil, "", nil, &SpecError{Spec: s.Source, Why: errText(err)}
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &SpecError{Spec: s.Source, Why: "it is not a regular file; pack a directory first, see yarnd env pack"}
	}
	if err != nil {
		f.Close()
		return nil, "", nil, err
	}
	return f, abs, st, nil
}

// examine returns a local file's hash and makes sure that an archive is fit to
// be one.
func (x *Examiner) examine(ctx context.Context, f *os.File, abs string, kind Kind, limits Limits, st fileStat) ([32]byte, error) {
	hash, known, passed := x.known(abs, limits, st)
	if known && (kind == File || passed) {
		return hash, nil
	}
	if kind == Archive {
		if _, err := InspectArchive(ctx, abs, limits); err != nil {
			return hash, err
		}
	}
	if !known {
		h := sha256.New()
		if _, err := io.Copy(h, &contextReader{ctx: ctx, r: f}); err != nil {
			return hash, fmt.Errorf("cannot read %s: %w", abs, err)
		}
		h.Sum(hash[:0])
	}
	x.learn(ctx, abs, kind, limits, st, hash)
	return hash, nil
}

func (x *Examiner) known(abs string, limits Limits, st fileStat) (hash [32]byte, known, passed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e, ok := x.seen[abs]; ok && e.stat == st {
		return e.hash, true, e.passed[limits]
	}
	hash, found, known := x.index.load().find(abs, st)
	return hash, known, found != nil && *found == limits
}

func (x *Examiner) learn(ctx context.Context, abs string, kind Kind, limits Limits, st fileStat, hash [32]byte) {
	x.mu.Lock()
	e := x.seen[abs]
	if e.stat != st {
		e = examined{stat: st, hash: hash, passed: map[Limits]bool{}}
	}
	if kind == Archive {
		e.passed[limits] = true
	}
	x.seen[abs] = e
	x.mu.Unlock()
	if newest := time.Unix(0, max(st.Mtime, st.Ctime)); time.Since(newest) < settleTime {
		return
	}
	x.note(ctx, func(d *indexData) {
		e := indexFile{Stat: st, SHA256: hex.EncodeToString(hash[:]), Used: time.Now().UTC()}
		if kind == Archive {
			e.Limits = &limits
		}
		d.Files[abs] = e
	})
}

func (x *Examiner) note(ctx context.Context, apply func(*indexData)) {
	if x.looks {
		return
	}
	if err := x.index.change(ctx, apply); err != nil {
		x.log.Debug("the local index was not updated", "err", err)
	}
}
