package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) logs() *cobra.Command {
	var req edgeclient.LogRequest
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [APP]",
		Short: "Show the logs of a running or an ended application",
		Long: `logs shows the logs of every container, or of those chosen: live ones by way of
the application master, those of an ended application from the files into which
YARN has collected them.

With --follow it goes on as they grow, also of containers that come later, until the
application has ended. Each line begins with the end of its container's id, and the
file if both are shown; a log that is followed alone comes as it is.`,
		Example: `  yarnd logs last -f
  yarnd logs last -f --container 000003 --file stderr`,
		Args: oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withApp(cmd.Context(), first(args), func(client *edgeclient.Client, r edgeclient.Report) error {
				if follow && !r.State.Ended() {
					return client.FollowLogs(cmd.Context(), r, req, c.logPrinter(req.File == ""))
				}
				return client.Logs(cmd.Context(), r, req, func(f edgeclient.LogFile) error {
					_, err := f.WriteTo(c.Out)
					return err
				})
			})
		},
	}
	cmd.Flags().StringVar(&req.Container, "container", "", "only this container, or the end of its id")
	cmd.Flags().StringVar(&req.File, "file", "", "only this file: stdout, stderr")
	cmd.Flags().BoolVar(&req.All, "all-files", false, "also what the node manager wrote: launch_container.sh, directory.info, prelaunch.out")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as they grow")
	return cmd
}

// logPrinter writes followed logs: one alone with a line before it that says whose it
// is, several with each line saying that.
func (c *command) logPrinter(files bool) func(edgeclient.LogPiece) error {
	headed := false
	var out []byte
	return func(p edgeclient.LogPiece) error {
		out = out[:0]
		if p.Alone {
			if !headed {
				headed = true
				out = fmt.Appendf(out, "==> %s %s on %s <==\n", p.Container, p.Name, p.Node)
			}
			out = append(out, p.Data...)
		} else {
			prefix := shortContainer(p.Container) + " | "
			if files {
				prefix = shortContainer(p.Container) + " " + p.Name + " | "
			}
			for line := range bytes.Lines(p.Data) {
				out = append(append(out, prefix...), line...)
			}
		}
		_, err := c.Out.Write(out)
		return err
	}
}

// shortContainer is the end of a container's id that tells it from others: its number,
// and the attempt of the application if that is not the first.
func shortContainer(id string) string {
	parts := strings.Split(id, "_")
	n := len(parts)
	if n < 3 {
		return id
	}
	if attempt := parts[n-2]; attempt != "01" && strings.HasPrefix(id, "container_") && n > 4 {
		return attempt + "_" + parts[n-1]
	}
	return parts[n-1]
}
