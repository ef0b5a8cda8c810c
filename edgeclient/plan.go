package edgeclient

import (
	"context"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/packaging"
)

// Plan is what Submit would do.
type Plan struct {
	Cluster string
	User    string
	Staging string // URL of the directory that holds the applications' own
	Largest Resources
	Request Request // with its defaults
	Uploads []Upload
}

// Upload is one file or archive that the containers get.
type Upload struct {
	Name   string // in the container's directory
	Source string // a local path, or a URL that is used in place
	URL    string // where it is; "" for what has to be uploaded
	Bytes  int64
	// Cached says that its bytes are on the cluster's file system.
	Cached bool
}

// Plan makes every check that Submit makes, locally and against the cluster, and
// tells what it would do. It submits nothing, and changes nothing, neither on the file
// system nor in the local index; YARN counts an application id on, the only call that
// tells its largest container.
func (c *Client) Plan(ctx context.Context, r Request) (Plan, error) {
	r = r.withDefaults()
	if err := r.check(); err != nil {
		return Plan{}, err
	}
	p, err := r.prepare(ctx, packaging.LookExaminer(packaging.CacheOptions{}))
	if err != nil {
		return Plan{}, err
	}
	id, largest, err := c.cluster.NewID(ctx)
	if err != nil {
		return Plan{}, err
	}
	c.cluster.Forget(id)
	if err := c.preflight(ctx, r, p, largest); err != nil {
		return Plan{}, err
	}
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Cluster: c.cluster.Name(), User: c.cluster.User(), Largest: largest, Request: r}
	if plan.Staging, err = f.URL(stagingRoot); err != nil {
		return Plan{}, fsFault("cannot name the staging directory", err)
	}
	plan.Uploads, err = look(ctx, f, p)
	return plan, err
}

// look tells what upload would do.
func look(ctx context.Context, f hdfs.FS, p program) ([]Upload, error) {
	cache, err := packaging.LookCache(f, packaging.CacheOptions{Examiner: p.known})
	if err != nil {
		return nil, fsFault("cannot look into the cache", err)
	}
	var out []Upload
	for i, s := range p.specs() {
		var res packaging.Resource
		if i == 0 {
			res, err = cache.PutBundle(ctx, p.bundle, s.Name)
		} else {
			res, err = cache.Put(ctx, s)
		}
		if err != nil {
			return nil, uploadFault(s, err)
		}
		out = append(out, Upload{Name: s.Name, Source: s.Source, URL: res.URL, Bytes: res.Size, Cached: !res.Uploaded})
	}
	return out, nil
}

// specs are the files of an application; the program comes first.
func (p program) specs() []packaging.Spec {
	return append([]packaging.Spec{{Source: p.bundle.Path, Name: spec.ProgramName, Kind: packaging.File}}, p.files...)
}
