package cli

import (
	"context"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
)

// plainPath is a path that a shell takes as it is: what minicluster prints is for
// eval.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./+@%:,=-]+$`)

const (
	maxMiniNodes  = 500
	maxNodeVCores = 1024
)

func (c *command) minicluster() *cobra.Command {
	nodes, vcores, memory := 2, 8, size(8<<30)
	var dir string
	var users []string
	cmd := &cobra.Command{
		Use:   "minicluster",
		Short: "Run a small YARN cluster on this machine, until interrupted",
		Long: `minicluster runs a ResourceManager and NodeManagers, written in Go and speaking
YARN's own protocols, in this process, and containers as processes of this machine.
It needs no Hadoop and no Java. It is for trying yarnd, and for testing any program
that talks to YARN.

When the cluster is ready it prints one line, which makes a shell its client:

  export HADOOP_CONF_DIR=/path

It runs until it is interrupted or terminated, and then ends every container and
removes its files, unless --dir says where they shall be. Nobody is authenticated:
all ports are on the loopback interface.`,
		Example: `  yarnd minicluster &
  export HADOOP_CONF_DIR=…        as it prints
  yarnd submit --workers 4`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case nodes < 1 || nodes > maxMiniNodes:
				return usage(fmt.Sprintf("%d nodes are out of range", nodes), fmt.Sprintf("Use --nodes 1 to %d", maxMiniNodes))
			case vcores < 1 || vcores > maxNodeVCores:
				return usage(fmt.Sprintf("nodes of %d vcores are out of range", vcores), fmt.Sprintf("Use --node-vcores 1 to %d", maxNodeVCores))
			case memory < 64*edgeclient.MiB:
				return usage("nodes of less than 64MiB hold no container", "Use --node-memory 1GiB or more")
			}
			site, err := edgeclient.Properties(c.define)
			if err != nil {
				return err
			}
			o := minicluster.Options{Dir: dir, Nodes: nodes, Users: users, Log: c.logger(), Site: site}
			o.Capability.MemoryMiB, o.Capability.VCores = int64(memory)/edgeclient.MiB, int32(vcores)
			return c.runMinicluster(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&nodes, "nodes", nodes, "how many NodeManagers")
	f.Var(&memory, "node-memory", "memory that each node offers; it need not be there")
	f.IntVar(&vcores, "node-vcores", vcores, "virtual cores that each node offers")
	f.StringVar(&dir, "dir", "", "directory for everything; kept at the end; default a temporary one")
	f.StringSliceVar(&users, "users", nil, "further users that have a home in the cluster's file system")
	return cmd
}

// runMinicluster runs a cluster until the context ends.
func (c *command) runMinicluster(ctx context.Context, o minicluster.Options) error {
	m, err := minicluster.Start(ctx, o)
	if err != nil {
		return &edgeclient.Fault{Code: edgeclient.Internal, What: "cannot start a cluster", Why: err, Next: "Check that the directory can be written, or give another with --dir"}
	}
	defer m.Close()
	if !plainPath.MatchString(m.ConfDir()) {
		return usage(fmt.Sprintf("the directory %q cannot stand in a shell command unquoted", m.Dir()), "Use --dir, or TMPDIR, with a path of letters and digits")
	}
	if _, err := fmt.Fprintf(c.Out, "export HADOOP_CONF_DIR=%s\n", m.ConfDir()); err != nil {
		return err
	}
	c.progress("%d nodes of %d MiB and %d vcores; pages at http://%s/; it ends with Ctrl-C", o.Nodes, o.Capability.MemoryMiB, o.Capability.VCores, m.RM.WebAddr())
	<-ctx.Done()
	if err := m.Close(); err != nil {
		return &edgeclient.Fault{Code: edgeclient.Internal, What: "something of the cluster may be left", Why: err, Next: "Remove " + m.Dir()}
	}
	return nil
}

func usage(what, next string) error {
	return &edgeclient.Fault{Code: edgeclient.Usage, What: what, Next: next}
}
