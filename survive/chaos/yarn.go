package main

import (
	"context"
	"time"
)

// failOver has the other ResourceManager take over, which knows the application.
func (w *world) failOver(ctx context.Context) error {
	gap, err := w.place.failOver(ctx, w.pause(200*time.Millisecond, time.Second, 10*time.Second))
	w.harm()
	w.hit(1)
	w.t.Gaps = append(w.t.Gaps, gap)
	return err
}

// heartbeat is how often nodes and application masters speak to the ResourceManager: YARN's default.
const heartbeat = time.Second

// busy is a node on which the application has a container, -1 when there is none.
func (w *world) busy() int {
	all := w.place.boxes(w.id)
	if len(all) == 0 {
		return -1
	}
	return all[w.rnd.IntN(len(all))].Node
}

// restartNode kills a NodeManager, whose containers go on, and starts it again.
func (w *world) restartNode(ctx context.Context) error {
	i := w.busy()
	if i < 0 {
		return errMissed
	}
	if err := w.place.crash(ctx, i); err != nil {
		return err
	}
	sleep(ctx, w.pause(heartbeat, 2*time.Second, 10*time.Second))
	err := w.place.restart(ctx, i)
	w.harm()
	w.hit(1)
	return err
}

// cutNode has the ResourceManager not hear of a node for a while.
func (w *world) cutNode(ctx context.Context) error {
	i := w.busy()
	if i < 0 {
		return errMissed
	}
	if err := w.place.deafen(ctx, i, true); err != nil {
		return err
	}
	sleep(ctx, w.pause(2*heartbeat, 3*time.Second, 15*time.Second))
	err := w.place.deafen(ctx, i, false)
	w.harm()
	w.hit(1)
	return err
}
