package main

import (
	"context"
	"slices"
	"syscall"
	"time"
)

// signal signals the process of a container, and reports whether there was one that lives. Who is killed counts
// as a victim.
func (w *world) signal(id string, s syscall.Signal) bool {
	hit := id != "" && w.place.signal(id, s)
	if hit && s == syscall.SIGKILL {
		w.slain(id)
	}
	return hit
}

// slain notes that the present fault has killed a container's process.
func (w *world) slain(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.victims[id] = true
	if !w.hurtAt.IsZero() {
		w.hurtAt = time.Now()
	}
}

// master is the container of the application's master, "" when none runs.
func (w *world) master() string {
	for _, b := range w.place.boxes(w.id) {
		if b.Master {
			return b.ID
		}
	}
	return ""
}

// workers are the containers of workers; none while there is no scheduler, which could be one of them.
func (w *world) workers(ctx context.Context) []string {
	scheduler := w.scheduler(ctx)
	if scheduler == "" {
		return nil
	}
	var all []string
	for _, b := range w.place.boxes(w.id) {
		if !b.Master && b.ID != scheduler {
			all = append(all, b.ID)
		}
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
func (w *world) nodeOf(id string) int {
	for _, b := range w.place.boxes(w.id) {
		if b.ID == id {
			return b.Node
		}
	}
	return -1
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
	sleep(ctx, w.pause(time.Second, 4*time.Second, 40*time.Second))
	w.signal(id, syscall.SIGCONT) // it may have been killed for it meanwhile
	w.harm()
	w.hit(1)
	return nil
}
