package cli

import (
	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
)

func (c *command) exec() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "exec [APP] -- COMMAND [ARG…]",
		Short: "Run one command on a worker; its exit code is yours",
		Long: `exec runs one command on one of the application's workers, gives its output as it
comes, and ends with its exit code, 128+n for signal n. yarnd's own failures end
with 125, an interrupt with 130; either ends the command.

Without APP it is as in map: the current application, or a worker on this machine in
the present directory.

With --stdin the command gets standard input as it comes, and as fast as it reads.
An interrupt goes to the command then, as SIGINT; a second one ends it. When its
worker is lost after it has read some, it fails: what was read cannot be read again.
Of either output at most 64 MiB may come.`,
		Example: `  yarnd exec last -- environment/bin/python --version
  tar -c data | yarnd exec -i last -- tar -x`,
		Args: appAndCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			app, argv := split(cmd, args)
			return c.withWork(ctx, app, 1, func(cluster *yarnd.Cluster, dir string) error {
				r.argv, r.dir, r.interrupts = argv, dir, r.stdin
				return c.runRemote(ctx, cluster, r)
			})
		},
	}
	cmd.Flags().Var((*vars)(&r.env), "env", "environment variable of the command; may be repeated")
	cmd.Flags().BoolVarP(&r.stdin, "stdin", "i", false, "give standard input to the command")
	return cmd
}
