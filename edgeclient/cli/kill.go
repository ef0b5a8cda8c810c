package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) kill() *cobra.Command {
	var graceful bool
	var why string
	cmd := &cobra.Command{
		Use:   "kill APP…",
		Short: "End applications and leave nothing behind",
		Long: `kill ends the applications at once: their final status is KILLED. With --graceful
the application master stops the workers in order and the final status is
SUCCEEDED. Either way no process, container or staged file is left; the cache of
bundles and archives stays for the next application. Of several, each is tried, and
none before all are found.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return usage(cmd.CommandPath()+" takes one application, or several", "See "+cmd.CommandPath()+" --help")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withApps(cmd.Context(), args, func(client *edgeclient.Client, r edgeclient.Report) error {
				return c.end(cmd.Context(), client, r, graceful, why)
			})
		},
	}
	cmd.Flags().BoolVar(&graceful, "graceful", false, "let the application end in order, as SUCCEEDED")
	cmd.Flags().StringVar(&why, "message", "ended by yarnd kill", "reason, kept in the application's diagnostics")
	return cmd
}

// end ends one application.
func (c *command) end(ctx context.Context, client *edgeclient.Client, r edgeclient.Report, graceful bool, why string) error {
	if r.State.Ended() {
		c.progress("%s has ended already: %s", r.ID, r.Final)
		return client.Kill(ctx, r, why)
	}
	if graceful {
		last, err := client.Stop(ctx, r, edgeclient.FinalSucceeded, why)
		if err == nil {
			c.progress("%s ended %s", r.ID, last.Final)
		}
		return err
	}
	if err := client.Kill(ctx, r, why); err != nil {
		return err
	}
	c.progress("killed %s", r.ID)
	return nil
}

// withApps finds each application, with clients of their own since they may run in
// different places, and then runs f with each.
func (c *command) withApps(ctx context.Context, apps []string, f func(*edgeclient.Client, edgeclient.Report) error) error {
	if len(apps) == 1 {
		return c.withApp(ctx, apps[0], f)
	}
	type found struct {
		client *edgeclient.Client
		report edgeclient.Report
	}
	var all []found
	seen := map[string]bool{}
	for _, app := range apps {
		client, err := c.open(ctx, app)
		if err != nil {
			return err
		}
		defer client.Close()
		r, err := client.Find(ctx, app)
		if err != nil {
			return err
		}
		if !seen[r.ID] {
			seen[r.ID] = true
			all = append(all, found{client, r})
		}
	}
	var errs []error
	for _, x := range all {
		if err := f(x.client, x.report); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	return &edgeclient.Fault{Code: edgeclient.CodeOf(errs[0]), What: fmt.Sprintf("%d of %d applications", len(errs), len(all)), Why: errors.Join(errs...)}
}
