package cli

import (
	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) move() *cobra.Command {
	return &cobra.Command{
		Use:   "move APP QUEUE",
		Short: "Move an application to another queue",
		Long: `move asks YARN to move a running or waiting application, with all its containers,
to another queue. A queue without room, or one to which you may not submit, refuses.`,
		Args: appArg(2, "an application and a queue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withApp(cmd.Context(), args[0], func(client *edgeclient.Client, r edgeclient.Report) error {
				if err := client.Move(cmd.Context(), r, args[1]); err != nil {
					return err
				}
				c.progress("%s: from queue %s to %s", r.ID, r.Queue, args[1])
				return nil
			})
		},
	}
}
