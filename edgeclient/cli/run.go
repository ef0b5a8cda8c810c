package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

// endTimeout bounds the end of an application that run started.
const endTimeout = time.Minute

func (c *command) run() *cobra.Command {
	r := edgeclient.Request{}
	var do remote
	cmd := &cobra.Command{
		Use:   "run [flags of submit] -- COMMAND [ARG…]",
		Short: "Start a cluster, run one command on it, and end it",
		Long: `run submits an application with one worker, or --workers, runs the command on a
worker, gives its output as it comes, and ends the application. It ends with the
command's exit code, 128+n for signal n; yarnd's own failures end with 125.

Ctrl-C kills the application and ends with 130; a second one does not wait until
YARN has done so. Either way nothing is left. Without any Hadoop configuration it runs
on this machine, and says so: in the present directory, unless --env, --archives or
--files put something beside the command.

The command finds the application as $YARND_APP.`,
		Example: `  yarnd run --env venv.tar.gz -- environment/bin/python -m report
  yarnd run --worker-memory 8GiB --files model.bin -- ./infer model.bin`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() == 0 && len(args) >= 1 && args[0] != "" {
				return nil
			}
			return usage(cmd.CommandPath()+" takes --, then a command", "See "+cmd.CommandPath()+" --help")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.Workers == 0 {
				r.Workers = 1
			}
			r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, 1
			if err := r.Check(); err != nil {
				return err
			}
			client, here, err := c.openForRun(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			do.argv = args
			if here && !ships(r) {
				if do.dir, err = presentDir(); err != nil {
					return err
				}
			}
			return c.lifetime(cmd.Context(), client, r, func(report edgeclient.Report) error {
				return c.runOn(cmd.Context(), client, report, do)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&c.file, "config", "f", "", "read settings from this YAML file; flags and the environment come before it")
	f.BoolVarP(&do.stdin, "stdin", "i", false, "give standard input to the command")
	requestFlags(f, &r, nil)
	return cmd
}

// ships tells whether a request puts files beside its commands.
func ships(r edgeclient.Request) bool { return r.Env != "" || len(r.Archives)+len(r.Files) > 0 }

// openForRun connects to the Hadoop cluster, or to this machine where nothing speaks of
// one; then here is true.
func (c *command) openForRun(ctx context.Context) (client *edgeclient.Client, here bool, err error) {
	o := c.chosen()
	if o.Provider == "" {
		if where := edgeclient.NoHadoop(o); where != "" {
			c.progress("no Hadoop configuration is in %s (HADOOP_CONF_DIR), and no --provider given: running on this machine", where)
			o.Provider, o.Leash, here = "local", true, true
		}
	}
	client, err = edgeclient.OpenFor(ctx, "", o)
	return client, here, err
}

// lifetime is the whole life of an application that is there for f alone.
func (c *command) lifetime(ctx context.Context, client *edgeclient.Client, r edgeclient.Request, f func(edgeclient.Report) error) error {
	report, err := client.Submit(ctx, r)
	if report.ID == "" {
		return err
	}
	if err == nil {
		err = f(report)
	}
	if commandEnded(err) {
		final, why := edgeclient.FinalSucceeded, "its command has ended"
		if err != nil {
			final, why = edgeclient.FinalFailed, fmt.Sprintf("its command ended with %v", err)
		}
		last, e := client.Stop(ctx, report, final, why)
		if last.State.Ended() {
			c.progress("%s ended %s", report.ID, last.Final)
			return err
		}
		c.progress("%s does not end in order: %v", report.ID, e)
	}
	c.killStarted(ctx, client, report)
	return err
}

func (c *command) runOn(ctx context.Context, client *edgeclient.Client, report edgeclient.Report, do remote) error {
	do.env = map[string]string{"YARND_APP": report.ID}
	return c.onCluster(ctx, client, report, func(cluster *yarnd.Cluster) error {
		return c.runRemote(ctx, cluster, do)
	})
}

// killStarted ends an application that nobody wants any more, whatever has ended ctx.
// An interrupt ends the wait: the cluster has been asked, and what was staged goes here.
func (c *command) killStarted(ctx context.Context, client *edgeclient.Client, report edgeclient.Report) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	c.progress("killing %s; interrupt again to leave that to the cluster", report.ID)
	done := make(chan error, 1)
	go func() { done <- client.Kill(clean, report, "its yarnd run was ended") }()
	select {
	case err := <-done:
		if err != nil {
			c.progress("%s may be alive: %v", report.ID, err)
			return
		}
		c.progress("killed %s", report.ID)
	case <-again:
		cancel()
		<-done
		if err := client.Unstage(ctx, report); err != nil {
			c.progress("%s left files: %v", report.ID, err)
		}
		c.progress("detached: %s is being ended; see yarnd status %s", report.ID, report.ID)
	}
}
