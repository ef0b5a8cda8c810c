package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"time"
)

// hdfsAway takes HDFS away for a while: what keeps the journal, the master's memory and its address.
func (w *world) hdfsAway(ctx context.Context) error {
	return w.troubled(ctx, w.rnd.IntN(w.place.outages()), w.pause(time.Second, 5*time.Second, time.Minute))
}

// troubled has HDFS be in trouble for so long, and until somebody has met it.
func (w *world) troubled(ctx context.Context, which int, length time.Duration) error {
	const patience = 10 * time.Second // for somebody to meet it
	trouble, err := w.place.outage(ctx, which)
	if err != nil {
		return err
	}
	began := time.Now()
	enough := w.needs(ctx)
	for ctx.Err() == nil && (time.Since(began) < length || !trouble.met(ctx) && time.Since(began) < length+patience) {
		sleep(ctx, 20*time.Millisecond)
	}
	met := trouble.met(ctx)
	err = trouble.end(ctx)
	w.harm()
	enough()
	if err == nil && !met {
		return errMissed
	}
	w.hit(1)
	return err
}

// needs has the application master save what it is told, as often as a person scales; nothing is changed by it. So the
// application itself needs HDFS, also a NameNode that nothing else needs just then. The function that is returned ends
// it; whether it was saved is not what counts here.
func (w *world) needs(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		w.app.Scale(ctx, w.o.workers) //nolint:errcheck // it fails while HDFS is away, and says so
	}()
	return func() { cancel(); <-over }
}

// diskFull fills the disk of a node on which a worker runs, or all of HDFS.
func (w *world) diskFull(ctx context.Context) error {
	length := w.pause(time.Second, 4*time.Second, 30*time.Second)
	workers := slices.DeleteFunc(w.workers(ctx), func(id string) bool {
		node := w.nodeOf(id)
		return node < 0 || !w.place.hasDisk(node)
	})
	if len(workers) == 0 || w.rnd.IntN(3) == 0 {
		return w.troubled(ctx, fullHDFS, length)
	}
	id := workers[w.rnd.IntN(len(workers))]
	node := w.nodeOf(id)
	if node < 0 {
		return errMissed
	}
	if err := w.place.fill(ctx, node); err != nil {
		return err
	}
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < length; {
		sleep(ctx, 100*time.Millisecond)
		if err := w.place.fill(ctx, node); err != nil { // what was freed meanwhile
			return err
		}
	}
	lives := w.nodeOf(id) == node
	err := w.place.free(ctx, node)
	w.harm()
	if err == nil && !lives {
		return errMissed
	}
	w.hit(1)
	return err
}

// fill makes a file grow until its disk is full.
func fill(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	defer f.Close()
	for piece := make([]byte, 1<<20); len(piece) > 0; {
		if _, err = f.Write(piece); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				return err
			}
			piece = piece[:len(piece)/2]
		}
	}
	return nil
}
