package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// fault is one kind of what is done. It returns when it is over, not when the application
// is whole again.
type fault struct {
	name   string
	weight int
	do     func(*world, context.Context) error
}

var kinds = []fault{
	{"application master killed", 3, (*world).killMaster},
	{"scheduler killed", 3, (*world).killScheduler},
	{"worker killed", 6, (*world).killWorker},
	{"worker stopped for a while", 1, (*world).stopWorker},
	{"scheduler and master killed", 1, (*world).killBoth},
	{"ResourceManager fails over", 2, (*world).failOver},
	{"NodeManager restarts", 1, (*world).restartNode},
	{"node cut off from the RM", 1, (*world).cutNode},
}

// errMissed tells that there was nothing to hurt just then.
var errMissed = errors.New("nothing was hit")

// faults hurts the application until its time is over.
func (w *world) faults(ctx context.Context, t *table) {
	chosen := kinds
	if w.o.kinds != "" {
		names := strings.Split(w.o.kinds, ",")
		chosen = slices.DeleteFunc(slices.Clone(kinds), func(f fault) bool { return !slices.Contains(names, f.name) })
	}
	sum := 0
	for _, f := range chosen {
		sum += f.weight
	}
	for ctx.Err() == nil && time.Since(w.began) < w.o.length && sum > 0 {
		f := chosen[0]
		for n, k := w.rnd.IntN(sum), 0; n >= 0; k++ {
			f = chosen[k]
			n -= f.weight
		}
		before, at := w.containers(), time.Now()
		err := f.do(w, ctx)
		if errors.Is(err, errMissed) {
			t.missed(f.name)
			continue
		}
		if err == nil {
			err = w.awaitWhole(ctx)
		}
		t.add(f.name, time.Since(at), w.keptOf(before), len(before), err)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", f.name, err)
			return
		}
		time.Sleep(time.Duration(w.rnd.ExpFloat64() * float64(500*time.Millisecond)))
	}
}

// each yields the application's containers that run, with their nodes.
func (w *world) each(f func(*nm.Node, yarn.ContainerID)) {
	for _, node := range w.Nodes {
		for _, c := range node.Containers() {
			if c.State == tracker.Running && c.ID.Attempt.App.String() == w.id {
				f(node, c.ID)
			}
		}
	}
}

// kill kills the containers for which is holds, and reports how many live ones it hit.
func (w *world) kill(is func(yarn.ContainerID) bool) (hit int) {
	w.each(func(node *nm.Node, id yarn.ContainerID) {
		if is(id) && node.KillContainer(id, syscall.SIGKILL) == nil {
			hit++
		}
	})
	return hit
}

// masters are the containers that run application masters. Their numbers do not tell: after
// a failover the first new container has the number 1 as well.
func (w *world) masters() map[string]bool {
	out := map[string]bool{}
	for dir, command := range w.processes() {
		if strings.Contains(command, "\x00appmaster\x00") {
			out[filepath.Base(dir)] = true
		}
	}
	return out
}

func (w *world) killMaster(context.Context) error {
	masters := w.masters()
	if w.kill(func(c yarn.ContainerID) bool { return masters[c.String()] }) == 0 {
		return errMissed
	}
	return nil
}

func (w *world) killScheduler(ctx context.Context) error {
	id := w.scheduler(ctx)
	if id == "" || w.kill(func(c yarn.ContainerID) bool { return c.String() == id }) == 0 {
		return errMissed
	}
	return nil
}

func (w *world) killBoth(ctx context.Context) error {
	id := w.scheduler(ctx)
	masters := w.masters()
	if id == "" || w.kill(func(c yarn.ContainerID) bool { return masters[c.String()] || c.String() == id }) < 2 {
		return errMissed
	}
	return nil
}

// worker returns a worker's container, "" when there is none.
func (w *world) worker(ctx context.Context) string {
	scheduler, masters := w.scheduler(ctx), w.masters()
	var all []string
	w.each(func(_ *nm.Node, id yarn.ContainerID) {
		if !masters[id.String()] && id.String() != scheduler {
			all = append(all, id.String())
		}
	})
	if scheduler == "" || len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return all[w.rnd.IntN(len(all))]
}

func (w *world) killWorker(ctx context.Context) error {
	id := w.worker(ctx)
	if id == "" || w.kill(func(c yarn.ContainerID) bool { return c.String() == id }) == 0 {
		return errMissed
	}
	return nil
}

func (w *world) stopWorker(ctx context.Context) error {
	id, hit := w.worker(ctx), false
	signal := func(s syscall.Signal) {
		w.each(func(node *nm.Node, c yarn.ContainerID) {
			if c.String() == id {
				hit = node.KillContainer(c, s) == nil || hit
			}
		})
	}
	if signal(syscall.SIGSTOP); !hit {
		return errMissed
	}
	time.Sleep(time.Duration(w.rnd.Int64N(int64(4 * time.Second))))
	signal(syscall.SIGCONT)
	return nil
}

func (w *world) failOver(context.Context) error {
	return w.RM.Failover(time.Duration(w.rnd.Int64N(int64(3 * time.Second))))
}

func (w *world) restartNode(context.Context) error {
	node := w.Nodes[w.rnd.IntN(len(w.Nodes))]
	node.Crash(true)
	time.Sleep(time.Duration(w.rnd.Int64N(int64(3 * time.Second))))
	return node.Restart()
}

func (w *world) cutNode(context.Context) error {
	id := w.Nodes[w.rnd.IntN(len(w.Nodes))].ID()
	w.RM.Cut(id, true)
	time.Sleep(time.Duration(w.rnd.Int64N(int64(5 * time.Second))))
	w.RM.Cut(id, false)
	return nil
}
