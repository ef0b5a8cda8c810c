package cli

import (
	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) logs() *cobra.Command {
	var req edgeclient.LogRequest
	cmd := &cobra.Command{
		Use:   "logs [APP]",
		Short: "Show the logs of a running or an ended application",
		Long: `logs shows the logs of every container, or of those chosen: live ones by way of
the application master, those of an ended application from the files into which
YARN has collected them.`,
		Args: oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if req.Follow && (req.Container == "" || req.File == "") {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: "one log can be followed, not all of them", Next: "Name it with --container and --file"}
			}
			return c.withApp(cmd.Context(), first(args), func(client *edgeclient.Client, r edgeclient.Report) error {
				return client.Logs(cmd.Context(), r, req, func(f edgeclient.LogFile) error {
					_, err := f.WriteTo(c.Out)
					return err
				})
			})
		},
	}
	cmd.Flags().StringVar(&req.Container, "container", "", "only this container, or the end of its id")
	cmd.Flags().StringVar(&req.File, "file", "", "only this file: stdout, stderr")
	cmd.Flags().BoolVarP(&req.Follow, "follow", "f", false, "go on as they grow; needs --container and --file")
	return cmd
}
