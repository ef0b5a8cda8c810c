package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
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
	{"launching", 4, (*world).killLaunching},
	{"running", 2, (*world).killRunning},
	{"draining", 4, (*world).killDraining},
	{"finishing", 3, (*world).killFinishing},
}

// trap kills an application's masters at the next call of a method that one makes: before the call is heard, or when
// it has been heard and before the answer. So a phase is not met by chance.
type trap struct {
	mu          sync.Mutex
	app, method string // "": no trap is set
	heard       bool
	sprung      chan bool         // whether a live process was hit
	calls       map[string]string // the last call of each attempt
}

// setTraps has all calls of application masters pass by the trap.
func (w *world) setTraps() {
	w.trap.calls = map[string]string{}
	for _, s := range w.RM.SchedulerServers() {
		s.SetFault(w.passes)
	}
	for _, n := range w.Nodes {
		n.SetFault(w.passes)
	}
}

func (w *world) passes(c *hadooptest.Call) hadooptest.Fault {
	var who pb.AMRMTokenIdentifier // an NMTokenIdentifier begins with the attempt as well
	if proto.Unmarshal(c.TokenID, &who) != nil || who.AppAttemptId == nil {
		return hadooptest.Fault{}
	}
	id := yarn.AttemptIDFromPB(who.AppAttemptId)
	t := &w.trap
	t.mu.Lock()
	defer t.mu.Unlock()
	set := t.method == c.Method && t.app == id.App.String()
	hit := false
	if set {
		for master := range w.masters(t.app) {
			hit = w.signal(master, syscall.SIGKILL) || hit
		}
	}
	if c.Method == "startContainers" && len(t.calls[id.String()]) == 0 {
		return hadooptest.Fault{} // it is the application master that is started here
	}
	t.calls[id.String()] = c.Method
	if !set {
		return hadooptest.Fault{}
	}
	t.method = ""
	t.sprung <- hit
	return hadooptest.Fault{CloseBefore: !t.heard, CloseAfter: t.heard}
}

// set sets the trap.
func (w *world) set(app, method string) {
	w.trap.mu.Lock()
	defer w.trap.mu.Unlock()
	w.trap.app, w.trap.method, w.trap.heard, w.trap.sprung = app, method, w.rnd.IntN(2) == 0, make(chan bool, 1)
}

// caught waits for the trap to spring, and counts.
func (w *world) caught(ctx context.Context, phase string) error {
	const patience = time.Minute
	w.trap.mu.Lock()
	sprung := w.trap.sprung
	w.trap.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	hit := false
	select {
	case hit = <-sprung:
	case <-ctx.Done():
	}
	w.trap.mu.Lock()
	w.trap.method = ""
	w.trap.mu.Unlock()
	if !hit {
		return errMissed
	}
	w.killed(phase)
	return nil
}

// killed counts a master that was killed in a phase.
func (w *world) killed(phase string) {
	w.hit(1)
	w.t.Phases[phase]++
}

// killMaster kills application masters: in a phase that is drawn.
func (w *world) killMaster(ctx context.Context) error {
	sum := 0
	for _, p := range phases {
		sum += p.weight
	}
	n := w.rnd.IntN(sum)
	for _, p := range phases {
		if n -= p.weight; n < 0 {
			return p.do(w, ctx)
		}
	}
	return errMissed
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
	const patience = 30 * time.Second
	old := w.master()
	if err := w.killRunning(ctx); err != nil {
		return err
	}
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < patience; sleep(ctx, 2*time.Millisecond) {
		next := w.master()
		id, err := yarn.ParseContainerID(next)
		if err != nil || next == old {
			continue
		}
		w.trap.mu.Lock()
		called := w.trap.calls[id.Attempt.String()]
		w.trap.mu.Unlock()
		if !w.signal(next, syscall.SIGKILL) {
			return errMissed
		}
		switch called {
		case "":
			w.killed("staging")
		case "registerApplicationMaster":
			w.killed("registering")
		default:
			w.killed("running")
		}
		return nil
	}
	return errMissed
}

// killRegistering kills the one that runs, and the next when it registers.
func (w *world) killRegistering(ctx context.Context) error {
	w.set(w.id, "registerApplicationMaster")
	if err := w.killRunning(ctx); err != nil {
		return err
	}
	return w.caught(ctx, "registering")
}

// killLaunching kills a worker, and the master when it launches another one.
func (w *world) killLaunching(ctx context.Context) error {
	w.set(w.id, "startContainers")
	if w.signal(w.worker(ctx), syscall.SIGKILL) {
		w.t.row("worker killed").Hit++
	}
	return w.caught(ctx, "launching")
}

// killDraining has a worker leave, and kills the master when it takes its container.
func (w *world) killDraining(ctx context.Context) error {
	w.set(w.id, "stopContainers")
	w.mu.Lock()
	w.spared = 1
	w.mu.Unlock()
	if err := w.app.Scale(ctx, w.o.workers-1); err != nil {
		return err
	}
	err := w.caught(ctx, "draining")
	if err != nil && !errors.Is(err, errMissed) {
		return err
	}
	return errors.Join(err, w.app.Scale(ctx, w.o.workers))
}

// killFinishing has a small application of its own live, and its master killed in its last calls.
func (w *world) killFinishing(ctx context.Context) error {
	w.aside()
	report, err := w.edge.Submit(ctx, request("life", 1))
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
	w.set(report.ID, []string{"stopContainers", "finishApplicationMaster"}[w.rnd.IntN(2)])
	if err := c.Stop(ctx); err != nil {
		return err
	}
	caught := w.caught(ctx, "finishing")
	last, err := w.edge.Wait(ctx, report.ID, edgeclient.WaitFinished, 0)
	if err != nil || last.Final != edgeclient.FinalSucceeded {
		return fmt.Errorf("a small application ended as %s, %s: %w", last.Final, last.Diagnostics, err)
	}
	w.t.row(w.present()).Left += w.remains(ctx, report.ID).sum()
	return caught
}
