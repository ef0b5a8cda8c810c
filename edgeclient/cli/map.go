package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/graph"
)

// someFailed is map's exit code when an item's command ended otherwise than with
// 0, as xargs has it.
const someFailed exit = 123

// longestItem bounds a line of standard input, which becomes part of a command
// line: Linux allows 128 KiB an argument.
const longestItem = 128<<10 - 1

func (c *command) mapItems() *cobra.Command {
	var o mapOptions
	cmd := &cobra.Command{
		Use:   "map [APP] -- COMMAND [ARG…] | map [APP] --python MODULE:FUNCTION",
		Short: "Run a command, or call a Python function, for each line of standard input",
		Long: `map runs the command once for each line of standard input, or of --items, on the
application's workers. "{}" is replaced by the line anywhere in any argument. The
command's output comes in the order of the lines, or with --unordered as each
command ends; standard error to standard error. No shell is involved: for one, say  sh -c '… "$1"' sh {}.

With --python the lines are JSON: a function of the workers' Python is called with each,
and what it returns is a line of JSON. The Python is that of --env, or python3 of the
node; it finds the modules that --files brought, and stays loaded between calls.

Without APP it is the one that --app, YARND_APP, yarnd.yaml or yarnd connect say; where
none does, and there is no Hadoop configuration, workers on this machine, for this
command alone, and its commands run in the present directory.

It ends with 0 when every command did, with 123 when some did not (each is told
on standard error), and with another code of yarnd's when it could not do its work.
With --failed the items of those are kept, to be run again.`,
		Example: `  ls *.log | yarnd map last -- gzip -t {}
  yarnd map current --items parts.txt --failed rest.txt -- ./convert --in {} --out {}.csv
  yarnd map current --items rest.txt -- ./convert --in {} --out {}.csv
  seq 100 | yarnd map last --python math:factorial`,
		Args: mapArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			app, argv := first(args), []string(nil)
			if o.python == "" {
				app, argv = split(cmd, args)
			}
			return c.withWork(cmd.Context(), app, 0, func(cluster *yarnd.Cluster, dir string) error {
				o.dir = dir
				return c.runMap(cmd.Context(), cluster, argv, o)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.python, "python", "", "call this function, package.module:name, instead of a command")
	f.StringVar(&o.items, "items", "-", "file with one item a line; - is standard input")
	f.IntVar(&o.retries, "retries", 0, "further attempts for an item whose command fails")
	f.DurationVar(&o.limit, "time-limit", 0, "end a command that takes longer")
	f.Var((*size)(&o.memory), "task-memory", "memory that one command needs: a worker runs only as many at a time as it has room for")
	f.Var((*amounts)(&o.named), "resource", "what one command takes of its worker while it runs, NAME=COUNT, for instance yarn.io/gpu=1; may be repeated")
	f.StringVar(&o.failed, "failed", "", "write the items whose command failed to this file, for --items of the next map")
	f.BoolVar(&o.any, "unordered", false, "give each command's output when it ends, not in the order of the lines")
	f.Var((*vars)(&o.env), "env", "environment variable of the command; may be repeated")
	return cmd
}

type mapOptions struct {
	python  string // function that is called instead of a command
	items   string
	retries int
	limit   time.Duration
	memory  int64
	named   graph.Amounts
	env     map[string]string
	dir     string // in which commands run; "" is the worker's
	any     bool   // in any order
	failed  string // file for the items whose command failed
}

func (o *mapOptions) taskOptions() []engine.CommandOption {
	out := []engine.CommandOption{
		engine.Retries(o.retries), engine.TimeLimit(o.limit), engine.Env(o.env), engine.Dir(o.dir), engine.Memory(uint64(o.memory)),
	}
	for _, x := range o.named {
		out = append(out, engine.Resource(x.Name, uint32(x.Count)))
	}
	return out
}

// maxRetries bounds the attempts of one item: more of them are a loop.
const maxRetries = 1000

// check refuses what is out of range.
func (o mapOptions) check() error {
	if o.python != "" {
		if err := checkPython(o.python); err != nil {
			return err
		}
	}
	if o.retries < 0 || o.retries > maxRetries {
		return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%d retries are out of range", o.retries), Next: fmt.Sprintf("Use --retries 0 to %d", maxRetries)}
	}
	if o.limit < 0 {
		return &edgeclient.Fault{Code: edgeclient.Usage, What: "a negative time limit has no meaning", Next: "Use --time-limit 10m, or leave it away"}
	}
	return nil
}

func (c *command) runMap(ctx context.Context, cluster *yarnd.Cluster, argv []string, o mapOptions) error {
	in := c.In
	if o.items != "-" {
		f, err := os.Open(o.items)
		if err != nil {
			return &edgeclient.Fault{Code: edgeclient.NotFound, What: "cannot read the items", Why: err, Next: "Check --items"}
		}
		defer f.Close()
		in = f
	}
	rest, err := createFailed(o.failed, in)
	if err != nil {
		return err
	}
	defer rest.Close()
	// Whoever reads the output may have had enough, as head does: then the commands
	// that have not run yet shall not, so this process may not be ended by SIGPIPE.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	// The command's failures are the engine's, so that retries count; the last
	// failure carries the exit code and the tail of standard error.
	lines := newLines(in)
	var run mapped
	if o.python != "" {
		run = o.mapPython(ctx, cluster.Client, lines)
	} else {
		run = o.mapCommand(ctx, cluster.Client, argv, lines)
	}
	defer run.release()
	start, done, failed := time.Now(), 0, 0
	for result, err := range run.results {
		n := run.number()
		item := lines.take(n)
		done++
		var te *yarnd.TaskError
		switch {
		case err == nil:
			c.Err.Write(result.Stderr)
			if _, err := c.Out.Write(result.Stdout); err != nil {
				return outputLost(err)
			}
			continue
		case !errors.As(err, &te):
			return err
		}
		failed++
		c.Err.Write(te.Output)
		fmt.Fprintf(c.Err, "yarnd: item %d, %s: %s\n", n+1, brief(item), printable(te.Error()))
		if err := rest.add(item); err != nil {
			return err
		}
	}
	if lines.err != nil {
		return lines.err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.progress("%d items, %d failed, %s", done, failed, time.Since(start).Round(time.Millisecond))
	if err := rest.Close(); err != nil {
		return failedLost(err)
	}
	if failed > 0 {
		return someFailed
	}
	return nil
}

// outputLost is the end of a map that cannot write its output any more: silent, with
// a shell's code for SIGPIPE, when the reader went away.
func outputLost(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return exit(signalled + int(syscall.SIGPIPE))
	}
	return err
}
