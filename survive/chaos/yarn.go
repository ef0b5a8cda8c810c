package main

import (
	"context"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// failOver has the other ResourceManager take over, which knows the application.
func (w *world) failOver(context.Context) error {
	err := w.RM.Failover(w.pause(time.Second, 10*time.Second))
	w.harm()
	w.hit(1)
	return err
}

// busy is a node on which the application has a container, -1 when there is none.
func (w *world) busy() int {
	var nodes []int
	w.each(w.id, func(node int, _ yarn.ContainerID) { nodes = append(nodes, node) })
	if len(nodes) == 0 {
		return -1
	}
	return nodes[w.rnd.IntN(len(nodes))]
}

// restartNode kills a NodeManager, whose containers go on, and starts it again.
func (w *world) restartNode(ctx context.Context) error {
	i := w.busy()
	if i < 0 {
		return errMissed
	}
	w.Nodes[i].Crash(true)
	sleep(ctx, w.pause(2*time.Second, 10*time.Second))
	err := w.Nodes[i].Restart()
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
	id := w.Nodes[i].ID()
	w.RM.Cut(id, true)
	sleep(ctx, w.pause(3*time.Second, 15*time.Second))
	w.RM.Cut(id, false)
	w.harm()
	w.hit(1)
	return nil
}
