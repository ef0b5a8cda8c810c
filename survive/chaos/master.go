package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

// phase is a part of an application master's life, in which it is killed. Those of the first lines take a
// master that runs with them: they wait for the next one.
type phase struct {
	name   string
	weight int
	do     func(*world, context.Context) error
}

var phases = []phase{
	{"staging", 4, (*world).killStaging},
	{"registering", 4, (*world).killRegistering},
	{"launching", 1, (*world).killLaunching}, // each costs the container that is launched
	{"running", 2, (*world).killRunning},
	{"draining", 4, (*world).killDraining},
	{"finishing", 3, (*world).killFinishing},
}

// killed counts a master that was killed in a phase.
func (w *world) killed(phase string) {
	w.hit(1)
	w.t.Phases[phase]++
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept.deaths++
}

// strike kills a master in a phase that provoke brings about.
func (w *world) strike(ctx context.Context, app *yarnd.Cluster, phase string, provoke func() error) error {
	in, err := w.place.strike(ctx, app, phase, provoke)
	if err == nil {
		w.killed(in)
	}
	if err == nil && in == "launching" {
		w.launching(ctx)
	}
	return err
}

// killMaster kills application masters: in a phase that is drawn.
func (w *world) killMaster(ctx context.Context) error {
	return w.nextPhase().do(w, ctx)
}

// nextPhase draws a phase, those first that have had few: one that is missed often must not fall behind.
func (w *world) nextPhase() phase {
	const precision, few = 100_000, 12
	all := 0
	for _, n := range w.t.Phases {
		all += n
	}
	list := slices.DeleteFunc(slices.Clone(phases), func(p phase) bool { return w.t.Phases[p.name]*few >= all })
	if len(list) == 0 {
		list = phases
	}
	weight := func(p phase) int { return 1 + precision*p.weight/((1+w.t.Phases[p.name])*(1+w.t.Phases[p.name])) }
	sum := 0
	for _, p := range list {
		sum += weight(p)
	}
	n := w.rnd.IntN(sum)
	for _, p := range list {
		if n -= weight(p); n < 0 {
			return p
		}
	}
	panic("chaos: weights of phases do not add up")
}

func (w *world) killRunning(context.Context) error {
	if !w.signal(w.master(), syscall.SIGKILL) {
		return errMissed
	}
	w.killed("running")
	return nil
}

// killStaging kills the one that runs, and the next as soon as its process is there.
func (w *world) killStaging(ctx context.Context) error {
	return w.strike(ctx, w.app, "staging", func() error { return w.killRunning(ctx) })
}

// killRegistering kills the one that runs, and the next when it registers.
func (w *world) killRegistering(ctx context.Context) error {
	return w.strike(ctx, w.app, "registering", func() error { return w.killRunning(ctx) })
}

// killLaunching kills a worker, and the master when it launches another one.
func (w *world) killLaunching(ctx context.Context) error {
	worker := w.worker(ctx)
	return w.strike(ctx, w.app, "launching", func() error {
		if w.signal(worker, syscall.SIGKILL) {
			w.t.row("worker killed").Hit++
		}
		return nil
	})
}

// killDraining has a worker leave, and kills the master when it takes its container.
func (w *world) killDraining(ctx context.Context) error {
	err := w.strike(ctx, w.app, "draining", func() error { return w.app.Scale(ctx, w.o.workers-1) })
	if err != nil && !errors.Is(err, errMissed) {
		return err
	}
	return errors.Join(err, w.app.Scale(ctx, w.o.workers))
}

// killFinishing has a small application of its own live, and its master killed in its last calls.
func (w *world) killFinishing(ctx context.Context) error {
	w.aside()
	report, err := w.edge.Submit(ctx, w.request("life", 1))
	if err != nil {
		return err
	}
	c, err := yarnd.Attach(ctx, w.edge, report, true)
	if err != nil {
		return err
	}
	defer c.Close()
	if got, err := leaf.Call(ctx, c.Client, w.marks.input(1)); err != nil || got != valueOf(1) {
		return fmt.Errorf("a small application: %d, %w", got, err)
	}
	caught := w.strike(ctx, c, "finishing", func() error { return c.Stop(ctx) })
	if caught != nil && !errors.Is(caught, errMissed) {
		return caught
	}
	last, err := w.edge.Wait(ctx, report.ID, edgeclient.WaitFinished, 0)
	if err != nil || last.Final != edgeclient.FinalSucceeded {
		return fmt.Errorf("a small application ended as %s, %s: %w", last.Final, last.Diagnostics, err)
	}
	left, err := w.remains(ctx, report.ID)
	w.t.row(w.present()).Left += left.sum()
	return errors.Join(err, caught)
}
