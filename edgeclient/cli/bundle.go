package cli

import "github.com/spf13/cobra"

func (c *command) bundle() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Build and look at programs that run on the cluster",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.bundleBuild(), c.bundleInspect())
	return cmd
}
