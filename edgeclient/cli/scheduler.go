package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) scheduler() *cobra.Command {
	var o yarnd.SchedulerOptions
	cmd := &cobra.Command{
		Use:   "scheduler",
		Short: "Run a cluster's scheduler by hand, without YARN",
		Long: `scheduler runs the scheduler of a cluster that needs no YARN: workers are started on
other hosts with yarnd worker HOST:PORT. When it is ready it prints one line, its
address, which is the cluster's APP for every command:

  tcp://node1:8786

The credentials file is made when there is none, readable by its owner alone. Whoever
has it can join and use the cluster: copy it to every host, by a safe way. It runs
until it is interrupted or terminated. Its jobs end with it, unless it has a journal:
then the one that is started next in the same directory has them, workers and clients
find it, and what was acknowledged is there.`,
		Example: `  yarnd scheduler --listen :8786
  scp ~/.yarnd/credentials node2:.yarnd/      then, there: yarnd worker node1:8786`,
		Args:        noArgs,
		Annotations: map[string]string{ownTimeout: "nothing: a default for other commands shall not end it"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithCancelCause(cmd.Context())
			defer cancel(nil)
			o.Credentials, o.Log, o.Alone = c.credentials, c.service(), true
			o.Ready = func(address, made string) {
				if made != "" {
					c.progress("made new credentials, %s: every worker and client needs a copy", made)
				}
				if _, err := fmt.Fprintln(c.Out, edgeclient.AddressID(address)); err != nil {
					cancel(&edgeclient.Fault{Code: edgeclient.Internal, What: "cannot write the scheduler's address", Why: err})
				}
				c.progress("workers: yarnd worker %s; clients: export YARND_APP=%s", address, edgeclient.AddressID(address))
			}
			if err := yarnd.RunScheduler(ctx, o); err != nil || cmd.Context().Err() != nil {
				return err
			}
			return context.Cause(ctx)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Listen, "listen", "", "listen on HOST:PORT, or on :PORT; default one of --port-range on --interface")
	f.StringVar(&o.Dir, "dir", "", "keep programs of clients below this directory while it runs; default the temporary one")
	f.StringVar(&o.Journal, "journal", "", "keep in this directory what the next scheduler has to know; default: nothing outlives this one")
	setting(f, "keep-results", (*lasting)(&o.KeepResults))
	setting(f, "port-range", (*ports)(&o.Ports))
	setting(f, "interface", &o.Interface)
	return cmd
}

// service is the log of a command that serves others: a file of the journal, so that it
// says by itself what matters.
func (c *command) service() *slog.Logger {
	level := slog.LevelInfo
	switch {
	case c.verbose:
		level = slog.LevelDebug
	case c.quiet:
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(c.Err, &slog.HandlerOptions{Level: level}))
}
