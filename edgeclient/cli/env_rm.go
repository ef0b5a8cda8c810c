package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *command) envRemove() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rm NAME|HASH|URL",
		Short: "Remove an archive from the cluster's cache",
		Long: `rm removes what env list shows under that name, URL, or begin of a hash (six digits
or more). What an application uses is refused: its next container would fail.`,
		Args: oneArg("a name, a URL or the begin of a hash"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.open(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer client.Close()
			removed, err := client.RemoveEntry(cmd.Context(), args[0], force)
			for _, e := range removed {
				fmt.Fprintln(c.Out, e.URL)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also what a running application uses")
	return cmd
}
