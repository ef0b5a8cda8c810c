package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/cluster"
	"github.com/yarnd/yarnd/dockertest/layout"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

const (
	// onHadoop is who the clients are.
	onHadoop = "alice"
	// daemonPatience is how long daemons may take to serve again.
	daemonPatience = 4 * time.Minute
	// callPatience is how long an agent may take for one order.
	callPatience = 20 * time.Second
)

// hadoop is Hadoop's own daemons in containers (package dockertest/cluster), with an agent on each node.
type hadoop struct {
	*cluster.Cluster
	w      *world
	nodes  []string // hosts of NodeManagers
	agents []*agent
	fs     hdfs.FS
	file   string          // of marks
	found  map[string]bool // files that were there before
	unlock func()
}

func newHadoop(ctx context.Context, w *world) (place, error) {
	composition, err := layout.ByName(w.o.hadoop)
	if err != nil {
		return nil, err
	}
	dir, err := cache.Find()
	if err != nil {
		return nil, err
	}
	name := os.Getenv("YARND_CLUSTER_PREFIX") + composition.Name
	h := &hadoop{w: w, file: fmt.Sprintf("/tmp/chaos-marks-%d", time.Now().UnixNano())}
	if h.unlock, err = dir.Lock(ctx, "use-"+name); err != nil { // as dockertest.Exclusive does
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if h.Cluster, err = cluster.Up(ctx, cluster.Spec{Name: name, Composition: composition}, log); err != nil {
		h.unlock()
		return nil, fmt.Errorf("there is no cluster: %w", err)
	}
	if err := h.enter(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// enter makes this process a client of the cluster, and puts an agent on each node.
func (h *hadoop) enter(ctx context.Context) (err error) {
	var hosts []string
	for _, host := range h.Composition().Hosts {
		hosts = append(hosts, host.Name+"="+h.Addr(host.Name))
	}
	names := strings.Join(hosts, ",")
	useHosts(names)
	site := h.ConfDir(h.Composition().Edges()[0].Name)
	if err := h.w.environment(map[string]string{"HADOOP_CONF_DIR": site, "HADOOP_USER_NAME": onHadoop, hostsVar: names}); err != nil {
		return err
	}
	c, err := conf.Load(conf.Options{Dirs: []string{site}})
	if err != nil {
		return err
	}
	h.w.t.Intervals = unusual(c)
	if h.fs, err = hdfs.Open(ctx, c, "", hdfs.Options{User: onHadoop}); err != nil {
		return err
	}
	for _, node := range h.Composition().With(layout.NodeManager) {
		a, err := startAgent(h.Cluster, node.Name)
		if err != nil {
			return err
		}
		h.nodes, h.agents = append(h.nodes, node.Name), append(h.agents, a)
	}
	before, err := h.remains(ctx, "")
	h.found = map[string]bool{}
	for _, name := range before.names {
		h.found[name] = true
	}
	return err
}

func (h *hadoop) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*daemonPatience)
	defer cancel()
	defer h.unlock()
	err := h.Repair(ctx)
	if h.fs != nil {
		err = errors.Join(err, h.fs.Close())
	}
	for i, a := range h.agents {
		a.stop()
		_, failed := h.Output(ctx, h.nodes[i], "", "rm", "-f", agentFile, h.file)
		err = errors.Join(err, failed)
	}
	return err
}

// all asks all agents at once; a node that is away says nothing.
func (h *hadoop) all(o order) []answer {
	answers := make([]answer, len(h.agents))
	var wg sync.WaitGroup
	for i, a := range h.agents {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), callPatience)
			defer cancel()
			var err error
			if answers[i], err = a.ask(ctx, o); err != nil {
				answers[i].Err = err.Error()
			}
		})
	}
	wg.Wait()
	return answers
}

func (h *hadoop) boxes(app string) (all []box) {
	for i, a := range h.all(order{Do: "boxes", App: app}) {
		for _, b := range a.Boxes {
			b.Node = i
			all = append(all, b)
		}
	}
	return all
}

func (h *hadoop) signal(id string, s syscall.Signal) (hit bool) {
	for _, a := range h.all(order{Do: "signal", Box: id, Signal: int(s)}) {
		hit = a.Hit || hit
	}
	return hit
}

func (h *hadoop) markFile() string { return h.file }

func (h *hadoop) marks(ctx context.Context) (all [][]byte, err error) {
	for _, node := range h.nodes {
		text, err := h.Output(ctx, node, "", "sh", "-c", "[ ! -e "+h.file+" ] || cat "+h.file)
		if err != nil {
			return nil, err
		}
		all = append(all, []byte(text))
	}
	return all, nil
}

// remains counts containers that NodeManagers still have, processes and directories on their nodes, and what is staged.
func (h *hadoop) remains(ctx context.Context, app string) (r remains, err error) {
	for i, a := range h.all(order{Do: "left", App: app}) {
		if a.Err != "" {
			err = errors.Join(err, errors.New(a.Err))
		}
		r.Processes += a.Processes
		for _, name := range a.Files {
			h.leftOver(&r, "on "+h.nodes[i]+": "+name)
		}
	}
	for _, node := range h.nodes {
		n, failed := h.held(ctx, node, app)
		r.Containers, err = r.Containers+n, errors.Join(err, failed)
	}
	staged, failed := h.fs.ReadDir(ctx, filepath.Join("/user", onHadoop, ".yarnd"))
	if failed != nil && !errors.Is(failed, os.ErrNotExist) {
		err = errors.Join(err, failed)
	}
	for _, entry := range staged {
		if name := filepath.Base(entry.Name()); isStaged(name, app) {
			h.leftOver(&r, "staged: "+name)
		}
	}
	return r, err
}

// leftOver counts a file, but for those that somebody else had left.
func (h *hadoop) leftOver(r *remains, name string) {
	if !h.found[name] {
		r.found(name)
	}
}

// held counts the containers of an application that run, as a NodeManager says.
func (h *hadoop) held(ctx context.Context, node, app string) (n int, err error) {
	var doc struct {
		Containers struct {
			Container []struct{ ID, State string }
		}
	}
	if err := h.GetJSON(ctx, h.Web(node, layout.NodeManager)+"/ws/v1/node/containers", &doc); err != nil {
		return 0, err
	}
	for _, c := range doc.Containers.Container {
		if (app == "" || appOf(c.ID) == app) && c.State != "DONE" {
			n++
		}
	}
	return n, nil
}

// settled waits until all daemons serve.
func (h *hadoop) settled(ctx context.Context) error { return h.AwaitHealth(ctx, daemonPatience) }
