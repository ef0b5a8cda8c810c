package survive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// patience bounds every wait: others may use the machine.
const patience = 90 * time.Second

// world is an embedded cluster with one client.
type world struct {
	*testing.T
	*minicluster.Cluster
	edge *edgeclient.Client
}

func newWorld(t *testing.T, o minicluster.Options) *world {
	t.Helper()
	o.Dir = t.TempDir()
	if o.Heartbeat == 0 {
		o.Heartbeat = 50 * time.Millisecond
	}
	o.NoMemoryLimit = true
	if o.Cluster.MaxAttempts == 0 {
		o.Cluster.MaxAttempts = 100
	}
	cluster, err := minicluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, Cluster: cluster}
	t.Cleanup(func() {
		if t.Failed() {
			w.showLogs()
		}
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("HADOOP_CONF_DIR", cluster.ConfDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("YARND_HOME", t.TempDir())
	t.Setenv("YARND_LOG", "debug")
	if w.edge, err = edgeclient.Open(t.Context(), edgeclient.Options{Provider: "yarn", CallTimeout: 20 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.edge.Close() })
	return w
}

// small is a request for an application of so many workers, as small as they come.
func small(workers int) edgeclient.Request {
	size := edgeclient.Resources{VCores: 1, Memory: 128 * edgeclient.MiB}
	return edgeclient.Request{Bundle: program, Workers: workers, Worker: size, Scheduler: size, AM: size, MaxAttempts: 100}
}

// app is an application in the world.
type app struct {
	*world
	id string
}

// submit starts an application; with workers it waits until they are there.
func (w *world) submit(r edgeclient.Request) *app {
	w.Helper()
	report, err := w.edge.Submit(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	return &app{w, report.ID}
}

func (a *app) connect() *yarnd.Cluster {
	a.Helper()
	report, err := a.edge.Report(a.Context(), a.id)
	if err != nil {
		a.Fatal(err)
	}
	c, err := yarnd.Attach(a.Context(), a.edge, report, false)
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { c.Close() })
	return c
}

// await waits for a condition.
func (w *world) await(what string, is func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("it never was so: %s", what)
		}
	}
}

// attempt is the application's present attempt.
func (a *app) attempt() yarn.AttemptID {
	a.Helper()
	report, err := a.edge.Report(a.Context(), a.id)
	if err != nil {
		a.Fatal(err)
	}
	id, err := yarn.ParseAttemptID(report.Attempt)
	if err != nil {
		a.Fatal(err)
	}
	return id
}

// masters are the containers that run application masters, by what their processes are
// called. Their numbers do not tell: after a failover the first new container of an
// attempt has the number 1 as well.
func (w *world) masters() map[string]bool {
	out := map[string]bool{}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		dir, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(dir, w.Dir()) {
			continue
		}
		if command, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline")); strings.Contains(string(command), "\x00appmaster\x00") {
			out[filepath.Base(dir)] = true
		}
	}
	return out
}

var errNoMaster = errors.New("no node runs the application master")

// killMaster kills an attempt's application master with SIGKILL, where it lives.
func (w *world) killMaster(id yarn.AttemptID) error {
	node, master := w.masterOf(id)
	if node == nil {
		return errNoMaster
	}
	return node.KillContainer(master, syscall.SIGKILL)
}

// masterOf is the application master of an attempt, and the node that runs it; nil when
// none does.
func (w *world) masterOf(id yarn.AttemptID) (*nm.Node, yarn.ContainerID) {
	masters := w.masters()
	for _, node := range w.Nodes {
		for _, c := range node.Containers() {
			if c.State == tracker.Running && c.ID.Attempt == id && masters[c.ID.String()] {
				return node, c.ID
			}
		}
	}
	return nil, yarn.ContainerID{}
}

// running are the containers of an application that run, but for application masters.
func (a *app) running() []yarn.ContainerID {
	var out []yarn.ContainerID
	masters := a.masters()
	for _, node := range a.Nodes {
		for _, c := range node.Containers() {
			if c.State == tracker.Running && c.ID.Attempt.App.String() == a.id && !masters[c.ID.String()] {
				out = append(out, c.ID)
			}
		}
	}
	return out
}

// gone waits until nothing of the application is left: no container, no process, no
// staged file, no directory on a node.
func (a *app) gone() {
	a.Helper()
	a.await("no container is left", func() bool {
		for _, node := range a.Nodes {
			for _, c := range node.Containers() {
				if c.State == tracker.Running && c.ID.Attempt.App.String() == a.id {
					return false
				}
			}
		}
		return true
	})
	a.await("no process is left", func() bool { return len(a.processes()) == 0 })
	a.await("nothing is staged, whole or half", func() bool {
		staged, err := filepath.Glob(filepath.Join(a.Home(a.edge.User()), ".yarnd", a.id+"*"))
		return err == nil && len(staged) == 0
	})
	a.await("no directory is left on a node", func() bool {
		dirs, err := filepath.Glob(filepath.Join(a.Dir(), "nodes", "*", "local", "usercache", "*", "appcache", a.id))
		return err == nil && len(dirs) == 0
	})
}

// processes are those that run in the directories of the application's containers.
func (a *app) processes() []string {
	var out []string
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		dir, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(dir, a.Dir()) && strings.Contains(dir, a.id) {
			out = append(out, filepath.Dir(link)+" in "+dir)
		}
	}
	return out
}

// final waits for the end and returns the final status.
func (a *app) final() edgeclient.Report {
	a.Helper()
	last, err := a.edge.Wait(a.withTime(), a.id, edgeclient.WaitFinished, 0)
	if err != nil {
		a.Error(err)
	}
	return last
}

// showLogs prints what the application masters and schedulers said.
func (w *world) showLogs() {
	files, _ := filepath.Glob(filepath.Join(w.Dir(), "nodes", "*", "*", "*", "container_*", "stderr"))
	more, _ := filepath.Glob(filepath.Join(w.Dir(), "nodes", "*", "*", "*", "*", "container_*", "stderr"))
	for _, name := range append(files, more...) {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), "registered") && !strings.Contains(string(text), "cheduler") {
			continue
		}
		const most = 8 << 10
		if len(text) > most {
			text = text[len(text)-most:]
		}
		w.Logf("%s:\n%s", name, text)
	}
}

// withTime bounds a part of a test.
func (w *world) withTime() context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	w.Cleanup(cancel)
	return ctx
}
