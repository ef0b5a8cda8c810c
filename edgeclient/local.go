package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/appmaster/listen"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// localCluster is this machine: an application master runs as an ordinary
// process, detached from ours, and its containers are its children.
//
//	<state dir>/local/<id>/             locked while it is submitted
//	                       app.json     what was submitted, and the process
//	                       end.json     how it ended, written by its process
//	                       am/          the application master's directory
//	                       containers/  those of the others
//	                       filecache/   what was unpacked or copied for them
//	                       logs/        of all
//	<state dir>/local/.yarnd/           the "home directory's" staging and cache
//
// Of one that has ended app.json, end.json and logs/ are kept, of the newest keepLocal.
type localCluster struct {
	root string
	user string
	fs   hdfs.FS
	opts Options

	mu    sync.Mutex // guards leash
	leash []*os.File // whose closing ends an application
}

// keepLocal is how many ended applications are kept, with their logs.
const keepLocal = 20

func openLocal(opts Options) (*localCluster, error) {
	state, err := StateDir()
	if err != nil {
		return nil, err
	}
	root := filepath.Join(state, "local")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, wrap(Usage, "cannot make "+root, err, "Set YARND_HOME to a directory that you can write")
	}
	return &localCluster{root: root, user: localUser(), fs: hdfs.NewLocal(hdfs.LocalOptions{Home: root}), opts: opts}, nil
}

func (l *localCluster) Name() string { return "this machine" }

func (l *localCluster) User() string { return l.user }

func (l *localCluster) FS(context.Context) (hdfs.FS, error) { return l.fs, nil }

func (l *localCluster) Site() ([]byte, error) { return nil, nil }

func (l *localCluster) Env() map[string]string { return nil }

func (l *localCluster) Realm() string { return "" }

func (l *localCluster) VmRatio() float64 { return 0 }

func (l *localCluster) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.leash {
		end.Close()
	}
	l.leash = nil
	return l.fs.Close()
}

func (l *localCluster) dir(id string, names ...string) string {
	return filepath.Join(append([]string{l.root, id}, names...)...)
}

// Check looks at what this machine can be asked about: its interfaces, and whether
// so many processes find a port.
// CheckTokens: nobody needs any here.
func (*localCluster) CheckTokens(context.Context, Request) error { return nil }

func (l *localCluster) Check(_ context.Context, r Request, _ Resources) error {
	if _, err := listen.Host(spec.Listen{Interface: r.Interface}); err != nil {
		return usagef("Use the name of an interface of this machine, or leave --interface away", "%v", err)
	}
	if r.access() != (spec.Access{}) {
		l.opts.Progress("access lists have no meaning on this machine: an application is for who can read its files, you")
	}
	const others = 3 // the scheduler's, and the application master's two
	if n := r.Ports.Max - r.Ports.Min + 1; r.Ports != (Ports{}) && n < r.most()+others {
		return usagef(fmt.Sprintf("Use a --port-range of %d ports or more", r.most()+others), "%d ports are too few for %d workers on one machine", n, r.most())
	}
	return nil
}

// NewID reserves an id by making its directory, so that two submits at once get
// two.
func (l *localCluster) NewID(context.Context) (string, Resources, error) {
	now := time.Now().UnixMilli()
	for n := 1; n < 10000; n++ {
		id := fmt.Sprintf("local_%d_%04d", now, n)
		err := os.Mkdir(l.dir(id), 0o700)
		if err == nil {
			return id, Resources{VCores: maxVCores, Memory: maxMemory}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", Resources{}, wrap(Internal, "cannot make "+l.dir(id), err, "Check the disk")
		}
	}
	return "", Resources{}, &Fault{Code: Internal, What: "no free id", Next: "Try again"}
}

func (l *localCluster) Forget(id string) {
	if IsLocalID(id) {
		os.RemoveAll(l.dir(id))
	}
}

// Kill asks the application master to end its containers and itself, and when it
// does not, ends it; its children notice and follow.
func (l *localCluster) Kill(ctx context.Context, id, why string) error {
	var app localApp
	if err := readJSON(l.dir(id, appFile), &app); err != nil {
		return &Fault{Code: NotFound, What: "cannot kill " + id, Why: err}
	}
	gone := func() (bool, error) {
		began, alive := processBegan(app.PID)
		return !alive || began != app.Began, nil
	}
	killed := LocalEnd{Final: "KILLED", Diagnostics: why, Finished: time.Now().UTC()}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if done, _ := gone(); done {
			break
		}
		if err := writeEnd(l.dir(id, killFile), killed); err != nil {
			return err
		}
		if err := syscall.Kill(app.PID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return &Fault{Code: Auth, What: "cannot kill " + id, Why: err}
		}
		grace, cancel := context.WithTimeout(ctx, 15*time.Second)
		err := poll(grace, gone)
		cancel()
		if err != nil && ctx.Err() != nil {
			return wrap(TimedOut, "cannot kill "+id, context.Cause(ctx), "")
		}
	}
	var end LocalEnd
	if err := readJSON(l.dir(id, LocalEndFile), &end); err == nil && end.Final != "KILLED" {
		return nil // it ended by itself before it heard of us
	}
	if err := clearWork(l.dir(id)); err != nil { // what is on its way to its end may write still: the next submit's prune
		l.opts.Log.Debug("cannot clear up after an application", "app", id, "err", err)
	}
	return writeEnd(l.dir(id, LocalEndFile), killed)
}
