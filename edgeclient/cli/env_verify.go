package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/packaging"
)

// verifyOptions are the flags of env verify.
type verifyOptions struct {
	app        string
	name       string
	modules    []string
	allowRatio bool
}

// appFlag is a flag that YARND_APP does not set: that is the current application.
const appFlag = "app"

func (c *command) envVerify() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify ARCHIVE | verify --app APP",
		Short: "Try whether an environment's Python runs and imports",
		Long: `verify unpacks an archive, here or on the cluster's file system, into a scratch
directory and has its Python import what --import names. With --app it does so on a
worker of a running application instead, with the environment that the worker has.`,
		Example: `  yarnd env verify env.tar.gz --import numpy,pandas
  yarnd env verify --app last --import numpy`,
		Args: func(cmd *cobra.Command, args []string) error {
			if (o.app == "") == (len(args) == 1) && len(args) < 2 {
				return nil
			}
			return &edgeclient.Fault{Code: edgeclient.Usage, What: cmd.CommandPath() + " takes one archive, or --app APP", Next: "See " + cmd.CommandPath() + " --help"}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.app != "" {
				return c.verifyOnWorker(cmd.Context(), o)
			}
			return c.withArchive(cmd.Context(), args[0], func(file string) error {
				return c.verifyHere(cmd.Context(), args[0], file, o)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.app, appFlag, "", "try it on a worker of this application")
	f.StringVar(&o.name, "name", "environment", "with --app: the environment's name in the worker's directory")
	f.StringSliceVar(&o.modules, "import", nil, "modules to import, comma-separated")
	setting(f, "allow-ratio", &o.allowRatio)
	return cmd
}

func (c *command) verifyHere(ctx context.Context, name, file string, o verifyOptions) error {
	scratch, err := scratchDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	p, err := packaging.Verify(ctx, file, filepath.Join(scratch, "environment"), environmentLimits(o.allowRatio), o.modules)
	if err != nil {
		return edgeclient.PackagingFault("cannot use "+name, err)
	}
	return c.showProbe(name, p)
}

func (c *command) verifyOnWorker(ctx context.Context, o verifyOptions) error {
	return c.withCluster(ctx, o.app, func(cluster *yarnd.Cluster) error {
		argv := packaging.ProbeCommand(o.name+"/bin/python", o.modules)
		result, err := yarnd.Command(argv, engine.KeepExit()).Call(ctx, cluster.Client, "{}")
		if err != nil && !errors.As(err, new(*yarnd.TaskError)) {
			return err
		}
		var p packaging.Probe
		if err == nil {
			c.Err.Write(result.Stderr)
			p, err = packaging.ParseProbe(result.Stdout)
		}
		if err != nil {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%s/bin/python does not run on a worker of %s", o.name, cluster.ID),
				Why: err, Next: "See yarnd env inspect for what the environment needs of the nodes"}
		}
		return c.showProbe(o.name+" on "+cluster.ID, p)
	})
}

// showProbe prints what a Python told, and fails when an import did.
func (c *command) showProbe(where string, p packaging.Probe) error {
	if c.output != "table" && c.output != "wide" {
		l := listing[packaging.Probe]{kind: "ProbeList", items: []packaging.Probe{p}, name: func(p packaging.Probe) string { return p.Python }}
		if err := l.write(c.Out, c.output); err != nil {
			return err
		}
	} else if err := c.probeTable(p); err != nil {
		return err
	}
	if failed := slices.Sorted(maps.Keys(p.Failed)); len(failed) > 0 {
		return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%s cannot import %s: %s", where, failed[0], p.Failed[failed[0]]),
			Next: "Give the name that Python imports, such as dateutil for python-dateutil, or install it and pack anew"}
	}
	return nil
}

func (c *command) probeTable(p packaging.Probe) error {
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "PYTHON\t%s\nBASE\t%s\n", printable(dash(p.Python)), printable(dash(p.Base)))
	for _, m := range slices.Sorted(maps.Keys(p.Modules)) {
		fmt.Fprintf(tw, "IMPORTED\t%s %s\n", printable(m), printable(p.Modules[m]))
	}
	for _, m := range slices.Sorted(maps.Keys(p.Failed)) {
		fmt.Fprintf(tw, "FAILED\t%s: %s\n", printable(m), printable(p.Failed[m]))
	}
	return tw.Flush()
}
