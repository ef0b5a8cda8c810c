package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
	"github.com/yarnd/yarnd/engine/machine"
)

// chosen are the options with the provider that somebody has chosen, "" where it is the
// default.
func (c *command) chosen() edgeclient.Options {
	o := c.options()
	for _, e := range c.settings.Of("provider") {
		if e.Origin.Source == config.FromDefault {
			o.Provider = ""
		}
	}
	return o
}

// withWork runs f with a connection to the engine of the application that app names;
// "" is the one that is meant where none is named, or where nothing could be meant a
// cluster of so many workers on this machine, for as long as f runs; 0 is as many as
// there are cores. There f is told in which directory commands run, the present one:
// without any cluster in mind a person means the files that they see. "" is the worker's.
func (c *command) withWork(ctx context.Context, app string, workers int, f func(cluster *yarnd.Cluster, dir string) error) error {
	if app == "" {
		_, err := edgeclient.Default(c.app)
		if edgeclient.CodeOf(err) == edgeclient.NotFound {
			if why := edgeclient.LocalInstead(c.chosen()); why != "" {
				r := localRequest(machine.Here(), edgeclient.Request{Workers: workers})
				c.progress("%s; using %d workers on this machine for this command", why, r.Workers)
				dir, err := presentDir()
				if err != nil {
					return err
				}
				return c.onThisMachine(ctx, r, func(cluster *yarnd.Cluster) error { return f(cluster, dir) })
			}
		}
	}
	return c.withCluster(ctx, app, func(cluster *yarnd.Cluster) error { return f(cluster, "") })
}

// presentDir is the absolute path of the directory of this process.
func presentDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		err = &edgeclient.Fault{Code: edgeclient.Usage, What: "cannot run a command in the present directory", Why: err, Next: "Change into one that is there"}
	}
	return dir, err
}

// onThisMachine runs f with a cluster on this machine that is there for f alone.
func (c *command) onThisMachine(ctx context.Context, r edgeclient.Request, f func(*yarnd.Cluster) error) error {
	o := c.options()
	o.Provider, o.Leash, o.Progress = "local", true, nil
	client, err := edgeclient.Open(ctx, o)
	if err != nil {
		return err
	}
	defer client.Close()
	r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, 1
	quiet := *c
	quiet.quiet = true
	return quiet.lifetime(ctx, client, r, func(report edgeclient.Report) error { return quiet.onCluster(ctx, client, report, f) })
}

// localRequest is a request for this machine: where none are asked for, as many workers
// as have their cores here, and for each what memory there is for it.
func localRequest(here machine.Resources, r edgeclient.Request) edgeclient.Request {
	vcores := max(1, r.Worker.VCores)
	if r.Workers == 0 {
		r.Workers = min(max(1, here.Cores/vcores), edgeclient.MaxWorkers)
	}
	if r.Worker.Memory == 0 && here.Memory > 0 {
		r.Worker.Memory = max(config.MinMemory, here.Memory/int64(max(r.Workers, here.Cores/vcores)))
	}
	return r
}

// appAndCommand demands [APP] -- COMMAND….
func appAndCommand(cmd *cobra.Command, args []string) error {
	dash := cmd.ArgsLenAtDash()
	if (dash == 0 || dash == 1 && args[0] != "") && len(args) > dash && args[dash] != "" {
		return nil
	}
	return usage(cmd.CommandPath()+" takes an application or none, then --, then a command", "See "+cmd.CommandPath()+" --help")
}

// split parts what appAndCommand allows.
func split(cmd *cobra.Command, args []string) (app string, argv []string) {
	dash := cmd.ArgsLenAtDash()
	return first(args[:dash]), args[dash:]
}
