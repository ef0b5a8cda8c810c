package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ends draws two processes that speak to each other: their addresses, and what they are.
func (w *world) ends(ctx context.Context) (a, b, what string) {
	host := func(id string) string {
		if node := w.nodeOf(id); node >= 0 {
			return w.place.host(node)
		}
		return ""
	}
	switch w.rnd.IntN(5) {
	case 0:
		return host(w.worker(ctx)), host(w.scheduler(ctx)), "worker and scheduler"
	case 1:
		return host(w.scheduler(ctx)), host(w.master()), "scheduler and master"
	case 2:
		all := w.workers(ctx)
		if len(all) < 2 {
			return "", "", ""
		}
		i := w.rnd.IntN(len(all) - 1)
		return host(all[i]), host(all[i+1]), "two workers"
	case 3:
		return host(w.worker(ctx)), host(w.master()), "worker and master"
	default:
		return host(w.master()), w.place.rm(ctx), "master and ResourceManager"
	}
}

// partition cuts wires for a while, sometimes for longer than the processes believe each other alive.
func (w *world) partition(ctx context.Context, both bool) error {
	a, b, what := w.ends(ctx)
	if a == "" || b == "" || a == b {
		return errMissed
	}
	ways := [][2]string{{a, b}, {b, a}}
	if !both {
		w.rnd.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
		ways = slices.Clip(ways[:1])
	}
	var err error
	for _, way := range ways {
		err = errors.Join(err, w.place.cut(ctx, way[0], way[1]))
	}
	sleep(ctx, w.pause(2*time.Second, 5*time.Second, 50*time.Second))
	lost, bad := w.place.heal(ctx)
	w.harm()
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("between %s: %w", what, err)
	}
	if lost == 0 {
		return errMissed // they had nothing to say to each other
	}
	w.hit(1)
	return nil
}

func (w *world) partitionBoth(ctx context.Context) error   { return w.partition(ctx, true) }
func (w *world) partitionOneWay(ctx context.Context) error { return w.partition(ctx, false) }
