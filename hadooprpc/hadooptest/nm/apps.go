package nm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/logagg"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// app is an application of which the node has, or had, containers.
type app struct {
	id    yarn.ApplicationID
	user  string
	acls  map[string]string // as log aggregation writes them
	ended bool              // the ResourceManager said so
	busy  bool              // its remains are being seen to
}

// newApp notes a container's application, under mu.
func (n *Node) newApp(c *container) {
	id := c.id.Attempt.App
	if n.apps[id] != nil {
		return
	}
	a := &app{id: id, user: c.user, acls: map[string]string{}}
	for _, m := range c.launch.GetApplicationAcls() {
		switch m.GetAccessType() {
		case pb.ApplicationAccessType_APPACCESS_VIEW_APP:
			a.acls["VIEW_APP"] = m.GetAcl()
		case pb.ApplicationAccessType_APPACCESS_MODIFY_APP:
			a.acls["MODIFY_APP"] = m.GetAcl()
		}
	}
	n.apps[id] = a
}

// endApp ends an application's containers, and what it leaves when they are gone, under mu. Source: ApplicationImpl.
func (n *Node) endApp(id yarn.ApplicationID) {
	a := n.apps[id]
	if a == nil || a.ended {
		return
	}
	a.ended = true
	for _, c := range n.containers {
		if c.id.Attempt.App == id {
			n.kill(c, yarn.ExitKilledAfterAppCompletion, "Container killed on application-finish event: Application killed by ResourceManager")
		}
	}
	n.finishIfEnded(id)
}

// finishIfEnded sees to what an application leaves, once it has ended and its last container is done, under mu.
func (n *Node) finishIfEnded(id yarn.ApplicationID) {
	a := n.apps[id]
	if a == nil || !a.ended || a.busy || n.ctx.Err() != nil {
		return
	}
	for _, c := range n.containers {
		if c.id.Attempt.App == id && c.phase != done {
			return
		}
	}
	a.busy = true
	n.wg.Go(func() { n.finish(a) })
}

// finish removes an application's directories and gathers its logs.
func (n *Node) finish(a *app) {
	if !n.opt.KeepDirs {
		for _, local := range n.opt.LocalDirs {
			dir := appCache(local, a.user, a.id)
			n.cache.drop(dir)
			n.remove(dir)
			n.remove(filepath.Join(local, "nmPrivate", a.id.String()))
		}
	}
	keep := n.opt.KeepDirs
	switch {
	case n.opt.RemoteLogDir != "":
		if err := n.aggregate(a); err != nil {
			n.log.Warn("cannot aggregate logs", "application", a.id.String(), "err", err)
		}
	case n.opt.LogRetain > 0:
		keep = keep || !sleep(n.ctx, n.opt.LogRetain)
	default:
		keep = true
	}
	if !keep {
		for _, logs := range n.opt.LogDirs {
			n.remove(n.appLogs(logs, a.id))
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !keep {
		delete(n.apps, a.id)
	}
	for id := range n.attemptKeys {
		if id.App == a.id {
			delete(n.attemptKeys, id)
		}
	}
}

func (n *Node) remove(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		n.log.Warn("cannot remove a directory", "dir", dir, "err", err)
	}
}

// aggregate writes an application's logs into one file of the remote directory, under a temporary name until it is
// whole. Sources: AppLogAggregatorImpl, LogAggregationTFileController, LogAggregationUtils (3.4.2).
func (n *Node) aggregate(a *app) error {
	dir := filepath.Join(n.opt.RemoteLogDir, a.user, "bucket-"+n.opt.LogSuffix+"-tfile", fmt.Sprintf("%04d", a.id.ID%10000), a.id.String())
	containers, err := n.logDirs(a.id)
	if err != nil || len(containers) == 0 {
		return err
	}
	if err := os.MkdirAll(dir, 0o770); err != nil {
		return err
	}
	name := filepath.Join(dir, fmt.Sprintf("%s_%d", n.id.Host, n.id.Port))
	if _, err := os.Stat(name); err == nil { // as after a rolling upload
		name += fmt.Sprintf("_%d", time.Now().UnixMilli())
	}
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	w, err := logagg.NewWriter(f, a.user, a.acls)
	for _, dir := range containers {
		if err == nil {
			err = gather(w, dir)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name+".tmp"))
	}
	return os.Rename(name+".tmp", name)
}

// logDirs lists the log directories of an application's containers.
func (n *Node) logDirs(id yarn.ApplicationID) ([]string, error) {
	var out []string
	for _, logs := range n.opt.LogDirs {
		dirs, err := os.ReadDir(n.appLogs(logs, id))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, d := range dirs {
			files, err := os.ReadDir(filepath.Join(n.appLogs(logs, id), d.Name()))
			if err == nil && len(files) > 0 {
				out = append(out, filepath.Join(n.appLogs(logs, id), d.Name()))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// gather adds one container's logs.
func gather(w *logagg.Writer, dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var logs []logagg.LogFile
	for _, d := range files {
		if !d.Type().IsRegular() {
			continue
		}
		f, err := os.Open(filepath.Join(dir, d.Name()))
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		logs = append(logs, logagg.LogFile{Name: d.Name(), Size: st.Size(), Body: f})
	}
	return w.Container(filepath.Base(dir), logs)
}
