package packaging

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// Entry is a file in the cache.
type Entry struct {
	Hash    string    `json:"sha256"`
	Name    string    `json:"name"`
	URL     string    `json:"url"`
	Size    int64     `json:"size"` // bytes
	Written time.Time `json:"written"`
	// Used is when a submission last used it, to the day.
	Used time.Time `json:"used"`
	// Application uses it now; empty when none does.
	Application string `json:"application,omitempty"`
}

// IsArchive reports whether a node manager would unpack it.
func (e Entry) IsArchive() bool {
	_, ok := formatOf(e.Name)
	return ok
}

// Leases tells which entries are in use, by their hashes, and by which
// application.
type Leases func(ctx context.Context) (map[string]string, error)

// usedName is a file beside an entry whose modification time says when the entry
// was used: the entry's own must not change, since node managers compare it.
const usedName = ".used"

// useStep is how exactly the time of use is kept.
const useStep = 24 * time.Hour

// touch notes that an entry is used.
func (c *Cache) touch(ctx context.Context, dir string, lastMs int64) {
	if c.looks || time.Since(time.UnixMilli(lastMs)) < useStep {
		return
	}
	if _, err := hdfs.WriteFile(ctx, c.fs, path.Join(dir, usedName), nil, 0o600); err != nil {
		c.log.Debug("the time of use was not noted", "err", err)
	}
}

// List returns all entries, those used last first.
func (c *Cache) List(ctx context.Context, leases Leases) ([]Entry, error) {
	leased, err := leases(ctx)
	if err != nil {
		return nil, err
	}
	var out []Entry
	err = c.each(ctx, func(hash string, infos []hdfs.FileInfo) error {
		files, err := c.entries(hash, infos)
		for i := range files {
			files[i].Application = leased[hash]
		}
		out = append(out, files...)
		return err
	})
	slices.SortStableFunc(out, func(a, b Entry) int { return b.Used.Compare(a.Used) })
	return out, err
}

// each visits the directory of each hash.
func (c *Cache) each(ctx context.Context, visit func(hash string, infos []hdfs.FileInfo) error) error {
	top := path.Join(c.dir, "sha256")
	firsts, err := c.fs.ReadDir(ctx, top)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, first := range firsts {
		hashes, err := c.fs.ReadDir(ctx, first.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, h := range hashes {
			if !isHash(h.Name()) {
				continue
			}
			infos, err := c.fs.ReadDir(ctx, h.Path)
			if errors.Is(err, fs.ErrNotExist) { // removed a moment ago
				continue
			}
			if err != nil {
				return err
			}
			if err := visit(h.Name(), infos); err != nil {
				return err
			}
		}
	}
	return err
}

// entries are the files of one hash: more than one where the same contents were
// put under names that node managers treat differently.
func (c *Cache) entries(hash string, infos []hdfs.FileInfo) ([]Entry, error) {
	var out []Entry
	var used int64
	for _, i := range infos {
		if i.Name() == usedName {
			used = i.ModTimeMs
		}
	}
	for _, i := range infos {
		if strings.HasPrefix(i.Name(), ".") {
			continue
		}
		url, err := c.fs.URL(i.Path)
		if err != nil {
			return nil, err
		}
		out = append(out, Entry{Hash: hash, Name: i.Name(), URL: url, Size: i.Length,
			Written: time.UnixMilli(i.ModTimeMs).UTC(), Used: time.UnixMilli(max(used, i.ModTimeMs)).UTC()})
	}
	return out, nil
}

// GC removes the entries that no application uses and none has used for so long.
// It returns those that it removed, or would have with dry.
func (c *Cache) GC(ctx context.Context, leases Leases, unused time.Duration, dry bool) ([]Entry, error) {
	if !dry && !c.looks {
		c.emptyTrash(ctx)
	}
	all, err := c.List(ctx, leases)
	if err != nil {
		return nil, err
	}
	old := slices.DeleteFunc(all, func(e Entry) bool { return e.Application != "" || time.Since(e.Used) < unused })
	if dry {
		return old, nil
	}
	return c.Remove(ctx, leases, old)
}

// Remove removes entries, all names of a hash together, in the order that
// [Lease] gives, and returns those that were not in use. With nil leases it does
// not ask. A cache that only looks returns what it would have removed.
func (c *Cache) Remove(ctx context.Context, leases Leases, entries []Entry) ([]Entry, error) {
	if c.looks {
		return c.free(ctx, leases, entries)
	}
	moved := map[string]string{} // hash → where it is now
	defer func() {
		for hash, trash := range moved { // after an error
			c.restore(ctx, hash, trash)
		}
	}()
	for _, e := range entries {
		if moved[e.Hash] != "" {
			continue
		}
		trash, err := c.moveAway(ctx, e.Hash)
		if err != nil {
			return nil, err
		}
		moved[e.Hash] = trash
	}
	leased := map[string]string{}
	if leases != nil && len(moved) > 0 {
		var err error
		if leased, err = leases(ctx); err != nil {
			return nil, err
		}
	}
	var removed []Entry
	for _, e := range entries {
		trash, here := moved[e.Hash]
		if here {
			if leased[e.Hash] != "" {
				continue // the deferred function moves it back
			}
			if err := c.fs.RemoveAll(ctx, trash); err != nil {
				return removed, err
			}
			delete(moved, e.Hash)
		}
		if leased[e.Hash] == "" {
			removed = append(removed, e)
		}
	}
	return removed, nil
}

// free returns the entries that are not in use.
func (c *Cache) free(ctx context.Context, leases Leases, entries []Entry) ([]Entry, error) {
	if leases == nil {
		return entries, nil
	}
	leased, err := leases(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return leased[e.Hash] != "" }), nil
}

// trashDir holds what is being removed, as <milliseconds>-<hash>-<random>.
const trashDir = "trash"

func (c *Cache) moveAway(ctx context.Context, hash string) (string, error) {
	if err := c.fs.MkdirAll(ctx, path.Join(c.dir, trashDir), 0o700); err != nil {
		return "", err
	}
	trash := path.Join(c.dir, trashDir, fmt.Sprintf("%d-%s-%s", time.Now().UnixMilli(), hash, rand.Text()[:8]))
	dir := path.Join(c.dir, "sha256", hash[:2], hash)
	if err := c.fs.Rename(ctx, dir, trash); err != nil {
		return "", err
	}
	return trash, nil
}

// restore moves an entry back, unless a submission has brought it again.
func (c *Cache) restore(ctx context.Context, hash, trash string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	dir := path.Join(c.dir, "sha256", hash[:2], hash)
	err := c.fs.Rename(ctx, trash, dir)
	if errors.Is(err, hdfs.ErrNotEmpty) {
		err = c.fs.RemoveAll(ctx, trash)
	}
	if err != nil {
		c.log.Warn("an entry of the cache could not be moved back", "from", trash, "to", dir, "err", err)
	}
}

// emptyTrash removes what a removal that was killed left behind.
func (c *Cache) emptyTrash(ctx context.Context) {
	infos, err := c.fs.ReadDir(ctx, path.Join(c.dir, trashDir))
	if err != nil {
		return
	}
	for _, i := range infos {
		ms, _, _ := strings.Cut(i.Name(), "-")
		if n, err := strconv.ParseInt(ms, 10, 64); err == nil && time.Since(time.UnixMilli(n)) > abandonedAge {
			_ = c.fs.RemoveAll(ctx, i.Path) // next time, if not now
		}
	}
}
