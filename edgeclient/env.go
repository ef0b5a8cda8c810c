package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/packaging"
)

// cache opens the user's cache on the cluster's file system; with look, so that
// nothing is changed.
func (c *Client) cache(ctx context.Context, look bool) (*packaging.Cache, hdfs.FS, error) {
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return nil, nil, err
	}
	o := packaging.CacheOptions{Progress: c.opts.Upload, Logger: c.opts.Log}
	var cache *packaging.Cache
	if look {
		cache, err = packaging.LookCache(f, o)
	} else {
		cache, err = packaging.OpenCache(ctx, f, o)
	}
	if err != nil {
		return nil, nil, fsFault("cannot open the cache", err)
	}
	return cache, f, nil
}

// PushEnv puts an environment archive into the cache unless it is there, and
// returns where it is: what submit takes as its environment.
func (c *Client) PushEnv(ctx context.Context, file string, allowRatio bool) (packaging.Resource, error) {
	s, err := packaging.ParseSpec(file+"#environment", packaging.Archive)
	if err != nil {
		return packaging.Resource{}, wrap(Usage, "cannot push "+file, err, "Give a .tar.gz, .tgz or .zip")
	}
	s.Limits = Request{AllowRatio: allowRatio}.limits(envFlag)
	cache, _, err := c.cache(ctx, false)
	if err != nil {
		return packaging.Resource{}, err
	}
	start := time.Now()
	r, err := cache.Put(ctx, s)
	if err != nil {
		return r, fsFault("cannot push "+file, err)
	}
	if r.Uploaded {
		c.opts.Progress("uploaded %s (%s) in %s", file, FormatBytes(r.Size), time.Since(start).Round(time.Millisecond))
	} else {
		c.opts.Progress("%s (%s) is there already", file, FormatBytes(r.Size))
	}
	return r, nil
}

// ListCache returns what is in the cache and who uses it.
func (c *Client) ListCache(ctx context.Context) ([]packaging.Entry, error) {
	cache, f, err := c.cache(ctx, true)
	if err != nil {
		return nil, err
	}
	entries, err := cache.List(ctx, c.leases(f, false))
	if err != nil {
		return nil, fsFault("cannot list the cache", err)
	}
	return entries, nil
}

// GC removes what no application uses and none has used for so long; with dry it
// only says what. Applications that the cluster does not know count as ended if
// forgotten is true.
func (c *Client) GC(ctx context.Context, unused time.Duration, dry, forgotten bool) ([]packaging.Entry, error) {
	cache, f, err := c.cache(ctx, dry)
	if err != nil {
		return nil, err
	}
	removed, err := cache.GC(ctx, c.leases(f, forgotten), unused, dry)
	if err != nil {
		return removed, fsFault("cannot clean up the cache", err)
	}
	return removed, nil
}

// RemoveEntry removes the entries that a name, a URL or the begin of a hash
// means. What a running application uses is refused unless force is true.
func (c *Client) RemoveEntry(ctx context.Context, what string, force bool) ([]packaging.Entry, error) {
	cache, f, err := c.cache(ctx, false)
	if err != nil {
		return nil, err
	}
	leases := c.leases(f, false)
	ask := leases
	if force {
		ask = func(context.Context) (map[string]string, error) { return nil, nil }
	}
	all, err := cache.List(ctx, ask)
	if err != nil {
		return nil, fsFault("cannot list the cache", err)
	}
	chosen, err := choose(all, what)
	if err != nil {
		return nil, err
	}
	for _, e := range chosen {
		if e.Application != "" {
			return nil, &Fault{Code: Refused, What: fmt.Sprintf("%s is in use by %s", e.Name, e.Application), Next: "Wait until it has ended, or use --force"}
		}
	}
	removed, err := cache.Remove(ctx, ask, chosen)
	if err != nil {
		return removed, fsFault("cannot remove "+what, err)
	}
	if len(removed) == 0 {
		return nil, &Fault{Code: Refused, What: what + " was taken into use a moment ago", Next: "See yarnd env list"}
	}
	return removed, nil
}

// shortestHash is how many digits of a hash name an entry.
const shortestHash = 6

// choose finds the entries of one hash.
func choose(all []packaging.Entry, what string) ([]packaging.Entry, error) {
	hashes := map[string]bool{}
	for _, e := range all {
		byHash := len(what) >= shortestHash && strings.HasPrefix(e.Hash, what)
		if byHash || e.Name == what || e.URL == what {
			hashes[e.Hash] = true
		}
	}
	switch len(hashes) {
	case 0:
		return nil, &Fault{Code: NotFound, What: fmt.Sprintf("the cache has no %q", what), Next: "See yarnd env list --all"}
	case 1:
		return slices.DeleteFunc(slices.Clone(all), func(e packaging.Entry) bool { return !hashes[e.Hash] }), nil
	}
	return nil, usagef("Name one by its hash, see yarnd env list", "%q is %d entries", what, len(hashes))
}

// Fetch copies a file of the cluster's file system into a directory here, under
// its own name, and returns its path.
func (c *Client) Fetch(ctx context.Context, url, dir string) (string, error) {
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return "", err
	}
	what := "cannot fetch " + url
	r, err := f.Open(ctx, url)
	if err != nil {
		return "", fsFault(what, err)
	}
	defer r.Close()
	to := filepath.Join(dir, path.Base(r.Info().Path))
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", wrap(Internal, what, err, "Check "+dir)
	}
	_, err = io.Copy(w, r)
	if err = errors.Join(err, w.Close()); err != nil {
		os.Remove(to)
		return "", wrap(Internal, what, err, "Check the disk of "+dir+"; TMPDIR names another one")
	}
	return to, nil
}

// PackagingFault gives an error of package packaging a person's words.
func PackagingFault(what string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*packaging.PackError)(nil); errors.As(err, &e) {
		// Its text says all there is to say.
		code := Usage
		if e.Full() {
			code = Internal
		}
		return &Fault{Code: code, What: e.Error()}
	}
	return fsFault(what, err)
}
