package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/packaging"
)

func (c *command) envList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the archives in the cluster's cache, and who uses them",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.open(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer client.Close()
			list, err := client.ListCache(cmd.Context())
			if err != nil {
				return err
			}
			if !all {
				list = slices.DeleteFunc(list, func(e packaging.Entry) bool { return !e.IsArchive() })
			}
			return entries(list).write(c.Out, c.output)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "programs and files too")
	return cmd
}
