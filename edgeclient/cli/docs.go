package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

// manDate stands in every manual page, so that one version always makes the same
// pages; a release names its own in SOURCE_DATE_EPOCH, which cobra reads.
var manDate = time.Unix(0, 0).UTC()

// docs writes what packages ship; nobody else needs it.
func (c *command) docs() *cobra.Command {
	cmd := &cobra.Command{
		Use:         "docs",
		Short:       "Write documentation for packages",
		Hidden:      true,
		Annotations: map[string]string{noSettings: "it is run where packages are built"},
		Args:        knownCommand,
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "man DIR",
		Short: "Write a manual page for each command",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return usage(cmd.CommandPath()+" takes one directory", "See "+cmd.CommandPath()+" --help")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			header := &doc.GenManHeader{Section: "1", Source: "yarnd " + yarnd.Version, Manual: "yarnd"}
			if os.Getenv("SOURCE_DATE_EPOCH") == "" {
				header.Date = &manDate
			}
			err := os.MkdirAll(args[0], 0o755) // #nosec G301 -- manual pages are for all
			if err == nil {
				root := cmd.Root()
				root.DisableAutoGenTag = true
				err = doc.GenManTree(root, header, args[0])
			}
			if err != nil {
				return &edgeclient.Fault{Code: edgeclient.Internal, What: "cannot write manual pages", Why: err, Next: "Check the directory"}
			}
			return nil
		},
	})
	return cmd
}
