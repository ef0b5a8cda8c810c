package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/survive/wires"
)

const (
	// memory of each container, and of each node: a node has one container, so that a wire between
	// two nodes is one between two processes.
	memory = 256
	// apart are nodes for applications beside the one that is hurt, and for what is replaced before
	// YARN has noticed.
	apart = 7
	// disk of each node in bytes: room for the program, which is unpacked there, and for results.
	disk = 160 << 20
)

// world is the cluster and the application that are hurt.
type world struct {
	*minicluster.Cluster
	o     options
	rnd   *rand.Rand
	dir   string
	edge  *edgeclient.Client
	app   *yarnd.Cluster
	id    string
	marks *marks
	wires *wires.Network // nil: there are none to cut
	disks bool           // each node has one of its own
	began time.Time
	t     *table
	trap  trap

	mu      sync.Mutex
	now     string          // the kind of the fault that goes on, or was the last
	hurtAt  time.Time       // when the last harm was done, or healed
	victims map[string]bool // containers that the present fault has hurt on purpose
	spared  int             // containers that it has sent home
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
	w := &world{o: o, dir: dir, rnd: rand.New(rand.NewPCG(o.seed, 0)), began: time.Now(), t: newTable(), victims: map[string]bool{}}
	if w.marks, err = newMarks(filepath.Join(dir, "marks")); err != nil {
		return nil, err
	}
	defer w.marks.close()
	if err := w.startCluster(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.stopCluster()) }()
	if w.edge, err = edgeclient.Open(ctx, edgeclient.Options{Provider: "yarn"}); err != nil {
		return nil, err
	}
	defer w.edge.Close()
	if err := w.submit(ctx); err != nil {
		return nil, err
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
	return errors.Join(err, w.marks.count(w.t))
}

func (w *world) startCluster(ctx context.Context) (err error) {
	nodes := w.o.workers + 2 + apart
	where := filepath.Join(w.dir, "cluster")
	o := minicluster.Options{
		Dir: where, Nodes: nodes, HA: true, HDFS: true, Heartbeat: time.Second, NoMemoryLimit: true,
		Capability: tracker.Resource{MemoryMiB: memory, VCores: 1}, Cluster: core.Config{MaxAttempts: 1000},
	}
	if !w.o.open {
		if w.wires, err = wires.New(nodes); err != nil {
			return err
		}
		o.Network = w.wires
		for i := range nodes {
			if err := wires.Disk(w.disk(i), disk); err != nil {
				return err
			}
		}
		w.disks = true
	}
	if w.Cluster, err = minicluster.Start(ctx, o); err != nil {
		return err
	}
	w.setTraps()
	for name, value := range map[string]string{
		"HADOOP_CONF_DIR": w.ConfDir(), "XDG_CACHE_HOME": filepath.Join(w.dir, "cache"), "YARND_HOME": filepath.Join(w.dir, "home"),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// disk is where a node's disk is.
func (w *world) disk(node int) string {
	return filepath.Join(w.dir, "cluster", "nodes", fmt.Sprint(node+1))
}

func (w *world) stopCluster() error {
	err := w.Close()
	for i := range w.Nodes {
		if w.disks && w.o.keep {
			err = errors.Join(err, os.CopyFS(filepath.Join(w.dir, "logs", fmt.Sprint(i+1)), os.DirFS(filepath.Join(w.disk(i), "logs"))))
		}
		if w.disks {
			err = errors.Join(err, wires.Unmount(w.disk(i)))
		}
	}
	if w.wires != nil {
		err = errors.Join(err, w.wires.Close())
	}
	return err
}

// request is for an application that has this program as what it runs.
func request(name string, workers int) edgeclient.Request {
	size := edgeclient.Resources{VCores: 1, Memory: memory * edgeclient.MiB}
	return edgeclient.Request{
		Name: name, Workers: workers, Worker: size, Scheduler: size, AM: size, MaxAttempts: 1000,
		Wait: edgeclient.WaitWorkers, WaitWorkers: workers,
	}
}

// submit starts the application.
func (w *world) submit(ctx context.Context) error {
	report, err := w.edge.Submit(ctx, request("chaos", w.o.workers))
	if err != nil {
		return err
	}
	w.id = report.ID
	w.app, err = yarnd.Attach(ctx, w.edge, report, true)
	return err
}

// pause is a time drawn for a fault to last: mean on the average, most at the most.
func (w *world) pause(mean, most time.Duration) time.Duration {
	if w.o.each {
		mean, most = min(mean, time.Second), min(most, 2*time.Second)
	}
	return min(most, time.Duration(w.rnd.ExpFloat64()*float64(mean)))
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
