package cli

import (
	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) kill() *cobra.Command {
	var graceful bool
	var why string
	cmd := &cobra.Command{
		Use:   "kill APP",
		Short: "End an application and leave nothing behind",
		Long: `kill ends the application at once: its final status is KILLED. With --graceful
the application master stops the workers in order and the final status is
SUCCEEDED. Either way no process, container or staged file is left; the cache of
bundles and archives stays for the next application.`,
		Args: appArg(1, "one application"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withApp(cmd.Context(), args[0], func(client *edgeclient.Client, r edgeclient.Report) error {
				if r.State.Ended() {
					c.progress("%s has ended already: %s", r.ID, r.Final)
					return client.Kill(cmd.Context(), r, why)
				}
				if graceful {
					last, err := client.Stop(cmd.Context(), r, why)
					if err == nil {
						c.progress("%s ended %s", r.ID, last.Final)
					}
					return err
				}
				if err := client.Kill(cmd.Context(), r, why); err != nil {
					return err
				}
				c.progress("killed %s", r.ID)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&graceful, "graceful", false, "let the application end in order, as SUCCEEDED")
	cmd.Flags().StringVar(&why, "message", "ended by yarnd kill", "reason, kept in the application's diagnostics")
	return cmd
}
