package cli

import "github.com/spf13/cobra"

// workers is worker list, by the name that people try first.
func (c *command) workers() *cobra.Command {
	cmd := c.workerList()
	cmd.Use = "workers [APP]"
	return cmd
}
