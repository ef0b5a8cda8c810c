package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/packaging"
)

// lease writes which entries of the cache the application will use, before any of
// them is looked for.
func (s *stager) lease(cache *packaging.Cache, specs []packaging.Spec) error {
	l, err := cache.NewLease(s.ctx, specs...)
	if err != nil {
		return fsFault("cannot read what is to be staged", err)
	}
	b, err := l.Encode()
	if err != nil {
		return wrap(Internal, "cannot write the lease", err, "See yarnd -v for more")
	}
	s.put(packaging.LeaseName, b)
	return s.err
}

// leases tells which entries of the cache applications use that run, or may run:
// those with a staging directory of which the cluster does not say that they
// ended. Applications of another cluster on the same file system, which this one
// does not know, count as running unless forgotten says otherwise.
func (c *Client) leases(f hdfs.FS, forgotten bool) packaging.Leases {
	return func(ctx context.Context) (map[string]string, error) {
		held := map[string]string{}
		dirs, err := f.ReadDir(ctx, stagingRoot)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fsFault("cannot list the staging directories", err)
		}
		for _, d := range dirs {
			id, whole, ok := stagedID(path.Base(d.Path))
			if !d.IsDir || !ok {
				continue
			}
			runs, known := time.Since(time.UnixMilli(d.ModTimeMs)) < abandoned, false
			if whole {
				if runs, known, err = c.mayRun(ctx, id, time.UnixMilli(d.ModTimeMs), forgotten); err != nil {
					return nil, err
				}
			}
			if !runs {
				continue
			}
			l, err := readLease(ctx, f, d.Path)
			if errors.Is(err, fs.ErrNotExist) && !whole { // it has just become whole
				l, err = readLease(ctx, f, path.Join(path.Dir(d.Path), id))
			}
			if errors.Is(err, fs.ErrNotExist) && !known {
				continue // its submission has not looked for any entry yet
			}
			if err != nil {
				return nil, &Fault{Code: Refused, What: "cannot tell what " + id + " uses", Why: err,
					Next: "Wait until it has ended, or end it with yarnd kill " + id}
			}
			for _, hash := range l.Entries {
				held[hash] = id
			}
		}
		return held, nil
	}
}

// mayRun says whether an application can be running or about to be, and whether
// the cluster knows it.
func (c *Client) mayRun(ctx context.Context, id string, staged time.Time, forgotten bool) (runs, known bool, err error) {
	r, err := c.cluster.Report(ctx, id)
	switch {
	case err == nil:
		return !r.State.Ended(), true, nil
	case CodeOf(err) != NotFound:
		return false, false, err
	case time.Since(staged) < abandoned:
		return true, false, nil
	case forgotten || IsLocalID(id):
		return false, false, nil
	}
	ours, err := c.ours(ctx, id)
	return !ours, false, err
}

// ours reports whether an unknown id was given by the cluster as it runs now, so
// that it would know the application if that ran.
func (c *Client) ours(ctx context.Context, id string) (bool, error) {
	fresh, _, err := c.cluster.NewID(ctx)
	if err != nil {
		return false, err
	}
	c.cluster.Forget(fresh)
	return clusterOf(id) == clusterOf(fresh), nil
}

func readLease(ctx context.Context, f hdfs.FS, dir string) (packaging.Lease, error) {
	b, err := hdfs.ReadFile(ctx, f, path.Join(dir, packaging.LeaseName), packaging.MaxLease)
	if err != nil {
		return packaging.Lease{}, fmt.Errorf("its lease: %w", err)
	}
	return packaging.ParseLease(b)
}
