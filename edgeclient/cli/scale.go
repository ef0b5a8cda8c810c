package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) scale() *cobra.Command {
	var pool string
	cmd := &cobra.Command{
		Use:   "scale APP N",
		Short: "Set how many workers an application has",
		Long: `scale sets how many workers the application shall have, and returns at once: see
yarnd status, or yarnd wait --for workers:N. An application that scaled by itself
has as many from then on, until yarnd adapt. Workers that go finish what they run
first, and hand on what only they hold.`,
		Args: appArg(2, "an application and a number of workers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 || n > edgeclient.MaxWorkers {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%q is no number of workers", args[1]), Next: fmt.Sprintf("Give 0 to %d", edgeclient.MaxWorkers)}
			}
			return c.withSession(cmd.Context(), args[0], func(s *edgeclient.Session) error {
				before, err := s.Scale(cmd.Context(), pool, n)
				if err == nil {
					c.progress("%s: from %d to %d workers", s.App.ID, before, n)
				}
				return err
			})
		},
	}
	poolFlag(cmd, &pool)
	return cmd
}

// poolFlag is the flag that names a pool of workers.
func poolFlag(cmd *cobra.Command, pool *string) {
	cmd.Flags().StringVar(pool, "pool", "", "the pool of workers that is meant, of those of submit --pool; default the first, "+edgeclient.WorkerPool)
}
