package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/appmaster/ampb"
)

// strikePatience is how long a phase may take to come.
const strikePatience = 20 * time.Second

// strike meets phases by what can be seen from outside: the first two on the node, where the agent sees the process, its
// connection to the ResourceManager, and in its log whether it has registered; the others by what the master itself says.
func (h *hadoop) strike(ctx context.Context, app *yarnd.Cluster, phase string, provoke func() error) (string, error) {
	switch phase {
	case "staging", "registering":
		return h.strikeNext(ctx, app.ID, phase, provoke)
	case "finishing":
		ended := make(chan error, 1)
		go func() { ended <- provoke() }() // it returns when the application has ended
		err := h.strikeWhen(ctx, app, isEnding)
		return phase, errors.Join(err, <-ended)
	}
	if err := provoke(); err != nil {
		return "", err
	}
	return phase, h.strikeWhen(ctx, app, map[string]func(*ampb.Info) bool{"launching": isLaunching, "draining": isDraining}[phase])
}

// strikeNext kills the next master of an application early in its life.
func (h *hadoop) strikeNext(ctx context.Context, app, phase string, provoke func() error) (string, error) {
	pause := time.Duration(h.w.rnd.Int64N(int64(20 * time.Millisecond)))
	if phase == "registering" {
		pause = time.Duration(h.w.rnd.Int64N(int64(4 * time.Millisecond)))
	}
	o := order{Do: "first", App: app, Phase: phase, Pause: pause}
	for _, b := range h.boxes(app) {
		if b.Master {
			o.Old = append(o.Old, b.ID)
		}
	}
	answers := make(chan answer, len(h.agents))
	ctx, cancel := context.WithTimeout(ctx, strikePatience)
	defer cancel()
	for _, a := range h.agents {
		go func() {
			got, err := a.ask(ctx, o)
			if err != nil {
				got = answer{Err: err.Error()}
			}
			answers <- got
		}()
	}
	if err := provoke(); err != nil {
		return "", err
	}
	for range h.agents {
		got := <-answers
		if got.Err != "" {
			continue
		}
		if !got.Hit {
			return "", errMissed
		}
		h.w.slain(got.Box)
		return got.Phase, nil
	}
	return "", errMissed
}

// strikeWhen kills the master when it says that the phase has come. What it says is a few milliseconds old then.
func (h *hadoop) strikeWhen(ctx context.Context, app *yarnd.Cluster, come func(*ampb.Info) bool) error {
	ctx, cancel := context.WithTimeout(ctx, strikePatience)
	defer cancel()
	for ; ctx.Err() == nil; sleep(ctx, time.Millisecond) {
		call, cancel := context.WithTimeout(ctx, time.Second)
		info, err := app.Session().Info(call)
		cancel()
		if err != nil || !come(info) {
			continue
		}
		if !h.w.signal(info.GetContainer(), syscall.SIGKILL) {
			return errMissed
		}
		for _, c := range info.GetContainers() {
			if s := c.GetState(); s == "draining" || s == "stopping" {
				h.w.sendsHome(c.GetId())
			}
		}
		return nil
	}
	return errMissed
}

// isLaunching: a container is allocated, and its process not yet known to run.
func isLaunching(info *ampb.Info) bool {
	for _, p := range info.GetPools() {
		if p.GetStarting() > 0 {
			return true
		}
	}
	return false
}

// isDraining: a worker is to leave, and is still there or being stopped.
func isDraining(info *ampb.Info) bool {
	for _, p := range info.GetPools() {
		if p.GetRunning()+p.GetStopping() > p.GetWanted() || p.GetStopping() > 0 {
			return true
		}
	}
	return false
}

func isEnding(info *ampb.Info) bool { return info.GetState() == ampb.State_STOPPING }
