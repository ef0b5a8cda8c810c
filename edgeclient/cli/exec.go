package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
)

// signalled is what shells add to the number of the signal that ended a command.
const signalled = 128

func (c *command) exec() *cobra.Command {
	var env map[string]string
	cmd := &cobra.Command{
		Use:   "exec APP -- COMMAND [ARG…]",
		Short: "Run one command on a worker; its exit code is yours",
		Long: `exec runs one command on one of the application's workers and, when it has ended,
gives its output and ends with its exit code, 128+n for signal n. yarnd's own
failures end with 125, an interrupt with 130.`,
		Args: commandArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withCluster(ctx, args[0], func(cluster *yarnd.Cluster) error {
				result, err := yarnd.Command(args[1:], engine.KeepExit(), engine.Env(env)).Call(ctx, cluster.Client, "{}") // so that "{}" means itself
				var te *yarnd.TaskError
				if errors.As(err, &te) && te.Kind == engine.FailUser && te.ExitCode > signalled { // not one that yarnd sent
					c.Err.Write(te.Output)
					c.progress("yarnd: %s", te.Error())
					return exit(te.ExitCode)
				}
				if err != nil {
					return err
				}
				c.Err.Write(result.Stderr)
				if _, err := c.Out.Write(result.Stdout); err != nil {
					return err
				}
				if result.Exit != 0 {
					return exit(result.Exit)
				}
				return nil
			})
		},
	}
	cmd.Flags().Var((*vars)(&env), "env", "environment variable of the command; may be repeated")
	return cmd
}
