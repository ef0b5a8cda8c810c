package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

// keepUnused is how long what nobody uses stays in the cache.
const keepUnused = 30 * 24 * time.Hour

func (c *command) envGC() *cobra.Command {
	var unused time.Duration
	var dry, forgotten bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove from the cluster's cache what nobody has used for long",
		Long: `gc removes archives, programs and files from your cache that no submission has used
for --unused, and lists them. What an application uses stays, however old: submit
writes a lease, which names what the application uses, into its staging directory,
where it stays until the application has ended. Applications of another cluster on
the same file system cannot be asked for, and count as running; with
--forget-unknown they do not.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if unused < 0 {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: "a negative --unused has no meaning", Next: "Use --unused 720h"}
			}
			client, err := c.open(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer client.Close()
			removed, err := client.GC(cmd.Context(), unused, dry, forgotten)
			if err != nil {
				return err
			}
			var bytes int64
			for _, e := range removed {
				bytes += e.Size
			}
			verb := "removed"
			if dry {
				verb = "would remove"
			}
			c.progress("%s %d entries, %s", verb, len(removed), edgeclient.FormatBytes(bytes))
			return entries(removed).write(c.Out, c.output)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&unused, "unused", keepUnused, "only what nobody has used for so long, to the day")
	f.BoolVar(&dry, "dry-run", false, "only say what would be removed")
	f.BoolVar(&forgotten, "forget-unknown", false, "count applications that the cluster does not know as ended")
	return cmd
}
