// Command hyperparam searches at random for the parameters with which a model learns best.
// The model is a Python function; trials run in warm interpreters on the workers, and each
// that is better than those before is printed when it ends.
//
//	hyperparam [--app APP | --workers N] [--trials N] [--seed N] [--enough LOSS]
//
// With --workers it starts a cluster that has trial.py, and ends it afterwards. An
// application of --app was submitted with --files examples/hyperparam/trial.py. When a
// trial's loss is below --enough, those that have not ended are cancelled.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

//go:embed trial.py
var module []byte

// trial is what the Python function gets.
type trial struct {
	Number                int
	Rate, Momentum, Decay float64
	Epochs                int
}

func (t trial) String() string {
	return fmt.Sprintf("rate %.4f, momentum %.2f, decay %.5f, %d epochs", t.Rate, t.Momentum, t.Decay, t.Epochs)
}

// outcome is what it returns: how well what was learned fits points that were not seen.
type outcome struct {
	Number         int
	Loss, Accuracy float64
}

type options struct {
	app     string
	workers int
	trials  int
	seed    uint64
	enough  float64
}

func main() {
	yarnd.Main(func(ctx context.Context) error {
		o := options{}
		flags := flag.NewFlagSet("hyperparam", flag.ContinueOnError)
		flags.StringVar(&o.app, "app", "", "application to run on, which has trial.py")
		flags.IntVar(&o.workers, "workers", 0, "start a cluster of so many workers, and end it afterwards")
		flags.IntVar(&o.trials, "trials", 100, "how many")
		flags.Uint64Var(&o.seed, "seed", 1, "of the random parameters")
		flags.Float64Var(&o.enough, "enough", 0, "loss below which no more trials are needed")
		if err := flags.Parse(os.Args[1:]); err != nil || o.trials < 1 || o.workers < 0 || o.app != "" && o.workers > 0 {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: "hyperparam takes --app or --workers, and numbers above 0", Next: "See hyperparam --help"}
		}
		return run(ctx, o)
	})
}

// run brings the module to the workers, and searches.
func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "hyperparam-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "trial.py")
	if err := os.WriteFile(file, module, 0o600); err != nil {
		return err
	}
	cluster, err := open(ctx, o, file)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if o.workers > 0 {
		defer func() { err = errors.Join(err, cluster.Stop(context.WithoutCancel(ctx))) }()
	}
	var where []engine.PythonOption
	if edgeclient.IsLocalID(cluster.ID) { // workers are on this machine
		where = append(where, engine.Env(map[string]string{"PYTHONPATH": dir}))
	}
	_, err = search(ctx, cluster.Client, draw(o.seed, o.trials), o.enough, os.Stdout, where...)
	return err
}

func open(ctx context.Context, o options, file string) (*yarnd.Cluster, error) {
	if o.workers > 0 {
		return yarnd.Submit(ctx, yarnd.Spec{Name: "hyperparam", Workers: o.workers, Files: []string{file}})
	}
	return yarnd.Connect(ctx, o.app)
}

// draw makes trials with random parameters, the same for each seed.
func draw(seed uint64, n int) []trial {
	r := rand.New(rand.NewPCG(seed, 0))
	power := func(low, high float64) float64 { return math.Pow(10, low+r.Float64()*(high-low)) }
	trials := make([]trial, n)
	for i := range trials {
		trials[i] = trial{Number: i, Rate: power(-4, 0), Momentum: r.Float64() * 0.95, Decay: power(-5, -1), Epochs: 5 + r.IntN(30)}
	}
	return trials
}

// search runs trials and tells of each that is better than those that ended before, as
// they end. It returns the best one.
func search(ctx context.Context, c *engine.Client, trials []trial, enough float64, out io.Writer, o ...engine.PythonOption) (best outcome, err error) {
	batch := engine.Python[trial, outcome]("trial:run", o...).Map(ctx, c, slices.Values(trials))
	defer batch.Release()
	best.Loss = math.Inf(1)
	ended := 0
	for got, err := range batch.Completed(ctx) {
		if err != nil {
			return best, err
		}
		ended++
		if got.Loss < best.Loss {
			best = got
			fmt.Fprintf(out, "%d of %d: trial %d has loss %.4f, %.1f %% right: %v\n", ended, len(trials), got.Number, got.Loss, 100*got.Accuracy, trials[got.Number])
		}
		if best.Loss < enough {
			fmt.Fprintf(out, "good enough after %d of %d trials\n", ended, len(trials))
			return best, batch.Cancel(ctx)
		}
	}
	return best, nil
}
