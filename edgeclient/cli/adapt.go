package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) adapt() *cobra.Command {
	var idle time.Duration
	var pool string
	cmd := &cobra.Command{
		Use:   "adapt APP MIN:MAX",
		Short: "Have an application scale by itself, with its work",
		Long: `adapt has the application's workers come and go with its work, never fewer than MIN
and never more than MAX: as many as finish what there is to do within some seconds,
or as soon as its longest chain of tasks lets them. Those that go finish what they run
first, and hand on what only they hold. yarnd scale APP N ends that. It goes on with
nobody connected; yarnd explain APP tells why there are as many as there are.`,
		Args: appArg(2, "an application and limits, such as 0:20"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := edgeclient.ParseLimits(args[1])
			if err != nil {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: err.Error(), Next: "See yarnd adapt --help"}
			}
			l.Idle = idle
			return c.withSession(cmd.Context(), args[0], func(s *edgeclient.Session) error {
				before, wanted, err := s.Adapt(cmd.Context(), pool, l)
				switch {
				case err != nil:
				case before.Max == 0:
					c.progress("%s: %d to %d workers, by itself; %d now", s.App.ID, l.Min, l.Max, wanted)
				default:
					c.progress("%s: %d to %d workers, from %d to %d; %d now", s.App.ID, l.Min, l.Max, before.Min, before.Max, wanted)
				}
				return err
			})
		},
	}
	cmd.Flags().DurationVar(&idle, "idle", 0, "how long fewer workers must have been enough before any go; 0 is a minute")
	poolFlag(cmd, &pool)
	return cmd
}
