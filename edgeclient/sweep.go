package edgeclient

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// unstage removes an application's staging directory, also when ctx has ended.
func (c *Client) unstage(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opts.CallTimeout)
	defer cancel()
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return err
	}
	if err := f.RemoveAll(ctx, path.Join(stagingRoot, id)); err != nil {
		return fsFault("cannot remove the staging directory of "+id, err)
	}
	return nil
}

// abandoned is the age at which a staging directory of an application that the
// cluster does not know cannot be a submission under way.
const abandoned = time.Hour

// stagedID tells whose staging directory has a name: <id>, which is whole, or <id>.<any>,
// which a submission puts together.
func stagedID(name string) (id string, whole, ok bool) {
	id, _, part := strings.Cut(name, ".")
	return id, !part, IsID(id)
}

// sweep removes staging directories of this user's applications that ended
// without their application master's doing so, and what submissions left that were
// killed. done has just been submitted. It is best effort.
func (c *Client) sweep(ctx context.Context, f hdfs.FS, done string) {
	entries, err := f.ReadDir(ctx, stagingRoot)
	if err != nil {
		return
	}
	states := c.states(ctx)
	const most = 20 // questions about a single application
	asked := 0
	for _, e := range entries {
		id, whole, ok := stagedID(path.Base(e.Path))
		if !e.IsDir || !ok || whole && id == done {
			continue
		}
		old := time.Since(time.UnixMilli(e.ModTimeMs)) > abandoned
		state, known := states[id]
		var gone bool
		switch {
		case !whole: // nothing runs from there, and nothing will
			gone = old || id == done
		case known:
			gone = state.Ended()
		case asked < most:
			asked++
			gone = c.over(ctx, f, e.Path, id, done, old)
		}
		if gone {
			c.opts.Log.Debug("sweeping up", "app", id, "err", f.RemoveAll(ctx, e.Path))
		}
	}
}

// states are those of this user's applications, as far as the cluster lists them.
func (c *Client) states(ctx context.Context) map[string]State {
	reports, err := c.cluster.List(ctx, Filter{All: true, User: c.cluster.User()})
	if err != nil {
		c.opts.Log.Debug("sweeping up without a list", "err", err)
	}
	states := make(map[string]State, len(reports))
	for _, r := range reports {
		states[r.ID] = r.State
	}
	return states
}

// over asks whether an application with a staging directory runs no more, and will not
// begin to. Another cluster's applications, on the same file system, are unknown here.
func (c *Client) over(ctx context.Context, f hdfs.FS, dir, id, done string, old bool) bool {
	r, err := c.cluster.Report(ctx, id)
	if err == nil {
		return r.State.Ended()
	}
	if CodeOf(err) != NotFound || !old {
		return false
	}
	if clusterOf(id) == clusterOf(done) {
		return true
	}
	l, err := readLaunch(ctx, f, dir) // this cluster, before it was started anew
	return err == nil && l.Cluster == c.cluster.Name()
}

// clusterOf is the part of an id that a start of a ResourceManager, or one that
// recovers its state, shares with all its applications.
func clusterOf(id string) string {
	parts := strings.Split(id, "_")
	return strings.Join(parts[:min(2, len(parts))], "_")
}
