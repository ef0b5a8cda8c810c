package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

func (c *command) exec() *cobra.Command {
	var env map[string]string
	cmd := &cobra.Command{
		Use:   "exec APP -- COMMAND [ARG…]",
		Short: "Run one command on a worker; its exit code is yours",
		Long: `exec runs one command on one of the application's workers, passes its output
through and ends with its exit code. yarnd's own failures end with 125.`,
		Args: commandArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			err := c.withCluster(ctx, args[0], func(cluster *yarnd.Cluster) error {
				result, err := yarnd.Command(args[1:], engine.KeepExit(), engine.Env(env)).Call(ctx, cluster.Client, "{}") // so that "{}" means itself
				if err != nil {
					return err
				}
				c.Out.Write(result.Stdout)
				c.Err.Write(result.Stderr)
				if result.Exit != 0 {
					return exit(result.Exit)
				}
				return nil
			})
			var code exit
			if err != nil && !errors.As(err, &code) {
				fmt.Fprintf(c.Err, "yarnd: %s\n", printable(err.Error()))
				return exit(edgeclient.Remote)
			}
			return err
		},
	}
	cmd.Flags().Var((*vars)(&env), "env", "environment variable of the command; may be repeated")
	return cmd
}
