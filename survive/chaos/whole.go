package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// patience is how long the application may take to be whole again.
const patience = 3 * time.Minute

// containers are those that run, application masters aside.
func (w *world) containers() (ids []string) {
	masters := w.masters()
	w.each(func(_ *nm.Node, id yarn.ContainerID) {
		if !masters[id.String()] {
			ids = append(ids, id.String())
		}
	})
	return ids
}

// keptOf counts which of these run still.
func (w *world) keptOf(before []string) (n int) {
	now := w.containers()
	for _, id := range before {
		if slices.Contains(now, id) {
			n++
		}
	}
	return n
}

// scheduler is the container of the scheduler, "" while none is known.
func (w *world) scheduler(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info, err := w.app.Session().Info(ctx)
	if err != nil {
		return ""
	}
	return info.GetScheduler().GetContainer()
}

// awaitWhole waits until an application master serves, the scheduler is one that runs, and
// all workers are with it, and none too many.
func (w *world) awaitWhole(ctx context.Context) error {
	why := "nothing was tried"
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if why = w.lacks(ctx); why == "" {
			return nil
		}
	}
	return fmt.Errorf("not whole again after %v: %s", patience, why)
}

// lacks says what is not as it should be.
func (w *world) lacks(ctx context.Context) string {
	masters := len(w.masters())
	running := w.containers()
	call, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info, err := w.app.Session().Info(call)
	switch {
	case masters != 1:
		return fmt.Sprintf("%d application masters run", masters)
	case err != nil:
		return err.Error()
	case !slices.Contains(running, info.GetScheduler().GetContainer()):
		return "no scheduler is attached that runs"
	case len(running) != w.o.workers+1:
		return fmt.Sprintf("%d containers run, %d should", len(running), w.o.workers+1)
	}
	workers, err := w.app.Workers(call)
	if err != nil {
		return err.Error()
	}
	here := 0
	for _, x := range workers {
		if x.State == "running" && slices.Contains(running, x.Name) {
			here++
		}
	}
	if here != w.o.workers {
		return fmt.Sprintf("%d workers are with the scheduler", here)
	}
	return ""
}

// leave ends the application and looks for what is left of it.
func (w *world) leave(ctx context.Context, t *table) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.app.Stop(ctx); err != nil {
		return err
	}
	if err := w.app.Close(); err != nil {
		return err
	}
	staging := filepath.Join(w.Home(w.edge.User()), ".yarnd", w.id)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		t.containers = 0
		w.each(func(*nm.Node, yarn.ContainerID) { t.containers++ })
		t.processes = len(w.processes())
		_, err := os.Stat(staging)
		t.files = !errors.Is(err, os.ErrNotExist)
		if t.containers+t.processes == 0 && !t.files || time.Now().After(deadline) {
			return nil
		}
	}
}

// processes are those that run in the directories of the application's containers: their
// command lines, by directory.
func (w *world) processes() map[string]string {
	out := map[string]string{}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		dir, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(dir, w.Dir()) && strings.Contains(dir, w.id) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
			out[dir] += "\x00" + string(command)
		}
	}
	return out
}
