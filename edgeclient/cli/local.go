package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/machine"
)

func (c *command) local() *cobra.Command {
	r := edgeclient.Request{}
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run a cluster on this machine, until interrupted",
		Long: `local runs a cluster of processes of this machine: as many workers as it has cores,
or --workers. When they are there it prints one line, which makes the cluster the
application of a shell's commands:

  export YARND_APP=local_1764000000000_0001

It runs until it is interrupted or terminated, or ended by yarnd kill, and leaves no
process. All ports are on the loopback interface. --timeout bounds the start.

A cluster on this machine that stays is yarnd --provider local submit.`,
		Example: `  yarnd local &
  export YARND_APP=…        as it prints
  seq 10 | yarnd map -- echo item {}`,
		Args:        noArgs,
		Annotations: map[string]string{ownTimeout: "it bounds the start"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			r = localRequest(machine.Here(), r)
			r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, r.Workers
			if err := r.Check(); err != nil {
				return err
			}
			return c.serveLocal(cmd.Context(), r)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&c.file, "config", "f", "", "read settings from this YAML file; flags and the environment come before it")
	requestFlags(f, &r, nil)
	f.Lookup("workers").Usage += "; default one for each core"
	undefault(f, "worker.memory", "memory of the worker; default its share of what this host, or its control group, allows")
	r.Worker.Memory = 0
	return cmd
}

// serveLocal is the life of a cluster in the foreground.
func (c *command) serveLocal(ctx context.Context, r edgeclient.Request) error {
	o := c.options()
	o.Provider, o.Leash = "local", true
	client, err := edgeclient.Open(ctx, o)
	if err != nil {
		return err
	}
	defer client.Close()
	start, cancel := ctx, context.CancelFunc(func() {})
	if c.timeout > 0 {
		start, cancel = context.WithTimeout(ctx, c.timeout)
	}
	defer cancel()
	report, err := client.Submit(start, r)
	if report.ID == "" {
		return err
	}
	if err == nil {
		_, err = fmt.Fprintf(c.Out, "export YARND_APP=%s\n", report.ID)
	}
	if err == nil {
		c.progress("%d workers with %s each; they end with Ctrl-C", r.Workers, edgeclient.FormatBytes(r.Worker.Memory))
		_, err = client.Wait(ctx, report.ID, edgeclient.WaitFinished, 0)
		if ctx.Err() == nil {
			return err // it was ended by somebody, or failed
		}
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	_, stopped := client.Stop(clean, report, edgeclient.FinalSucceeded, "its yarnd local was ended")
	if stopped != nil {
		stopped = client.Kill(clean, report, "its yarnd local was ended")
	}
	if ctx.Err() != nil { // as asked
		return stopped
	}
	return err
}
