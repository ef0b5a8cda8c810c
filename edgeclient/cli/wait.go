package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) wait() *cobra.Command {
	var what string
	cmd := &cobra.Command{
		Use:   "wait [APP]",
		Short: "Wait until an application is running, has workers, or has ended",
		Long: `wait returns when the application is so far. It ends with exit code 7 when the
application ended FAILED or KILLED, and with 6 when --timeout passes.`,
		Args: oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			var r edgeclient.Request
			if err := parseWait("for", what, &r); err != nil {
				return err
			}
			return c.withApp(cmd.Context(), first(args), func(client *edgeclient.Client, app edgeclient.Report) error {
				if edgeclient.IsAddress(app.ID) && r.Wait == edgeclient.WaitWorkers {
					return c.onCluster(cmd.Context(), client, app, func(cluster *yarnd.Cluster) error {
						return cluster.WaitWorkers(cmd.Context(), r.WaitWorkers)
					})
				}
				last, err := client.Wait(cmd.Context(), app.ID, r.Wait, r.WaitWorkers)
				if err == nil && last.State.Ended() {
					_, err = fmt.Fprintln(c.Out, last.Final)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&what, "for", "finished", "none, accepted, workers:N, or finished")
	return cmd
}
