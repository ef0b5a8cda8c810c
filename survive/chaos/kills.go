package main

import (
	"context"
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

// each yields an application's containers that run, with the indices of their nodes.
func (w *world) each(app string, f func(node int, id yarn.ContainerID)) {
	for i, node := range w.Nodes {
		for _, c := range node.Containers() {
			if c.State == tracker.Running && c.ID.Attempt.App.String() == app {
				f(i, c.ID)
			}
		}
	}
}

// signal signals the process of a container, and reports whether there was one that lives. Who is killed counts
// as a victim.
func (w *world) signal(id string, s syscall.Signal) (hit bool) {
	parsed, err := yarn.ParseContainerID(id)
	if err != nil {
		return false
	}
	hit = slices.ContainsFunc(w.Nodes, func(n *nm.Node) bool { return n.KillContainer(parsed, s) == nil })
	if hit && s == syscall.SIGKILL {
		w.mu.Lock()
		w.victims[id] = true
		if !w.hurtAt.IsZero() {
			w.hurtAt = time.Now()
		}
		w.mu.Unlock()
	}
	return hit
}

// masters are the containers that run an application's masters. Their numbers do not tell: after
// a failover the first new container has the number 1 as well.
func (w *world) masters(app string) map[string]bool {
	out := map[string]bool{}
	for _, node := range w.Nodes {
		for id, command := range node.Commands() {
			if id.Attempt.App.String() == app && strings.Contains(strings.Join(command, " "), " appmaster ") {
				out[id.String()] = true
			}
		}
	}
	return out
}

// processes are those that run in the directories of an application's containers: their
// command lines, by directory.
func (w *world) processes(app string) map[string]string {
	out := map[string]string{}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		dir, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(dir, w.Dir()) && strings.Contains(dir, app) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
			out[dir] += "\x00" + string(command)
		}
	}
	return out
}

// master is the container of the application's master, "" when none runs.
func (w *world) master() string {
	for id := range w.masters(w.id) {
		return id
	}
	return ""
}

// workers are the containers of workers; none while there is no scheduler, which could be one of them.
func (w *world) workers(ctx context.Context) []string {
	scheduler, masters := w.scheduler(ctx), w.masters(w.id)
	var all []string
	w.each(w.id, func(_ int, id yarn.ContainerID) {
		if !masters[id.String()] && id.String() != scheduler {
			all = append(all, id.String())
		}
	})
	if scheduler == "" {
		return nil
	}
	slices.Sort(all)
	return all
}

// worker is any of the workers, "" when there is none.
func (w *world) worker(ctx context.Context) string {
	all := w.workers(ctx)
	if len(all) == 0 {
		return ""
	}
	return all[w.rnd.IntN(len(all))]
}

// nodeOf is the index of the node that runs a container, -1 for none.
func (w *world) nodeOf(id string) (node int) {
	node = -1
	w.each(w.id, func(i int, c yarn.ContainerID) {
		if c.String() == id {
			node = i
		}
	})
	return node
}

func (w *world) killScheduler(ctx context.Context) error {
	if !w.signal(w.scheduler(ctx), syscall.SIGKILL) {
		return errMissed
	}
	w.hit(1)
	return nil
}

// killWorkers kills some workers at once: never all, which would be another kind of fault.
func (w *world) killWorkers(ctx context.Context) error {
	all := w.workers(ctx)
	w.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	hit := 0
	for _, id := range all[:min(len(all), 1+w.rnd.IntN(max(1, w.o.workers-1)))] {
		if w.signal(id, syscall.SIGKILL) {
			hit++
		}
	}
	if hit == 0 {
		return errMissed
	}
	w.hit(hit)
	return nil
}

func (w *world) killBoth(ctx context.Context) error {
	scheduler, master := w.scheduler(ctx), w.master()
	if scheduler == "" || master == "" {
		return errMissed
	}
	if a, b := w.signal(scheduler, syscall.SIGKILL), w.signal(master, syscall.SIGKILL); !a || !b {
		return errMissed
	}
	w.hit(1)
	return nil
}

// stopProcess stops a process for a while, sometimes for longer than others believe that it lives.
func (w *world) stopProcess(ctx context.Context) error {
	id := []func() string{w.master, func() string { return w.scheduler(ctx) }, func() string { return w.worker(ctx) }}[w.rnd.IntN(3)]()
	if !w.signal(id, syscall.SIGSTOP) {
		return errMissed
	}
	sleep(ctx, w.pause(4*time.Second, 40*time.Second))
	w.signal(id, syscall.SIGCONT) // it may have been killed for it meanwhile
	w.harm()
	w.hit(1)
	return nil
}
