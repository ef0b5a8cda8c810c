package cli

import (
	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) doctor() *cobra.Command {
	r := edgeclient.Request{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what would keep an application from running",
		Long: `doctor looks at everything that a submit with the same settings needs: Hadoop's
configuration, the ResourceManager, nodes, versions, the queue and your right to use
it, clocks, the file system with your home directory, limits of virtual memory. It
says what to do about what it finds. It submits nothing, and leaves nothing.

It ends with 1 when something would fail, and with 0 otherwise, warnings included.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.Check(); err != nil {
				return err
			}
			var found []edgeclient.Finding
			client, err := c.open(cmd.Context(), "")
			if err != nil {
				found = []edgeclient.Finding{edgeclient.Failing("configuration", err)}
			} else {
				defer client.Close()
				found = client.Examine(cmd.Context(), r)
			}
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if err := findings(found).write(c.Out, c.output); err != nil {
				return err
			}
			for _, f := range found {
				if f.Verdict == edgeclient.Fail {
					return exit(edgeclient.Internal)
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&c.file, "config", "f", "", "read settings from this YAML file; flags and the environment come before it")
	requestFlags(f, &r, nil)
	return cmd
}

func findings(items []edgeclient.Finding) listing[edgeclient.Finding] {
	return listing[edgeclient.Finding]{
		kind: "FindingList", items: items,
		name: func(f edgeclient.Finding) string { return f.Check },
		columns: []column[edgeclient.Finding]{
			{title: "CHECK", value: func(f edgeclient.Finding) string { return f.Check }},
			{title: "VERDICT", value: func(f edgeclient.Finding) string { return string(f.Verdict) }},
			{title: "DETAIL", value: func(f edgeclient.Finding) string { return f.Detail }},
			{title: "NEXT", value: func(f edgeclient.Finding) string { return dash(f.Next) }},
		},
	}
}
