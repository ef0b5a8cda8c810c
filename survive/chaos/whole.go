package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// patience is how long the application may take to be whole again.
const patience = 3 * time.Minute

// containers are those of the application that run, application masters aside.
func (w *world) containers() (ids []string) {
	for _, b := range w.place.boxes(w.id) {
		if !b.Master {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// victim tells whether a container was killed by the present fault.
func (w *world) victim(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.victims[id]
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
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); sleep(ctx, 50*time.Millisecond) {
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
	running, masters := []string(nil), 0
	for _, b := range w.place.boxes(w.id) {
		if w.victim(b.ID) {
			return b.ID + " is being killed" // its node has not noticed yet
		}
		if b.Master {
			masters++
		} else {
			running = append(running, b.ID)
		}
	}
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

// remains are what is left of an application that has ended.
type remains struct {
	Containers, Processes int
	Files                 int // what it staged, and its directories on nodes
	names                 []string
}

func (r remains) sum() int { return r.Containers + r.Processes + r.Files }

// found adds a file.
func (r *remains) found(name string) { r.Files, r.names = r.Files+1, append(r.names, name) }

// isStaged tells whether a name in the staging root is what an application has staged, whole or half, or any application
// where that is "": all but what is the user's, whoever runs.
func isStaged(name, app string) bool {
	if app == "" {
		return name != "cache" && name != "names"
	}
	return strings.HasPrefix(name, app)
}

// remains waits for an application to have left nothing, for a while, and tells what it has left.
func (w *world) remains(ctx context.Context, app string) (remains, error) {
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); ; sleep(ctx, 50*time.Millisecond) {
		r, err := w.place.remains(ctx, app)
		if err == nil && r.sum() == 0 {
			return r, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			fmt.Fprintf(os.Stderr, "seed %d: left of %s: %+v\n", w.o.seed, cmp.Or(app, "all applications"), r)
			return r, err
		}
	}
}

// leave ends the application, the last one, and looks for what is left of all that there were.
func (w *world) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.app.Stop(ctx); err != nil {
		return err
	}
	if err := w.app.Close(); err != nil {
		return err
	}
	var err error
	w.t.Left, err = w.remains(ctx, "")
	return err
}
