package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
)

func main() { yarnd.MainCode(run) }

// options of a run.
type options struct {
	length  time.Duration
	seed    uint64
	workers int
	tasks   int
	kinds   string
	keep    bool
}

func run(ctx context.Context) int {
	var o options
	f := flag.NewFlagSet("chaos", flag.ExitOnError)
	f.DurationVar(&o.length, "for", 10*time.Minute, "go on for so long")
	f.Uint64Var(&o.seed, "seed", 1, "of the faults")
	f.IntVar(&o.workers, "workers", 4, "of the application")
	f.IntVar(&o.tasks, "tasks", 100_000, "of the large graph")
	f.StringVar(&o.kinds, "faults", "", "of these kinds only, with commas between; default all")
	f.BoolVar(&o.keep, "keep", false, "keep the cluster's directory, with its logs")
	f.Parse(os.Args[1:]) //nolint:errcheck // it exits
	if f.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "chaos takes no arguments, and got %q\n", f.Args())
		return int(edgeclient.Usage)
	}
	if err := hurt(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	return 0
}

// world is the cluster and the application that are hurt.
type world struct {
	*minicluster.Cluster
	o     options
	rnd   *rand.Rand
	edge  *edgeclient.Client
	app   *yarnd.Cluster
	id    string
	marks string // a file that grows by a byte with each run of a task
	began time.Time
}

// hurt runs everything.
func hurt(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "yarnd-chaos")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "its directory:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	w := &world{o: o, rnd: rand.New(rand.NewPCG(o.seed, 0)), marks: filepath.Join(dir, "marks"), began: time.Now()}
	w.Cluster, err = minicluster.Start(ctx, minicluster.Options{
		Dir: filepath.Join(dir, "cluster"), Nodes: 3, HA: true, Heartbeat: time.Second, NoMemoryLimit: true,
		Cluster: core.Config{MaxAttempts: 1000},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Cluster.Close()) }()
	for name, value := range map[string]string{
		"HADOOP_CONF_DIR": w.ConfDir(), "XDG_CACHE_HOME": filepath.Join(dir, "cache"), "YARND_HOME": filepath.Join(dir, "home"),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if w.edge, err = edgeclient.Open(ctx, edgeclient.Options{Provider: "yarn"}); err != nil {
		return err
	}
	defer w.edge.Close()
	if err := w.submit(ctx); err != nil {
		return err
	}
	t := newTable()
	work, stop := context.WithCancel(ctx)
	jobs := w.startWork(work)
	w.faults(ctx, t)
	jobs.last()
	err = jobs.wait()
	stop()
	if err == nil {
		err = w.leave(ctx, t)
	}
	jobs.count(t, w)
	t.print(os.Stdout, w)
	return errors.Join(err, t.verdict())
}

// submit starts the application, with this program as what it runs.
func (w *world) submit(ctx context.Context) error {
	size := edgeclient.Resources{VCores: 1, Memory: 256 * edgeclient.MiB}
	report, err := w.edge.Submit(ctx, edgeclient.Request{
		Name: "chaos", Workers: w.o.workers, Worker: size, Scheduler: size, AM: size, MaxAttempts: 1000,
		Restarts: -1, Wait: edgeclient.WaitWorkers, WaitWorkers: w.o.workers,
	})
	if err != nil {
		return err
	}
	w.id = report.ID
	if w.app, err = yarnd.Attach(ctx, w.edge, report, true); err != nil {
		return err
	}
	return nil
}
