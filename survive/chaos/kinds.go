package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// fault is one kind of what is done. It returns when it is over, not when the application
// is whole again.
type fault struct {
	name  string
	least int // hits of it that all runs together are to have, with -counts, and its share of all otherwise
	real  int // the same on Hadoop's own daemons
	once  int // hits of one that goes well, about
	do    func(*world, context.Context) error
	needs func(*world) bool // nil: nothing
}

func hasWires(w *world) bool { return w.place.hasWires() }

var kinds = []fault{
	{masterKilled, 100, 50, 1, (*world).killMaster, nil},
	{"scheduler killed", 100, 15, 1, (*world).killScheduler, nil},
	{"worker killed", 500, 40, 2, (*world).killWorkers, nil},
	{bothKilled, 10, 3, 1, (*world).killBoth, nil},
	{"process stopped for a while", 30, 6, 1, (*world).stopProcess, nil},
	{"ResourceManager fails over", 50, 20, 1, (*world).failOver, nil},
	{"NodeManager restarts", 20, 8, 1, (*world).restartNode, nil},
	{"node cut off from the RM", 10, 4, 1, (*world).cutNode, nil},
	{"partition, both ways", 20, 8, 1, (*world).partitionBoth, hasWires},
	{"partition, one way", 10, 3, 1, (*world).partitionOneWay, hasWires},
	{"HDFS away", 20, 8, 1, (*world).hdfsAway, nil},
	{"disk full", 10, 4, 1, (*world).diskFull, nil},
	{"client killed in submit", 8, 2, 1, (*world).clientInSubmit, nil},
	{"client killed in gather", 8, 2, 1, (*world).clientInGather, nil},
	{"two clients, one killed", 8, 2, 1, (*world).twoClients, nil},
	{"client comes back", 8, 2, 1, (*world).clientComesBack, nil},
}

// Kinds in which the application master dies.
const (
	masterKilled = "application master killed"
	bothKilled   = "scheduler and master killed"
)

// errMissed tells that there was nothing to hurt just then.
var errMissed = errors.New("nothing was hit")

// chooses tells whether a kind is to be done.
func (o *options) chooses(kind string) bool {
	return o.kinds == "" || slices.ContainsFunc(strings.Split(o.kinds, ","), func(n string) bool { return n != "" && strings.Contains(kind, n) })
}

// chosen are the kinds of this run that are possible.
func (w *world) chosen() []fault {
	list := slices.DeleteFunc(slices.Clone(kinds), func(f fault) bool { return !w.o.chooses(f.name) })
	return slices.DeleteFunc(list, func(f fault) bool {
		no := f.needs != nil && !f.needs(w)
		if no {
			w.t.Impossible = append(w.t.Impossible, f.name)
		}
		return no
	})
}

// share is how often a kind is to hit in this run.
func (w *world) share(f fault) int { return (w.o.least(f) + w.o.runs - 1) / w.o.runs }

// least is how often a kind is to hit in all runs.
func (o *options) least(f fault) int {
	if o.hadoop != "" {
		return f.real
	}
	return f.least
}

// left is how often a kind has still to hit.
func (w *world) left(f fault) int { return max(0, w.share(f)-w.t.row(f.name).Hit) }

// next draws a kind, by how often each has still to hit; when all have, by their shares.
func (w *world) next(list []fault) fault {
	sum, times := 0, w.left
	weight := func(f fault) int { return (times(f) + f.once - 1) / f.once }
	for _, f := range list {
		sum += weight(f)
	}
	if sum == 0 {
		times = w.share
		for _, f := range list {
			sum += weight(f)
		}
	}
	n := w.rnd.IntN(sum)
	for _, f := range list {
		if n -= weight(f); n < 0 {
			return f
		}
	}
	panic("chaos: shares do not add up")
}

// over tells whether the run has done enough.
func (w *world) over(list []fault) bool {
	gone := time.Since(w.began)
	if !w.o.counts {
		return gone >= w.o.length
	}
	missing := slices.ContainsFunc(list, func(f fault) bool { return w.left(f) > 0 })
	return gone >= w.o.bound() || gone >= w.o.length && !missing
}

// faults hurts the application until its time is over.
func (w *world) faults(ctx context.Context) error {
	list := w.chosen()
	if len(list) == 0 {
		return fmt.Errorf("no fault is called %q", w.o.kinds)
	}
	if w.o.each {
		return w.oneOfEach(ctx, list)
	}
	for ctx.Err() == nil && !w.over(list) {
		if err := w.one(ctx, w.next(list)); err != nil {
			return err
		}
		sleep(ctx, w.pause(0, 300*time.Millisecond, 3*time.Second))
	}
	return ctx.Err()
}

// oneOfEach does faults until each kind has hit.
func (w *world) oneOfEach(ctx context.Context, list []fault) error {
	const attempts = 5
	w.rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, f := range list {
		for range attempts {
			if err := w.one(ctx, f); err != nil {
				return err
			}
			if w.t.row(f.name).Hit > 0 {
				break
			}
		}
	}
	return ctx.Err()
}

// one does a fault, and waits until all is whole again.
func (w *world) one(ctx context.Context, f fault) error {
	before := w.containers()
	w.mu.Lock()
	w.now, w.hurtAt = f.name, time.Now()
	clear(w.victims)
	w.kept = newKept(before)
	w.mu.Unlock()
	began := time.Now()
	err := f.do(w, ctx)
	done := time.Now()
	defer func() {
		if w.o.verbose {
			fmt.Fprintf(os.Stderr, "seed %d, %5.1f s: %s: %.1f s, then %.1f s until whole, %v\n", w.o.seed, began.Sub(w.began).Seconds(),
				f.name, done.Sub(began).Seconds(), time.Since(done).Seconds(), err)
		}
	}()
	if errors.Is(err, errMissed) {
		w.t.row(f.name).Missed++
		return errors.Join(w.awaitWhole(ctx), w.place.settled(ctx)) // it may have begun
	}
	if err == nil {
		err = w.awaitWhole(ctx)
	}
	whole := time.Now()
	if err == nil {
		err = w.place.settled(ctx)
	}
	r := w.t.row(f.name)
	if err != nil {
		if ctx.Err() == nil {
			r.Failed++
			err = fmt.Errorf("%s: %w", f.name, err)
			fmt.Fprintf(os.Stderr, "seed %d, after %v: %v\n", w.o.seed, time.Since(w.began).Round(time.Second), err)
		}
		return err
	}
	now := w.containers()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.hurtAt.IsZero() { // the application is what was hurt
		r.Took = append(r.Took, whole.Sub(w.hurtAt))
		kept, of := w.kept.count(now, w.victims)
		r.Kept, r.Of = r.Kept+kept, r.Of+of
	}
	w.marks.window(f.name, began)
	return nil
}

// harm notes that harm is done, or ends.
func (w *world) harm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurtAt = time.Now()
}

// hit counts hits of the fault that goes on.
func (w *world) hit(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.row(w.now).Hit += n
}

// present is the kind of the fault that goes on, or was the last: what is found wrong is put down to it.
func (w *world) present() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}
