package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

// completionTime bounds what completion asks the cluster: a person waits at the key.
const completionTime = 2 * time.Second

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completions lets every command that takes an application offer those that live, and
// every queue those that there are.
func (c *command) completions(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "status", "workers", "logs", "scale", "connect", "map", "exec", "wait":
			cmd.ValidArgsFunction = c.complete(c.apps, 1)
		case "kill":
			cmd.ValidArgsFunction = c.complete(c.apps, 1<<10)
		case "move":
			apps, queues := c.complete(c.apps, 1), c.complete(c.queueNames, 2)
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
				if len(args) == 1 {
					return queues(cmd, args, start)
				}
				return apps(cmd, args, start)
			}
		}
		if cmd.Flags().Lookup("queue") != nil {
			_ = cmd.RegisterFlagCompletionFunc("queue", c.complete(c.queueNames, 1<<10)) // the flag is there
		}
	}
}

// complete offers what list gives for the first n arguments; nothing when the cluster
// does not answer.
func (c *command) complete(list func(context.Context, *edgeclient.Client) []string, n int) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c.quiet, c.timeout = true, completionTime
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		client, err := c.open(ctx, "")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer client.Close()
		return list(ctx, client), cobra.ShellCompDirectiveNoFileComp
	}
}

func (c *command) apps(ctx context.Context, client *edgeclient.Client) []string {
	reports, err := client.List(ctx, edgeclient.Filter{User: client.User()})
	if err != nil || len(reports) == 0 {
		return nil
	}
	out := []string{"last\tthe newest"}
	for _, r := range reports {
		out = append(out, r.ID+"\t"+printable(r.Name)+", "+string(r.State))
	}
	return out
}

func (c *command) queueNames(ctx context.Context, client *edgeclient.Client) []string {
	names, _ := client.Queues(ctx)
	return names
}
