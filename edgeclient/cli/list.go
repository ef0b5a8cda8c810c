package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) list() *cobra.Command {
	var filter edgeclient.Filter
	var everybody bool
	var states, tags []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List applications of type YARND",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := parseStates(states)
			if err != nil {
				return err
			}
			filter.All = filter.All || slices.ContainsFunc(wanted, edgeclient.State.Ended)
			client, err := c.open(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer client.Close()
			if filter.User == "" && !everybody {
				filter.User = client.User()
			}
			reports, err := client.List(cmd.Context(), filter)
			if err != nil {
				return err
			}
			reports = slices.DeleteFunc(reports, func(r edgeclient.Report) bool {
				return len(wanted) > 0 && !slices.Contains(wanted, r.State) || !hasTags(r.Tags, tags)
			})
			return applications(reports).write(c.Out, c.output)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&filter.All, "all", false, "applications that have ended too")
	f.BoolVar(&everybody, "all-users", false, "applications of everybody")
	f.StringVar(&filter.User, "user", "", "applications of this user (default yours)")
	f.StringVar(&filter.Name, "name", "", "applications of this name")
	f.StringSliceVar(&states, "state", nil, "applications in these states: accepted, running, finished, failed, killed")
	f.StringSliceVar(&tags, "tag", nil, "applications that have all these tags")
	f.StringVar(&filter.Queue, "queue", "", "applications in this queue")
	return cmd
}

// parseStates reads names of states in either case.
func parseStates(names []string) ([]edgeclient.State, error) {
	known := []edgeclient.State{edgeclient.StateNew, edgeclient.StateAccepted, edgeclient.StateRunning, edgeclient.StateFinished, edgeclient.StateFailed, edgeclient.StateKilled}
	var out []edgeclient.State
	for _, name := range names {
		s := edgeclient.State(strings.ToUpper(name))
		if !slices.Contains(known, s) {
			return nil, usage(fmt.Sprintf("unknown --state %q", name), "Use --state new|accepted|running|finished|failed|killed")
		}
		out = append(out, s)
	}
	return out, nil
}

// hasTags tells whether all wanted are there; YARN writes tags in lower case.
func hasTags(have, wanted []string) bool {
	for _, t := range wanted {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, t) }) {
			return false
		}
	}
	return true
}

func applications(reports []edgeclient.Report) listing[edgeclient.Report] {
	return listing[edgeclient.Report]{
		kind:  "ApplicationList",
		items: reports,
		name:  func(r edgeclient.Report) string { return r.ID },
		columns: []column[edgeclient.Report]{
			{title: "ID", value: func(r edgeclient.Report) string { return r.ID }},
			{title: "NAME", value: func(r edgeclient.Report) string { return r.Name }},
			{title: "USER", value: func(r edgeclient.Report) string { return r.User }},
			{title: "QUEUE", value: func(r edgeclient.Report) string { return r.Queue }},
			{title: "STATE", value: func(r edgeclient.Report) string { return string(r.State) }},
			{title: "FINAL", value: func(r edgeclient.Report) string { return dash(r.Final) }},
			{title: "AGE", value: func(r edgeclient.Report) string { return ago(r.Started) }},
			{title: "STARTED", wide: true, value: func(r edgeclient.Report) string { return r.Started.Format(time.RFC3339) }},
			{title: "TAGS", wide: true, value: func(r edgeclient.Report) string { return dash(strings.Join(r.Tags, ",")) }},
			{title: "TRACKING", wide: true, value: func(r edgeclient.Report) string { return dash(r.TrackingURL) }},
		},
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
