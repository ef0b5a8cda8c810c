package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) renew() *cobra.Command {
	return &cobra.Command{
		Use:   "renew [APP]",
		Short: "Give an application new tokens, by your ticket",
		Long: `renew gives an application on a cluster with Kerberos new tokens, got by your ticket or
keytab: by these it reads and writes files in your name, whatever it had. Those that it
was submitted with are renewed by YARN for as long as the cluster allows, 7 days at
most unless an administrator has set otherwise; if YARN could not once, they end a day
later. Those of this command last for a day, and then the first ones are used again if
they are still good. Each command of yours that speaks to the application does the same
when its tokens end, or may end, within 12 hours.
An application that was submitted with --principal and --keytab gets new ones by
itself, and needs none of this. yarnd status shows how long they last.`,
		Args: oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withApp(cmd.Context(), first(args), func(client *edgeclient.Client, r edgeclient.Report) error {
				s, err := client.Connect(cmd.Context(), r)
				if err != nil {
					return err
				}
				defer s.Close()
				until, err := client.Renew(cmd.Context(), s)
				if err == nil {
					c.progress("%s has tokens until %s, for %s", r.ID, until.Local().Format("2006-01-02 15:04:05"), time.Until(until).Round(time.Second))
				}
				return err
			})
		},
	}
}
