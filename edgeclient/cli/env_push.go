package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *command) envPush() *cobra.Command {
	var allowRatio bool
	cmd := &cobra.Command{
		Use:   "push ARCHIVE",
		Short: "Put an archive into the cluster's cache and print its URL",
		Long: `push inspects an archive and puts it into your cache on the cluster's file system,
unless it is there. It prints the URL, which submit --env takes from any host.`,
		Example: `  URL=$(yarnd env push env.tar.gz)
  yarnd submit --workers 4 --env "$URL"`,
		Args: oneArg("one archive"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.open(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer client.Close()
			r, err := client.PushEnv(cmd.Context(), args[0], allowRatio)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.Out, r.URL)
			return err
		},
	}
	setting(cmd.Flags(), "allow-ratio", &allowRatio)
	return cmd
}
