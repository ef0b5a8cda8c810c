package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

// world is the cluster and the application that are hurt.
type world struct {
	place place
	o     options
	rnd   *rand.Rand
	dir   string
	edge  *edgeclient.Client
	app   *yarnd.Cluster
	id    string
	marks *marks
	began time.Time
	t     *table

	mu      sync.Mutex
	now     string          // the kind of the fault that goes on, or was the last
	hurtAt  time.Time       // when the last harm was done, or healed
	victims map[string]bool // containers that the present fault has hurt on purpose
	kept    kept            // which others must be there still
}

// hurt runs everything. The table is nil when there was nothing to count.
func hurt(ctx context.Context, o options) (t *table, err error) {
	dir, err := os.MkdirTemp("", "yarnd-chaos")
	if err != nil {
		return nil, err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "the directory of seed", o.seed, "is", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	w := &world{o: o, dir: dir, rnd: rand.New(rand.NewPCG(o.seed, 0)), began: time.Now(), t: newTable(), victims: map[string]bool{}, kept: newKept(nil)}
	begin := newEmbedded
	if o.hadoop != "" {
		begin = newHadoop
	}
	if w.place, err = begin(ctx, w); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.place.close()) }()
	w.marks = &marks{file: w.place.markFile()}
	if w.edge, err = edgeclient.Open(ctx, edgeclient.Options{Provider: "yarn"}); err != nil {
		return nil, err
	}
	defer w.edge.Close()
	if err := w.submit(ctx); err != nil {
		return nil, err
	}
	if o.lostNode {
		return w.t, w.loseNode(ctx)
	}
	return w.t, w.live(ctx)
}

// live has the application work and be hurt until its end.
func (w *world) live(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	jobs, err := w.startWork(work)
	if err != nil {
		return fmt.Errorf("before the first fault: %w", err)
	}
	err = w.faults(ctx)
	jobs.last()
	if err != nil {
		stop() // nobody knows whether it ever goes on
	}
	err = errors.Join(err, jobs.wait())
	if err == nil {
		err = w.leave(ctx)
	}
	jobs.count(w.t)
	w.t.Seeds, w.t.Length = []uint64{w.o.seed}, time.Since(w.began)
	return errors.Join(err, w.marks.count(ctx, w.place, w.t))
}

// environment is what clients of the cluster need to find it, and leave nothing elsewhere.
func (w *world) environment(more map[string]string) error {
	all := map[string]string{"XDG_CACHE_HOME": filepath.Join(w.dir, "cache"), "YARND_HOME": filepath.Join(w.dir, "home")}
	maps.Copy(all, more)
	for name, value := range all {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// nodeDir is a node's directory below another one.
func nodeDir(below string, node int) string { return filepath.Join(below, "nodes", fmt.Sprint(node+1)) }

// request is for an application that has this program as what it runs.
func (w *world) request(name string, workers int) edgeclient.Request {
	r := smallRequest(name, workers)
	if w.o.hadoop != "" { // which ends who takes more
		r.Scheduler.Memory, r.Worker.Memory = 1024*edgeclient.MiB, 640*edgeclient.MiB
	}
	return r
}

// smallRequest is one whose containers have all the same size.
func smallRequest(name string, workers int) edgeclient.Request {
	size := edgeclient.Resources{VCores: 1, Memory: memory * edgeclient.MiB}
	return edgeclient.Request{
		Name: name, Workers: workers, Worker: size, Scheduler: size, AM: size, MaxAttempts: maxAttempts,
		Wait: edgeclient.WaitWorkers, WaitWorkers: workers,
	}
}

// submit starts the application.
func (w *world) submit(ctx context.Context) error {
	report, err := w.edge.Submit(ctx, w.request("chaos", w.o.workers))
	if err != nil {
		return err
	}
	w.id = report.ID
	w.app, err = yarnd.Attach(ctx, w.edge, report, true)
	return err
}

// pause is a time drawn for a fault to last: least at the least, so that somebody feels it, mean on the average, most at
// the most.
func (w *world) pause(least, mean, most time.Duration) time.Duration {
	if w.o.each {
		mean, most = least+min(mean-least, time.Second), least+min(most-least, 2*time.Second)
	}
	return min(most, least+time.Duration(w.rnd.ExpFloat64()*float64(mean-least)))
}

// sleep waits, unless everything ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
